"""The form that an item's schema makes, and the arguments that what is typed makes.

JSON Schema 2020-12, as far as a form goes: what is no value of one line takes JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from mcpmux_tui.model import uri_template
from mcpmux_tui.model.question import Choice, Field, Unaskable, field_of
from mcpmux_tui.text import NAME_LIMIT, one_line

_FIELDS: Final = 64
_DEPTH: Final = 4
_ITEMS: Final = frozenset({"string", "number", "integer", "boolean"})
WHOLE: Final = "arguments"
"""The key of the one field that takes all arguments as JSON."""
WHOLE_FIELD: Final = Field(key=WHOLE, label="Arguments as JSON", kind="json", default="{}")

Schema = Mapping[str, object]


def fields_of(schema: object) -> tuple[Field, ...]:
    """The fields of a tool's input schema; one for all arguments where it makes no form."""
    try:
        fields = tuple(_Reader(schema).fields())
    except Unaskable:
        return (WHOLE_FIELD,)
    keys = {field.key for field in fields}
    fits = len(keys) == len(fields) <= _FIELDS and WHOLE not in keys
    return fields if fits else (WHOLE_FIELD,)


def prompt_fields(arguments: object) -> tuple[Field, ...]:
    """The fields of a prompt's arguments."""
    listed = arguments if isinstance(arguments, list) else []
    return tuple(
        Field(
            key=name,
            label=_text(each.get("title")) or name,
            kind="text",
            description=_text(each.get("description"), 400),
            required=each.get("required") is True,
        )
        for each in listed[:_FIELDS]
        if isinstance(each, dict) and (name := _text(each.get("name")))
    )


def template_fields(template: str) -> tuple[Field, ...]:
    """The fields of a resource template's variables."""
    names = uri_template.variables(template)[:_FIELDS]
    return tuple(Field(key=name, label=name, kind="text") for name in names)


def expanded(template: str, given: Mapping[str, JsonValue]) -> str:
    """The address that a resource template and its variables make."""
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    return uri_template.expand(template, texts)


def shown(fields: Sequence[Field], typed: Mapping[str, str]) -> frozenset[str]:
    """The keys of the fields that are asked for, as far as what is chosen decides that."""
    chosen = {
        field.key: _chosen(field, typed.get(field.key, ""))
        for field in fields
        if field.kind == "variant"
    }
    return frozenset(
        field.key
        for field in fields
        if field.when is None or chosen.get(field.when[0]) == field.when[1]
    )


def values(fields: Sequence[Field], typed: Mapping[str, str]) -> dict[str, JsonValue]:
    """The arguments of what a person typed; what is left empty is left out.

    Raises ValueError with all that does not fit, one sentence.
    """
    asked = shown(fields, typed)
    found: dict[str, JsonValue] = {}
    wrong: list[str] = []
    for field in fields:
        text = typed.get(field.key, "")
        if field.key not in asked or field.kind in {"variant", "fixed"}:
            continue
        if not text:
            if field.required:
                wrong.append(f"{field.label} is missing")
            continue
        try:
            _put(found, field.path or (field.key,), field.value(text))
        except ValueError as error:
            wrong.append(f"{field.label} {error}")
    for field in fields:
        if field.kind == "fixed" and field.key in asked and _belongs(field, found):
            _put(found, field.path, json.loads(field.default))
    if [field.key for field in fields] == [WHOLE]:
        whole = found.get(WHOLE, {})
        if not isinstance(whole, dict) and not wrong:
            wrong.append("the arguments must be a JSON object")
        found = whole if isinstance(whole, dict) else {}
    if wrong:
        raise ValueError("; ".join(wrong))
    return found


class _Reader:
    """Reads one schema with its definitions."""

    def __init__(self, schema: object) -> None:
        if not isinstance(schema, dict):
            raise Unaskable("it has no schema")
        self._root: Schema = schema
        self._definitions: dict[str, object] = {}
        for place in ("$defs", "definitions"):
            if isinstance(of := schema.get(place), dict):
                self._definitions |= {f"#/{place}/{name}": value for name, value in of.items()}

    def fields(self) -> Iterator[Field]:
        """The fields. Raises Unaskable for a schema that makes no form."""
        root = self._resolved(self._root)
        if "if" in root or "allOf" in root:
            raise Unaskable("it depends on itself")
        alternatives = self._alternatives(root)
        if alternatives and not root.get("properties"):
            yield from self._variants(alternatives, (), required=True)
        elif any(key in root for key in ("oneOf", "anyOf")):
            raise Unaskable("it has alternatives")
        elif root is not self._root and not root.get("properties"):
            raise Unaskable("it refers to nothing")
        else:
            yield from self._properties(root, (), required=True)

    def _properties(
        self,
        schema: Schema,
        path: tuple[str, ...],
        *,
        required: bool,
        when: tuple[str, str] | None = None,
    ) -> Iterator[Field]:
        properties = schema.get("properties", {})
        if not isinstance(properties, dict) or len(properties) > _FIELDS:
            raise Unaskable("its properties could not be read")
        listed = schema.get("required")
        needed = listed if isinstance(listed, list) else []
        for key, value in properties.items():
            if one_line(key, NAME_LIMIT) != key or not key:
                raise Unaskable("it has a name that could not be read")
            own = self._resolved(value)
            where = (*path, key)
            must = required and key in needed
            alternatives = self._alternatives(own) if when is None else ()
            if own.get("properties") and len(where) < _DEPTH:
                yield from self._properties(own, where, required=must, when=when)
            elif alternatives:
                yield from self._variants(alternatives, where, required=must)
            else:
                yield _leaf(own, where, required=must, when=when)

    def _variants(
        self, alternatives: Sequence[Schema], path: tuple[str, ...], *, required: bool
    ) -> Iterator[Field]:
        """A choice, and for each choice the fields it needs."""
        names = list(dict.fromkeys(_title(each, n) for n, each in enumerate(alternatives, 1)))
        if len(names) != len(alternatives):
            names = [f"form {n}" for n in range(1, len(alternatives) + 1)]
        key = f"{'.'.join(path) or WHOLE} as"
        yield Field(
            key=key,
            label=".".join(path) or "form",
            kind="variant",
            choices=tuple(Choice(value=name, title=name) for name in names),
            default=names[0] if required else "",
        )
        for name, each in zip(names, alternatives, strict=True):
            yield from self._properties(each, path, required=True, when=(key, name))

    def _alternatives(self, schema: Schema) -> tuple[Schema, ...]:
        """The objects of which a value is one; nothing where they are not all objects."""
        for key in ("oneOf", "anyOf"):
            if isinstance(listed := schema.get(key), list) and listed:
                found = tuple(map(self._resolved, listed))
                if all(each.get("properties") for each in found):
                    return found
        return ()

    def _resolved(self, schema: object, depth: int = 0) -> Schema:
        """The schema that a reference, a lone alternative or one beside null stands for."""
        if not isinstance(schema, dict) or depth > _DEPTH:
            return {}
        inner: object = None
        if isinstance(reference := schema.get("$ref"), str):
            inner = self._definitions.get(reference, {})
        for key in ("anyOf", "oneOf", "allOf"):
            if isinstance(listed := schema.get(key), list):
                real = [each for each in listed if each != {"type": "null"}]
                if len(real) == 1:
                    inner = real[0]
        if inner is None:
            return schema
        kept = {
            key: value
            for key, value in schema.items()
            if key not in {"$ref", "anyOf", "oneOf", "allOf"}
        }
        return {**self._resolved(inner, depth + 1), **kept}


def _leaf(
    schema: Schema, path: tuple[str, ...], *, required: bool, when: tuple[str, str] | None
) -> Field:
    dotted = ".".join(path)
    changes: dict[str, object] = {
        "key": dotted if when is None else f"{when[1]}/{dotted}",
        "label": dotted,
        "path": path,
        "when": when,
        # What has a default of its own need not be typed.
        "required": required and "default" not in schema,
    }
    if "const" in schema:
        changes |= {"kind": "fixed", "default": json.dumps(schema["const"]), "required": required}
        return Field(key="-", label="-", kind="fixed").model_copy(update=changes)
    try:
        field = field_of(path[-1], schema, required=required)
    except Unaskable:
        field = _other(schema)
    return field.model_copy(update=changes)


def _other(schema: Schema) -> Field:
    """A field for what is no single value: a list of them, or JSON."""
    items = schema.get("items")
    of = items if isinstance(items, dict) else {}
    default = schema.get("default")
    about = _text(schema.get("description"), 400)
    if schema.get("type") == "array" and of.get("type") in _ITEMS:
        item = field_of("item", {"type": of["type"]}, required=True)
        listed = default if isinstance(default, list) else []
        typed = ", ".join(one_line(each) for each in listed if isinstance(each, str))
        return Field(
            key="-", label="-", kind="list", item=item.kind, description=about, default=typed
        )
    text = "" if "default" not in schema else one_line(json.dumps(default), 200)
    return Field(key="-", label="-", kind="json", description=about, default=text)


def _title(schema: Schema, number: int) -> str:
    """What an alternative is called: its title, else what its constants say."""
    if title := _text(schema.get("title")):
        return title
    properties = schema.get("properties")
    constants = [
        _text(each.get("const"))
        for each in (properties.values() if isinstance(properties, dict) else ())
        if isinstance(each, dict)
    ]
    return " ".join(filter(None, constants)) or f"form {number}"


def _chosen(field: Field, typed: str) -> str:
    try:
        return str(field.value(typed)) if typed else field.default
    except ValueError:
        return ""


def _belongs(field: Field, found: Mapping[str, JsonValue]) -> bool:
    """Whether a fixed value goes in: it must, or what it is a part of is there."""
    if field.required or field.when is not None:
        return True
    inside: JsonValue = dict(found)
    for key in field.path[:-1]:
        inside = inside.get(key) if isinstance(inside, dict) else None
    return isinstance(inside, dict) and len(field.path) > 1


def _put(found: dict[str, JsonValue], path: tuple[str, ...], value: JsonValue) -> None:
    for key in path[:-1]:
        inner = found.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        found = inner
    found[path[-1]] = value


def _text(value: object, limit: int = NAME_LIMIT) -> str:
    return one_line(value, limit) if isinstance(value, str) else ""
