"""What `WWW-Authenticate` may tell, and what it may not do."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.auth.challenge import Challenge, challenges, parse, scope_list

METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
TOKEN = st.text(
    "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789!#$%&'*+.^_`|~-", min_size=1, max_size=12
)
VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)


def quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f'Bearer resource_metadata="{METADATA}"'], Challenge(METADATA)),
        ([f"bearer resource_metadata={METADATA}"], Challenge(METADATA)),
        (
            [f'Bearer realm="a, b", scope="x y", RESOURCE_METADATA = "{METADATA}"'],
            Challenge(METADATA, ("x", "y")),
        ),
        (
            ['Bearer error="insufficient_scope", error_description="more\x9b31m, please"'],
            Challenge(error="insufficient_scope", description="more\ufffd31m, please"),
        ),
        ([f'Bearer error="invalid_token" resource_metadata="{METADATA}"'],
         Challenge(METADATA, error="invalid_token")),
        ([f'Negotiate YWJj==, Basic realm="x", Bearer resource_metadata="{METADATA}"'],
         Challenge(METADATA)),
        (['Basic realm="x"', f'Bearer resource_metadata="{METADATA}"'], Challenge(METADATA)),
        (["Bearer", f'Bearer resource_metadata="{METADATA}", scope="a"'],
         Challenge(METADATA, ("a",))),
        (["Bearer"], Challenge()),
        (["Basic realm=x"], None),
        ([""], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_challenge_is_read(lines: list[str], expected: Challenge | None) -> None:
    assert parse(lines) == expected


@pytest.mark.behaviour("C12")
@pytest.mark.parametrize(
    "line",
    [
        'Bearer x_scope="admin", xresource_metadata="https://evil.example"',
        'Bearer realm="scope=\\"admin\\", resource_metadata=\\"https://evil.example\\""',
        'Bearer realm="a", realm2="Bearer scope=\\"admin\\""',
        'Basic scope="admin", resource_metadata="https://evil.example", Bearer',
        'Bearer scope="admin", scope="other"',
        'Bearer error="a b", scope="ad\\"min\\\\"',
        'Bearer resource_metadata="file:///etc/passwd"',
        'Bearer resource_metadata="javascript:alert(1)"',
        'Bearer resource_metadata="https://a b"',
        'Bearer realm="never closed, scope="admin"',
        'scope="admin", Bearer',
        'Bearer realm="' + "x" * 8_192 + '", scope="admin"',
    ],
)
def test_look_alikes_and_bad_values_are_no_fields(line: str) -> None:
    found = parse([line])
    assert found is None or found == Challenge()


@pytest.mark.behaviour("C12")
def test_the_header_and_its_scopes_are_capped() -> None:
    assert parse(["Bearer x=" + "y" * 1_000_000, 'Bearer scope="a"']) is None
    assert parse(['Bearer scope="a"'] + ["Basic x"] * 100_000) == Challenge(scopes=("a",))
    scopes = scope_list(" ".join(f"scope-{number:04}" for number in range(1_000)))
    assert len(" ".join(scopes)) <= 4_096
    assert all(len(scope) == len("scope-0000") for scope in scopes)
    assert scope_list('a b "c" d\\e \x1bf a é g') == ("a", "b", "g")


@pytest.mark.behaviour("C12")
@pytest.mark.parametrize("unit", ['"', "\\", "a=", 'a="', "a ", ",", "=", " ", 'a="\\', "a=b "])
def test_no_header_takes_long(unit: str) -> None:
    line = "Bearer " + unit * (8_000 // len(unit))
    before = time.process_time()
    challenges([line])
    assert time.process_time() - before < 0.5


@pytest.mark.behaviour("C12")
@given(st.lists(st.text(max_size=200), max_size=4))
def test_any_text_is_read_without_an_error(lines: list[str]) -> None:
    found = parse(lines)
    if found is not None:
        assert all(scope.isascii() and " " not in scope for scope in found.scopes)
        assert found.error is None or found.error.isascii()


@pytest.mark.behaviour("C12")
@given(
    st.lists(st.tuples(TOKEN, st.dictionaries(TOKEN.map(str.lower), VALUE, max_size=4)), max_size=4)
)
def test_what_the_grammar_allows_comes_out_as_it_went_in(
    written: list[tuple[str, dict[str, str]]],
) -> None:
    line = ", ".join(
        f"{scheme} " + ", ".join(f'{name}="{quoted(value)}"' for name, value in params.items())
        for scheme, params in written
    )
    assert challenges([line]) == written
