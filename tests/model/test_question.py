"""What a person is shown of a server's question, and which answers fit."""

from __future__ import annotations

import json

import pytest

from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.question import Question, Unaskable, parse

PROPERTIES: dict[str, object] = {
    "name": {"type": "string", "title": "Your\x1b[31m name", "minLength": 2, "maxLength": 5},
    "age": {"type": "integer", "minimum": 0, "maximum": 150},
    "ratio": {"type": "number", "default": 0.5},
    "sure": {"type": "boolean", "default": False},
    "old": {"type": "string", "enum": ["a", "b"], "enumNames": ["First", "Second"]},
    "new": {"type": "string", "oneOf": [{"const": "x", "title": "Ex"}, {"const": "y"}]},
    "many": {"type": "array", "items": {"type": "string", "enum": ["r", "g"]}, "minItems": 1},
}


def asked(properties: object = PROPERTIES, **more: object) -> Question:
    params = {"message": "Who?", "requestedSchema": {"type": "object", "properties": properties}}
    params["requestedSchema"]["required"] = ["name"]  # type: ignore[index]
    return parse(1, "s", json.dumps(params | more).encode(), 0.0)


def test_every_kind_of_field_is_read_and_answered_in_its_own_type() -> None:
    question = asked()
    assert [field.kind for field in question.fields] == [
        "text", "integer", "number", "boolean", "choice", "choice", "choices",
    ]  # fmt: skip
    assert question.fields[0].label == "Your name"
    typed = {"name": "Ada", "age": "36", "sure": "yes", "old": "Second", "new": "x", "many": "g, r"}
    assert question.content(typed) == {
        "name": "Ada", "age": 36, "ratio": 0.5, "sure": True, "old": "b", "new": "x",
        "many": ["g", "r"],
    }  # fmt: skip


def test_all_that_does_not_fit_is_named_at_once() -> None:
    typed = {"age": "12.5", "sure": "perhaps", "old": "c", "many": ",", "ratio": "nan", "x": "1"}
    with pytest.raises(ControlError) as met:
        asked().content(typed)
    for part in (
        "x is not asked for",
        "name is missing",
        "age must be a whole number",
        "ratio must be a finite number",
        "sure must be yes or no",
        "old must be of: a, b",
        "many must be at least 1 choices",
    ):
        assert part in str(met.value)
    with pytest.raises(ControlError, match="name must be at most 5 characters"):
        asked().content({"name": "Adalbert"})


@pytest.mark.parametrize(
    "params",
    [
        b"[]",
        b'{"message":7}',
        b'{"message":"m"}',
        b'{"message":"m","requestedSchema":{"properties":{"a":{"type":"object"}}}}',
        b'{"message":"m","requestedSchema":{"properties":{"a":{"type":"array"}}}}',
        b'{"message":"m","requestedSchema":{"properties":{"a\\u001b":{"type":"string"}}}}',
        b'{"message":"m","requestedSchema":{"properties":{"a":[]}}}',
        b'{"message":"m","requestedSchema":{"properties":{"a":{"enum":["\\u202e"]}}}}',
    ],
)
def test_what_cannot_be_shown_as_it_is_meant_is_not_asked(params: bytes) -> None:
    with pytest.raises(Unaskable):
        parse(1, "s", params, 0.0)


@pytest.mark.behaviour("C24")
@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "http://example.com/", "file:///etc/passwd", "https://", "https://a/\n",
     "https://[", "data:text/html,x"],
)  # fmt: skip
def test_an_address_that_is_not_safe_to_open_is_not_shown(url: str) -> None:
    with pytest.raises(Unaskable):
        asked(mode="url", url=url)


@pytest.mark.behaviour("C24")
def test_an_address_is_shown_whole_and_a_wish_for_a_secret_is_known() -> None:
    url = "https://example.com/sign?x=1"
    assert asked(mode="url", url=url).url == url
    assert asked(mode="url", url="http://127.0.0.1:1/x").url == "http://127.0.0.1:1/x"
    fields = asked({"apiKey": {"type": "string"}, "city": {"type": "string"}}).fields
    assert [field.wants_secret for field in fields] == [True, False]
