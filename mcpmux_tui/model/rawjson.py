"""JSON as spans of the bytes received: what is not ours to read stays as it came.

What is read is decoded once and its bytes are kept, so that 2**70, 1.0, escaped lone surrogates
and unknown members cross unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, NoReturn

import orjson

from mcpmux_tui.model.remember import remembered

VALUES: Final = 250_000
"""What is decoded to be read has no more values than this: about 0.1 s, and 100 MB."""
VALUES_CHECKED: Final = 500_000
"""The same for what orjson only checks."""

_SPACE = re.compile(r"[ \t\n\r]*")
_BEFORE_VALUES = b",[{"
"""What stands before every value but the first, keys apart."""
_FEW = 64
_SHORT = 4096


class Malformed(ValueError):
    """Bytes that are not what was to be read; the text says why."""


class Member(NamedTuple):
    """One member of an object: its bytes as received and, numbers apart, its decoded value."""

    raw: bytes
    value: object
    """Numbers are their text: nothing on the way may round them."""

    @property
    def text(self) -> str | None:
        """The value of a JSON string, None for any other kind."""
        return self.value if self.raw[:1] == b'"' and isinstance(self.value, str) else None


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON")


class _Number(str):
    """The text of a number, told apart from a JSON string."""

    __slots__ = ()


_decoder: Final = json.JSONDecoder(
    parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant
)


def parse_object(data: bytes) -> dict[str, Member]:
    """Return the members of the JSON object `data`, in order.

    Raises Malformed for anything else, for more than 250,000 values, and for a key that appears
    twice: two readers would disagree about its value.
    """
    text = _text(data)
    return {
        key: Member(_span(data, text, start, end), value)
        for key, value, _, start, end in _members(text)
    }


def _members(text: str) -> Iterator[tuple[str, object, int, int, int]]:
    """Each member of an object: key and value, where the key begins, where the value is."""
    seen: set[str] = set()
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise Malformed("not a JSON object")
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        _expect_end(text, at + 1)
        return
    while True:
        if text[at : at + 1] != '"':
            raise Malformed("a key is missing")
        begin = at
        key, at = _value(text, begin)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise Malformed("':' is missing")
        start = _skip(text, at + 1)
        value, end = _value(text, start)
        if not isinstance(key, str) or key in seen:
            raise Malformed("a key appears twice")
        seen.add(key)
        yield key, value, begin, start, end
        at = _skip(text, end)
        match text[at : at + 1]:
            case ",":
                at = _skip(text, at + 1)
            case "}":
                _expect_end(text, at + 1)
                return
            case _:
                raise Malformed("',' or '}' is missing")


def _text(data: bytes) -> str:
    """What is to be decoded, as text. Raises Malformed where it is not UTF-8, or too much."""
    _bound(data, VALUES)
    return decode(data)


def _span(data: bytes, text: str, start: int, end: int) -> bytes:
    """The bytes of what stands there in the text of `data`."""
    return data[start:end] if text.isascii() else text[start:end].encode("utf-8")


def unique(data: bytes) -> bool:
    """Whether `data` is surely one object that `parse_object` would take, told in less time."""
    if len(data) > VALUES:
        return False
    try:
        return isinstance(_pairs_decoder.decode(data.decode("utf-8")), dict)
    except (ValueError, RecursionError):
        return False


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a key appears twice")
    return members


_pairs_decoder: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse_constant)


def parse_array(data: bytes) -> list[Member]:
    """Return the elements of the JSON array `data`. Raises Malformed as `parse_object` does."""
    text = _text(data)
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise Malformed("not a JSON array")
    elements: list[Member] = []
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        _expect_end(text, at + 1)
        return elements
    while True:
        start = _skip(text, at)
        value, end = _value(text, start)
        elements.append(Member(_span(data, text, start, end), value))
        at = _skip(text, end)
        match text[at : at + 1]:
            case ",":
                at += 1
            case "]":
                _expect_end(text, at + 1)
                return elements
            case _:
                raise Malformed("',' or ']' is missing")


def values(data: bytes) -> int:
    """How many values a JSON text has at most, counted without decoding it.

    Every value but the first follows a comma or an opening bracket outside of strings.
    """
    bare = data.replace(rb"\\", b"").replace(rb"\"", b"")
    quotes = bare.count(b'"')
    if quotes > 4 * VALUES_CHECKED:
        return quotes  # splitting would cost as much as decoding
    structure = b"".join(bare.split(b'"')[::2])
    return 1 + sum(structure.count(mark) for mark in _BEFORE_VALUES)


def _bound(data: bytes, most: int) -> None:
    """Raises Malformed where there are more values than that."""
    # A value takes two bytes at least: its own, and what parts it from others.
    if len(data) <= 2 * most or _has_few(data):
        return
    if len(data) - len(data.translate(None, _BEFORE_VALUES)) >= most and values(data) > most:
        raise Malformed(f"more than {most} values")


def _has_few(data: bytes) -> bool:
    """Whether there are few values for sure, found out in no time: data of one long text."""
    seen = 0
    for mark in _BEFORE_VALUES:
        at = data.find(mark)
        while at >= 0:
            seen += 1
            if seen > _FEW:
                return False
            at = data.find(mark, at + 1)
    return True


def holds(data: bytes, mark: bytes, rare: bytes) -> bool:
    """Whether `mark` is in `data`; `rare` is a byte of it that large texts seldom have.

    One byte is looked for twenty times as fast as several are.
    """
    if len(data) <= _SHORT:
        return mark in data
    at, before = -1, mark.index(rare)
    for _ in range(_FEW):
        if (at := data.find(rare, at + 1)) < 0:
            return False
        if data.startswith(mark, at - before):
            return True
    return data.find(mark, max(0, at - before)) >= 0


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _value(text: str, at: int) -> tuple[object, int]:
    try:
        return _decoder.raw_decode(text, at)
    except RecursionError:
        raise Malformed("nested deeper than about a thousand levels") from None
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"not JSON ({error.__class__.__name__})") from None


def _expect_end(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise Malformed("more than one JSON value")


def member(raw: bytes | None, *path: str) -> Member | None:
    """The member below a path of keys; None where there is none, or `raw` cannot be read."""
    found: Member | None = None
    try:
        for key in path:
            found = parse_object(raw or b"{}").get(key)
            if found is None:
                return None
            raw = found.raw
    except Malformed:
        return None
    return found


def decode(data: bytes) -> str:
    """Return `data` as text; raises Malformed where it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None


def splice(data: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """Return the object `data` with top-level members set (raw JSON) or, for None, removed.

    The bytes of every other value stay as they are. New members go first.
    """
    return joined(parse_object(data), changes)


def joined(members: Mapping[str, Member], changes: Mapping[str, bytes | None]) -> bytes:
    """The object that `members` make, changed as `splice` does."""
    parts: list[bytes] = []
    for key, raw in changes.items():
        if raw is not None and key not in members:
            parts += (b",", quoted(key), b":", raw)
    for key, member in members.items():
        raw = changes.get(key, member.raw)
        if raw is not None:
            parts += (b",", quoted(key), b":", raw)
    parts[:1] = [b"{"]
    parts.append(b"}")
    return b"".join(parts)


def without(data: bytes, key: str) -> bytes:
    """The object `data` without one top-level member; every other byte stays."""
    text = _text(data)
    spans = {found: (begin, end) for found, _, begin, _, end in _members(text)}
    if key not in spans:
        return data
    start, end = spans[key]
    keys = list(spans)
    at = keys.index(key)
    if at + 1 < len(keys):
        end, _ = spans[keys[at + 1]]
    elif at:
        _, start = spans[keys[at - 1]]
    return (text[:start] + text[end:]).encode("utf-8")


def checked_object(span: bytes, most: int) -> bytes | None:
    """A span that is one JSON object and nothing else, None if orjson does not say so.

    Raises Malformed for more than `most` values.
    """
    if not span.startswith(b"{"):
        return None
    _bound(span, most)
    return span.rstrip(b" \t\r\n") if is_object(span) else None


def is_object(span: bytes) -> bool:
    """Whether a span is one object and nothing else, as orjson sees it."""
    if not span.startswith(b"{"):
        return False
    try:
        orjson.loads(span)
    except orjson.JSONDecodeError:
        return False
    return True


def dumps(value: object) -> bytes:
    """JSON text of a value of our own, ASCII, compact."""
    return _encode(value).encode("ascii")


@remembered
def quoted(text: str) -> bytes:
    """A JSON string, ASCII."""
    return dumps(text)


_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
