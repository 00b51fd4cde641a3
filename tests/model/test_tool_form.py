"""The form that a tool's schema makes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.model.tool_form import WHOLE, arguments, fields_of

SCHEMA = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "What to find"},
        "page": {"type": "integer", "minimum": 1, "default": 1},
        "exact": {"type": "boolean"},
        "sort": {"enum": ["new", "old"]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        "filter": {"type": "object", "title": "Filter"},
        "ids": {"type": "array", "items": {"type": "integer"}},
        "any": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["query", "page"],
}


def test_primitive_properties_are_fields_and_others_take_json() -> None:
    fields = fields_of(SCHEMA)
    assert {field.key: field.kind for field in fields} == {
        "query": "text", "page": "integer", "exact": "boolean", "sort": "choice", "tags": "choices",
        "filter": "json", "ids": "json", "any": "json",
    }  # fmt: skip
    # What has a default of its own need not be typed.
    assert [field.key for field in fields if field.required] == ["query"]
    typed = {
        "query": "x", "page": "2", "exact": "yes", "sort": "new", "tags": "b, a",
        "filter": '{"a": [1]}', "ids": "[1, 2]",
    }  # fmt: skip
    assert arguments(fields, typed) == {
        "query": "x", "page": 2, "exact": True, "sort": "new", "tags": ["b", "a"],
        "filter": {"a": [1]}, "ids": [1, 2],
    }  # fmt: skip
    with pytest.raises(ValueError, match="query is missing; page must be a whole number; filter"):
        arguments(fields, {"page": "x", "filter": "{"})


@pytest.mark.parametrize(
    "schema",
    [None, [], {"oneOf": [{}]}, {"$ref": "#/x"}, {"properties": []}, {"properties": {"\x1b": {}}},
     {"properties": {str(n): {} for n in range(100)}}],
)  # fmt: skip
def test_what_makes_no_form_takes_all_arguments_as_json(schema: object) -> None:
    fields = fields_of(schema)
    assert [field.key for field in fields] == [WHOLE]
    assert arguments(fields, {WHOLE: '{"a": 1}'}) == {"a": 1}
    assert arguments(fields, {}) == {}
    for text in ("[1]", "{", "x"):
        with pytest.raises(ValueError, match="JSON"):
            arguments(fields, {WHOLE: text})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.dictionaries(st.text(), st.text()))
def test_no_schema_and_no_text_make_it_stumble(schema: object, typed: dict[str, str]) -> None:
    for one in (schema, {"properties": schema}, {"properties": {"a": schema}, "required": schema}):
        fields = fields_of(one)
        try:
            arguments(fields, {field.key: "x" for field in fields} | typed)
        except ValueError:
            continue
