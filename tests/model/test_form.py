"""The form that a tool's schema makes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.uri_template import UriTemplate

from mcpmux_tui.model import uri_template
from mcpmux_tui.model.form import (
    WHOLE,
    fields_of,
    prompt_fields,
    shown,
    template_fields,
    values,
)

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
        "filter": "json", "ids": "list", "any": "text",
    }  # fmt: skip
    # What has a default of its own need not be typed.
    assert [field.key for field in fields if field.required] == ["query"]
    typed = {
        "query": "x", "page": "2", "exact": "yes", "sort": "new", "tags": "b, a",
        "filter": '{"a": [1]}', "ids": "1, 2",
    }  # fmt: skip
    assert values(fields, typed) == {
        "query": "x", "page": 2, "exact": True, "sort": "new", "tags": ["b", "a"],
        "filter": {"a": [1]}, "ids": [1, 2],
    }  # fmt: skip
    with pytest.raises(ValueError, match="query is missing; page must be a whole number; filter"):
        values(fields, {"page": "x", "filter": "{"})


@pytest.mark.parametrize(
    "schema",
    [None, [], {"oneOf": [{}]}, {"$ref": "#/x"}, {"properties": []}, {"properties": {"\x1b": {}}},
     {"properties": {str(n): {} for n in range(100)}},
     {"properties": {"a.b": {}, "a": {"properties": {"b": {}}}}}],
)  # fmt: skip
def test_what_makes_no_form_takes_all_arguments_as_json(schema: object) -> None:
    fields = fields_of(schema)
    assert [field.key for field in fields] == [WHOLE]
    assert values(fields, {WHOLE: '{"a": 1}'}) == {"a": 1}
    assert values(fields, {}) == {}
    for text in ("[1]", "{", "x"):
        with pytest.raises(ValueError, match="JSON"):
            values(fields, {WHOLE: text})


NESTED = {
    "$defs": {
        "Point": {
            "type": "object",
            "properties": {"x": {"type": "number"}, "y": {"type": "number", "default": 0}},
            "required": ["x", "y"],
        },
        "Self": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Self"}}},
    },
    "properties": {
        "at": {"$ref": "#/$defs/Point"},
        "to": {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}], "default": None},
        "shape": {
            "oneOf": [
                {"properties": {"kind": {"const": "circle"}, "r": {"type": "integer"}},
                 "required": ["kind", "r"]},
                {"properties": {"kind": {"const": "box"}, "w": {"type": "integer"}}},
            ]
        },
        "loop": {"$ref": "#/$defs/Self"},
        "words": {"type": "array", "items": {"type": "string"}, "default": ["a", "b"]},
    },
    "required": ["at", "shape"],
}  # fmt: skip


def test_nested_objects_are_fields_of_their_own() -> None:
    fields = fields_of(NESTED)
    required = {field.key for field in fields if field.required}
    assert "at.x" in required
    assert "at.y" not in required
    assert "to.x" not in required
    typed = {"at.x": "1.5", "shape as": "box", "words": '["a, b"]', "loop.next.next.next": "{}"}
    assert values(fields, typed) == {
        "at": {"x": 1.5}, "shape": {"kind": "box"}, "words": ["a, b"],
        "loop": {"next": {"next": {"next": {}}}},
    }  # fmt: skip


def test_of_alternatives_one_is_chosen_and_only_its_fields_are_asked_for() -> None:
    fields = fields_of(NESTED)
    choice = next(field for field in fields if field.kind == "variant")
    assert [each.value for each in choice.choices] == ["circle", "box"]
    assert "circle/shape.r" in shown(fields, {})
    assert "box/shape.w" not in shown(fields, {})
    with pytest.raises(ValueError, match=r"shape\.r is missing"):
        values(fields, {"at.x": "1"})
    typed = {"at.x": "1", "circle/shape.r": "3", "box/shape.w": "9"}
    assert values(fields, typed)["shape"] == {"kind": "circle", "r": 3}


def test_prompts_ask_for_texts() -> None:
    listed = [{"name": "topic", "required": True}, {"name": "tone", "description": "kind"}, 7]
    fields = prompt_fields(listed)
    assert [(field.key, field.required) for field in fields] == [("topic", True), ("tone", False)]
    assert values(fields, {"topic": "7"}) == {"topic": "7"}
    assert prompt_fields(None) == ()


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="%"), min_size=1)


@pytest.mark.parametrize("template", [
    "file:///a", "a/{x}/b{y}", "{x,y}", "a{+x}b", "a{#x}", "a{.x,y}", "a{/x,y}/b", "a{;x,y}",
    "a{?x,y}", "a?z=1{&x,y}",
])  # fmt: skip
@given(x=WORDS, y=WORDS)
def test_addresses_are_made_from_templates_as_the_sdk_makes_them(
    template: str, x: str, y: str
) -> None:
    given_values = {name: {"x": x, "y": y}[name] for name in uri_template.variables(template)}
    assert {field.key for field in template_fields(template)} == set(given_values)
    assert uri_template.expand(template, given_values) == UriTemplate.parse(template).expand(
        given_values
    )


def test_a_blank_variable_is_left_out_and_a_prefix_is_cut() -> None:
    assert uri_template.expand("a{?x,y}", {"y": "1"}) == "a?y=1"
    assert uri_template.expand("a{/x:2}{+y}", {"x": "abc", "y": "%41%"}) == "a/ab%41%25"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.dictionaries(st.text(), st.text()))
def test_no_schema_and_no_text_make_it_stumble(schema: object, typed: dict[str, str]) -> None:
    for one in (schema, {"properties": schema}, {"properties": {"a": schema}, "required": schema}):
        fields = fields_of(one)
        try:
            values(fields, {field.key: "x" for field in fields} | typed)
        except ValueError:
            continue
