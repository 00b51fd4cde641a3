from __future__ import annotations

import json

import pytest

from mcpmux_tui.ui.content import (
    clock_time,
    counted,
    fit,
    line,
    mask,
    plain,
    short_count,
    short_time,
    whole,
)


@pytest.mark.behaviour("A1", "A3", "A4")
@pytest.mark.parametrize("text", ["[@click=app.quit]x[/]", "[/nope]", "[bold[/]", "$primary"])
def test_brackets_are_no_markup(text: str) -> None:
    assert plain(text).plain == text
    assert not plain(text).spans


@pytest.mark.behaviour("A1", "A2")
def test_control_characters_do_not_reach_the_screen() -> None:
    for draw in (plain, line, whole):
        assert "\x1b" not in draw("\x1b]52;c;eA==\x07x\x9b31m").plain
        assert "\x9b" not in draw("\x1b]52;c;eA==\x07x\x9b31m").plain
    assert line("a\nb").plain == "a b"


def test_what_is_consented_to_is_never_shortened() -> None:
    command = "run " + "x" * 20_000
    assert whole(command).plain == command
    assert len(plain(command).plain) < len(command)


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abc", 5, "abc  "), ("abcdef", 4, "abc…"), ("日本語", 4, "日 …"), ("日本", 5, "日本 "),
        ("abc", 0, ""),
    ],
)  # fmt: skip
def test_text_fits_its_cells(text: str, width: int, expected: str) -> None:
    assert fit(text, width) == expected


def test_numbers_stand_right() -> None:
    assert fit("7", 3, right=True) == "  7"


@pytest.mark.behaviour("A11")
@pytest.mark.parametrize("token", ["tok-1", 'a "quoted" one', "with spaces, commas} and 'quotes'"])
@pytest.mark.parametrize(
    "form",
    [
        lambda token: json.dumps({"headers": {"Authorization": f"Bearer {token}"}}, indent=2),
        lambda token: json.dumps({"headers": {"Authorization": f"Bearer {token}"}}),
        lambda token: f'http_headers = {{ Authorization = "Bearer {token}" }}',
        lambda token: f"claude mcp add mcpmux URL --header 'Authorization: Bearer {token}'",
    ],
)
def test_a_token_is_hidden_whatever_it_holds(token: str, form: object) -> None:
    assert callable(form)
    text = form(token)
    hidden = mask(text)
    assert "Bearer ••••" in hidden
    assert not any(
        word in hidden for word in ("tok", "quoted", "one", "spaces", "commas", "quotes")
    )
    assert hidden.partition("Bearer")[0] == text.partition("Bearer")[0]


def test_times_and_counts_are_short() -> None:
    assert [short_time(s) for s in (-1, 9.9, 61, 3 * 3600 + 120, 90_000)] == [
        "0s", "9s", "1m", "3h 2m", "1d 1h",
    ]  # fmt: skip
    assert [short_count(n) for n in (0, 999, 1_240, 99_949, 99_950, 999_949, 3_400_000)] == [
        "0", "999", "1.2k", "99.9k", "99k", "999k", "3.4M",
    ]  # fmt: skip
    assert counted(1, "tool") == "1 tool"
    assert counted(2, "tool") == "2 tools"
    assert len(clock_time(0)) == 8
