"""What a server asks the person, as doors show it, and which answers fit.

Spec: 2025-11-25 client/elicitation: a form of primitive fields, or an address to open.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import JsonValue

from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.frozen import Frozen
from mcpmux_tui.text import NAME_LIMIT, clean, one_line

_MESSAGE = 2_000
_ADDRESS = 2_048
_FIELDS = 32
_CHOICES = 200
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_SECRET = re.compile(r"passw|secret|token|api.?key|credential|private.?key|\bpin\b", re.IGNORECASE)
Kind = Literal[
    "text", "number", "integer", "boolean", "choice", "choices", "list", "json", "variant", "fixed"
]
Verdict = Literal["accept", "decline", "cancel"]
_KINDS: Final[Mapping[object, Kind]] = {
    "string": "text",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
}
_BOOLEANS: Final = {"yes": True, "true": True, "y": True, "no": False, "false": False, "n": False}


class Unaskable(Exception):
    """A question that no person can be shown as it is meant; says why."""


class Choice(Frozen):
    """One value of a field that has a list of them."""

    value: str
    title: str


class Field(Frozen):
    """One field of a form; all text is clean."""

    key: str
    label: str
    kind: Kind
    description: str = ""
    required: bool = False
    default: str = ""
    """As a person would type it."""
    choices: tuple[Choice, ...] = ()
    least: float | None = None
    """Of a number its value, of a text its characters, of choices their count."""
    most: float | None = None
    item: Kind = "text"
    """Of a list, what each of its values is."""
    path: tuple[str, ...] = ()
    """Where the value goes in nested arguments; empty: under `key`."""
    when: tuple[str, str] | None = None
    """Asked for only when the variant of this key is chosen to be this."""

    @property
    def wants_secret(self) -> bool:
        """Whether it seems to ask for a password or the like, which servers must not."""
        return bool(_SECRET.search(f"{self.key} {self.label}"))

    def value(self, typed: str) -> JsonValue:
        """The value of what a person typed. Raises ValueError with what is wrong with it."""
        match self.kind:
            case "boolean":
                if (flag := _BOOLEANS.get(typed.strip().lower())) is None:
                    raise ValueError("must be yes or no")
                return flag
            case "integer" | "number":
                return self._number(typed.strip())
            case "choice" | "variant":
                return self._chosen(typed.strip())
            case "json" | "fixed":
                return _json(typed)
            case "list":
                return self._listed(typed.strip())
            case "choices":
                values = [self._chosen(each) for part in typed.split(",") if (each := part.strip())]
                self._within(len(values), "choices")
                return list(dict.fromkeys(values))
        self._within(len(typed), "characters")
        return typed

    def _listed(self, typed: str) -> JsonValue:
        if typed.startswith("["):
            return _json(typed)
        each = Field(key=self.key, label=self.label, kind=self.item)
        return [each.value(text) for part in typed.split(",") if (text := part.strip())]

    def _number(self, typed: str) -> float:
        try:
            number = int(typed) if self.kind == "integer" else float(typed)
        except ValueError:
            raise ValueError(f"must be {_article(self.kind)}") from None
        if not math.isfinite(number):
            raise ValueError("must be a finite number")
        self._within(number, "")
        return number

    def _chosen(self, typed: str) -> str:
        for choice in self.choices:
            if typed in {choice.value, choice.title}:
                return choice.value
        raise ValueError(f"must be of: {', '.join(choice.value for choice in self.choices)}")

    def _within(self, number: float, unit: str) -> None:
        if self.least is not None and number < self.least:
            raise ValueError(f"must be at least {self.least:g} {unit}".rstrip())
        if self.most is not None and number > self.most:
            raise ValueError(f"must be at most {self.most:g} {unit}".rstrip())


class Question(Frozen):
    """One question of a server that waits for a person."""

    id: int
    server: str
    message: str
    """What the server says; clean."""
    url: str = ""
    """The address a person is to open, by hand; empty for a form."""
    fields: tuple[Field, ...] = ()
    since: float
    """Unix time at which it was asked."""

    @property
    def summary(self) -> str:
        """One line for a screen."""
        return f"{self.server} asks: {one_line(self.message, 120)}"

    def content(self, typed: Mapping[str, str]) -> dict[str, JsonValue]:
        """The values of what a person typed, by key; what is left empty takes its default.

        Raises ControlError with all that does not fit.
        """
        values: dict[str, JsonValue] = {}
        wrong = [
            f"{one_line(key, NAME_LIMIT)} is not asked for"
            for key in typed
            if key not in {field.key for field in self.fields}
        ]
        for field in self.fields:
            text = typed.get(field.key, "") or field.default
            if not text:
                if field.required:
                    wrong.append(f"{field.key} is missing")
                continue
            try:
                values[field.key] = field.value(text)
            except ValueError as error:
                wrong.append(f"{field.key} {error}")
        if wrong:
            raise ControlError(f"The answer does not fit: {'; '.join(wrong)}.")
        return values


def parse(number: int, server: str, params: bytes, since: float) -> Question:
    """The question in the params of `elicitation/create`. Raises Unaskable."""
    try:
        asked = json.loads(params)
    except (ValueError, RecursionError):
        raise Unaskable("it could not be read") from None
    message = asked.get("message") if isinstance(asked, dict) else None
    if not isinstance(message, str):
        raise Unaskable("it says nothing")
    question = Question(id=number, server=server, message=clean(message, _MESSAGE), since=since)
    if asked.get("mode", "form") == "url":
        return question.model_copy(update={"url": _address(asked.get("url"))})
    schema = asked.get("requestedSchema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or len(properties) > _FIELDS:
        raise Unaskable("its form could not be read")
    needed = schema.get("required")
    required = needed if isinstance(needed, list) else []
    fields = tuple(field_of(key, of, required=key in required) for key, of in properties.items())
    return question.model_copy(update={"fields": fields})


def _address(url: object) -> str:
    """An address that a person may be shown to open. Raises Unaskable."""
    if not isinstance(url, str) or len(url) > _ADDRESS or one_line(url, _ADDRESS) != url:
        raise Unaskable("its address could not be read")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise Unaskable("its address could not be read") from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not host or not secure:
        raise Unaskable("its address is not safe to open")
    return url


def field_of(key: str, schema: object, *, required: bool) -> Field:
    """The field that a property of a schema makes. Raises Unaskable."""
    if one_line(key, NAME_LIMIT) != key or not key or not isinstance(schema, dict):
        raise Unaskable("its form has a field that could not be read")
    of: Mapping[str, object] = schema
    many = of.get("type") == "array"
    items = of.get("items") if many else of
    choices = _choices(items) if isinstance(items, dict) else ()
    kind: Kind | None = _KINDS.get(of.get("type"))
    if many:
        kind = "choices"
    elif choices:
        kind = "choice"
    if kind is None or (many and not choices):
        raise Unaskable(f"its form has a field of a kind that mcpmux does not know ({key})")
    low, high = {
        "text": ("minLength", "maxLength"),
        "choices": ("minItems", "maxItems"),
    }.get(kind, ("minimum", "maximum"))
    return Field(
        key=key,
        label=_text(of.get("title")) or key,
        kind=kind,
        description=_text(of.get("description")),
        required=required,
        default=_typed(of.get("default")),
        choices=choices,
        least=_bound(of.get(low)),
        most=_bound(of.get(high)),
    )


def _choices(schema: Mapping[str, object]) -> tuple[Choice, ...]:
    """The values of `enum` (with `enumNames`), `oneOf` or `anyOf`."""
    values, names = schema.get("enum"), schema.get("enumNames")
    pairs: list[tuple[object, object]] = []
    if isinstance(values, list):
        titles = names if isinstance(names, list) and len(names) == len(values) else values
        pairs = list(zip(values, titles, strict=True))
    for key in ("oneOf", "anyOf"):
        if isinstance(each := schema.get(key), list):
            pairs += [(one.get("const"), one.get("title")) for one in each if isinstance(one, dict)]
    if len(pairs) > _CHOICES:
        raise Unaskable("its form has a field with too many choices")
    choices = []
    for value, title in pairs:
        if not isinstance(value, str) or one_line(value, NAME_LIMIT) != value:
            raise Unaskable("its form has a choice that could not be read")
        choices.append(Choice(value=value, title=_text(title) or value))
    return tuple(choices)


def _typed(default: object) -> str:
    match default:
        case bool():
            return "yes" if default else "no"
        case int() | float():
            return str(default)
        case str():
            return one_line(default)
        case list():
            return ", ".join(one_line(each) for each in default if isinstance(each, str))
    return ""


def _bound(value: object) -> float | None:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if numeric and abs(value) < 1e300 else None  # type: ignore[arg-type]


def _text(value: object) -> str:
    return one_line(value, NAME_LIMIT) if isinstance(value, str) else ""


def _json(typed: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(typed)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON") from None
    return value


def _article(kind: str) -> str:
    return "a whole number" if kind == "integer" else "a number"
