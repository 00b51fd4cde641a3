from __future__ import annotations

import pytest

from mcpmux_tui.bridge.options import Options, Wrong, quick

URL = "https://example.com/mcp"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["stdio"], Options()),
        (["stdio", "--no-start"], Options(start=False)),
        (["stdio", "--config", "a.toml"], Options("a.toml")),
        (["--config=a.toml", "stdio"], Options("a.toml")),
        (["--config", "a.toml", "stdio", "--config", "b"], Options("b")),
        (
            ["stdio", "--url", URL, "--header", "A: b", "--header=X-C:d: ${WHO}"],
            Options(url=URL, headers={"A": "b", "X-C": "d: ada"}),
        ),
    ],
)
def test_what_plainly_asks_for_the_bridge_is_read_at_once(
    argv: list[str], expected: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHO", "ada")
    assert quick(argv) == expected


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["serve"],
        ["--demo"],
        ["call", "stdio", "x"],
        ["stdio", "--help"],
        ["stdio", "more"],
        ["stdio", "--header", "A: b"],
        ["stdio", "--url", URL, "--config", "a.toml"],
        ["stdio", "--url", URL, "--header", "A: ${NOT_SET_ANYWHERE}"],
        ["stdio", "--url", URL, "--header", "A: b\r\nC: d"],
        ["stdio", "--url"],
        ["--url", URL, "stdio"],
        ["stdio", "--no-start=1"],
        ["stdio", "--", "--url", URL],
    ],
)
def test_everything_else_is_left_to_the_command_line(argv: list[str]) -> None:
    assert quick(argv) is None


def test_a_missing_variable_is_named_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "s3cret")
    with pytest.raises(Wrong, match="NOT_THERE"):
        Options.of(None, URL, ["A: ${NOT_THERE}"], start=True)
    assert "s3cret" not in repr(Options.of(None, URL, ["A: ${KEY}"], start=True))
