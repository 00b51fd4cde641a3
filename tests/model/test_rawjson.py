from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.model import rawjson

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def test_splice_sets_and_removes_members_and_leaves_the_rest() -> None:
    text = b'{"name":"x","arguments":{"n": 1.0},"_meta":{"p":1}}'
    changed = rawjson.splice(text, {"name": b'"y"', "_meta": None, "new": b"true", "gone": None})
    assert changed == b'{"new":true,"name":"y","arguments":{"n": 1.0}}'
    assert rawjson.splice(b"{}", {"a": b"1"}) == b'{"a":1}'
    assert rawjson.splice(b'{"a":1}', {"a": None}) == b"{}"


@given(st.dictionaries(st.text(), json_values, max_size=5), st.text(), json_values)
def test_splice_is_an_assignment(value: dict[str, object], key: str, new: object) -> None:
    for ascii in (True, False):
        text = json.dumps(value, ensure_ascii=ascii).encode()
        spliced = rawjson.splice(text, {key: json.dumps(new).encode()})
        assert json.loads(spliced) == {**value, key: new}


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ('{"k":1, "a" : 1.0 }', '{"a" : 1.0 }'),
        ('{ "a" : 1.0 ,"k" : {"a":[]}  , "b":2}', '{ "a" : 1.0 ,"b":2}'),
        ('{"a":1.0, "k":"}"\n}', '{"a":1.0\n}'),
        ('{ "k":1 }', "{  }"),
        ('{"a":{"k":1}}', '{"a":{"k":1}}'),
        ('{"é": "é" ,"k":"ü", "ö":1}', '{"é": "é" ,"ö":1}'),
    ],
)
def test_without_takes_out_one_member_and_no_other_byte(text: str, rest: str) -> None:
    assert rawjson.without(text.encode(), "k") == rest.encode()


@given(json_values)
def test_values_are_never_counted_too_few(value: object) -> None:
    def count(value: object) -> int:
        match value:
            case list():
                return 1 + sum(count(each) for each in value)
            case dict():
                return 1 + sum(count(each) for each in value.values())
        return 1

    for ascii in (True, False):
        assert rawjson.values(json.dumps(value, ensure_ascii=ascii).encode()) >= count(value)


@given(
    st.sampled_from([0, 5000]), st.lists(st.sampled_from([b"_", b'"a_', b'"a_b"', b"a_b", b"x"]))
)
def test_a_mark_is_found_by_its_rare_byte_wherever_it_is(filled: int, parts: list[bytes]) -> None:
    data = b"".join(parts) + b"x" * filled + b"".join(reversed(parts))
    for text in (data, b"x" * filled + b"_" * 100 + data):
        assert rawjson.holds(text, b'"a_b"', b"_") is (b'"a_b"' in text)
