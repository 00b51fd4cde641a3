from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.model import jsonc

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["//", "/*", '"', "\\"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
filler = st.sampled_from(
    ["", " ", "\n", "\r\n", '// a " comment, ]\n', "/* one, */", "/**/", "/* \n two ** } */"]
)


@st.composite
def commented(draw: st.DrawFn) -> tuple[object, str]:
    """A value, and its text with comments at every place and trailing commas."""

    def write(value: object) -> str:
        space = draw(filler)
        if isinstance(value, list) and value:
            inner = f"{draw(filler)},".join(map(write, value))
            return f"{space}[{inner}{draw(trailing)}{draw(filler)}]{draw(filler)}"
        if isinstance(value, dict) and value:
            inner = ",".join(f"{draw(filler)}{json.dumps(k)}:{write(v)}" for k, v in value.items())
            return f"{space}{{{inner}{draw(trailing)}{draw(filler)}}}{draw(filler)}"
        return f"{space}{json.dumps(value, ensure_ascii=draw(st.booleans()))}{draw(filler)}"

    trailing = st.sampled_from(["", ","])
    value = draw(values)
    return value, write(value)


@given(commented())
def test_comments_and_trailing_commas_change_no_value(case: tuple[object, str]) -> None:
    value, text = case
    assert jsonc.loads(text) == value


@given(commented())
def test_blanking_moves_no_character(case: tuple[object, str]) -> None:
    plain = jsonc.blank(case[1])
    assert len(plain) == len(case[1])
    assert all(new in {old, " "} for new, old in zip(plain, case[1], strict=True))
    assert plain.count("\n") == case[1].count("\n")


@given(values)
def test_plain_json_stays_as_it_is(value: object) -> None:
    text = json.dumps(value, indent=2)
    assert jsonc.blank(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "[,]", "[1,,]", "{,}", '{"a":,}', "1,", "/* open", "[1] /*/", "'a'", '"a', "{a:1}",
        "[1}", "NaN", "[Infinity]", "{} {}", '{"a" 1}', "// all", "1" * 5000, "\ufeff{}", '["\\x"]',
    ],
)  # fmt: skip
def test_what_is_no_json_with_comments_is_refused(text: str) -> None:
    with pytest.raises(jsonc.NotJson):
        jsonc.loads(text)


def test_a_refusal_says_where() -> None:
    with pytest.raises(jsonc.NotJson) as caught:
        jsonc.loads('{\n  // a comment\n  "a": 1 "b"\n}')
    assert (caught.value.line, caught.value.column) == (3, 10)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(jsonc.NotJson, match="nested too deep"):
        jsonc.loads("[" * 200_000)


def test_members_come_with_their_places_and_repeated() -> None:
    text = '/* x */ { "a": 1, "b": {"c": [2]}, "a": 3, }'
    members = list(jsonc.members(jsonc.blank(text)))
    assert [(each.key, each.value) for each in members] == [("a", 1), ("b", {"c": [2]}), ("a", 3)]
    assert [text[each.key_at : each.key_at + 3] for each in members] == ['"a"', '"b"', '"a"']
    inner = list(jsonc.members(jsonc.blank(text), members[1].value_at))
    assert [(each.key, each.value) for each in inner] == [("c", [2])]
    assert list(jsonc.members("[1]")) == []


@pytest.mark.parametrize(
    "unit", ['"', '\\"', '"\\', "/*", "//", "/* ", "[,", ", ", "{", ",\n", "*/", "/**/"]
)
def test_blanking_takes_linear_time(unit: str) -> None:
    started = time.process_time()
    jsonc.blank('"' + unit * 300_000)
    jsonc.blank(unit * 300_000)
    # Quadratic time would be hours; this leaves room for a slow machine.
    assert time.process_time() - started < 5
