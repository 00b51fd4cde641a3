"""The form that a tool's input schema makes, and the arguments that what is typed makes.

JSON Schema 2020-12, as far as a form goes: primitive properties become fields, others take JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from mcpmux_tui.model.question import Field, Unaskable, field_of
from mcpmux_tui.text import NAME_LIMIT, one_line

_FIELDS = 64
WHOLE = "arguments"
"""The key of the one field that takes all arguments as JSON."""


def fields_of(schema: object) -> tuple[Field, ...]:
    """The fields of a tool's input schema; one for all arguments where it makes no form."""
    whole = (Field(key=WHOLE, label="Arguments as JSON", kind="json", default="{}"),)
    if not isinstance(schema, dict):
        return whole
    properties = schema.get("properties", {})
    plain = isinstance(properties, dict) and len(properties) <= _FIELDS
    if not plain or any(key in schema for key in ("oneOf", "anyOf", "allOf", "$ref", "if")):
        return whole
    needed = schema.get("required")
    required = needed if isinstance(needed, list) else []
    if any(one_line(key, NAME_LIMIT) != key or not key or key == WHOLE for key in properties):
        return whole
    return tuple(
        _field(key, of, required=key in required and not _has_default(of))
        for key, of in properties.items()
    )


def arguments(fields: tuple[Field, ...], typed: Mapping[str, str]) -> dict[str, JsonValue]:
    """The arguments of what a person typed; what is left empty is left out.

    Raises ValueError with all that does not fit, one sentence.
    """
    values: dict[str, JsonValue] = {}
    wrong: list[str] = []
    for field in fields:
        text = typed.get(field.key, "")
        if not text:
            if field.required:
                wrong.append(f"{field.key} is missing")
            continue
        try:
            values[field.key] = field.value(text)
        except ValueError as error:
            wrong.append(f"{field.key} {error}")
    if [field.key for field in fields] == [WHOLE]:
        whole = values.get(WHOLE, {})
        if not isinstance(whole, dict) and not wrong:
            wrong.append("the arguments must be a JSON object")
        values = whole if isinstance(whole, dict) else {}
    if wrong:
        raise ValueError("; ".join(wrong))
    return values


def _field(key: str, schema: object, *, required: bool) -> Field:
    try:
        return field_of(key, schema, required=required)
    except Unaskable:
        pass
    of = schema if isinstance(schema, dict) else {}
    title, about = of.get("title"), of.get("description")
    return Field(
        key=key,
        label=one_line(title, NAME_LIMIT) if isinstance(title, str) else key,
        kind="json",
        description=one_line(about, 400) if isinstance(about, str) else "",
        required=required,
        default=one_line(json.dumps(of["default"]), 200) if "default" in of else "",
    )


def _has_default(schema: object) -> bool:
    return isinstance(schema, dict) and "default" in schema
