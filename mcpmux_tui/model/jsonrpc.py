"""JSON-RPC messages as spans of the bytes received: what is not ours to read stays as it came.

Spec: JSON-RPC 2.0 and MCP basic/index. `params`, `result` and `error` are never decoded and
encoded again, so unknown fields, 2**70, 1.0 and escaped lone surrogates cross unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, NoReturn

import orjson

from mcpmux_tui.model.errors import RpcError
from mcpmux_tui.model.protocol import INTERNAL_ERROR
from mcpmux_tui.model.remember import remembered
from mcpmux_tui.text import one_line

_SPACE = re.compile(r"[ \t\n\r]*")
# Bounded: sre keeps a hundred bytes for each round of such a group.
_ID_BYTES = rb'(-?(?:0|[1-9][0-9]{0,1023})|"(?:[^"\\\x00-\x1f]|\\.){0,1024}")'
_ID = re.compile(_ID_BYTES)
# The two orders in which SDKs write a response, or a request with params; one regex each spares
# decoding what is large.
_WHAT = rb'"(?:result|method"\s*:\s*"([A-Za-z0-9_/.$-]{1,200})"\s*,\s*"params)"\s*:\s*'
_ID_FIRST = re.compile(
    rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*' + _ID_BYTES + rb"\s*,\s*" + _WHAT
)
_WHAT_FIRST = re.compile(rb"\s*\{\s*" + _WHAT)
_ID_LAST = re.compile(rb',\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*' + _ID_BYTES + rb"\s*\}\s*\Z")
_ANY_ID = re.compile(rb'"id"\s*:\s*' + _ID_BYTES)
_TAIL = 512
_ID_LIMIT = 1024
_VALUES = 250_000
"""What is decoded to be read has no more values than this: about 0.1 s, and 100 MB."""
_VALUES_CHECKED = 500_000
"""The same for a result that orjson only checks."""
_BEFORE_VALUES = b",[{"
"""What stands before every value but the first, keys apart."""
_FEW = 64


class Malformed(ValueError):
    """Bytes that are not one JSON-RPC message, or not one JSON object; the text says why."""


class Message(NamedTuple):
    """One message; every field but `method` is the raw JSON text, None where absent."""

    id: bytes | None = None
    method: str | None = None
    params: bytes | None = None
    result: bytes | None = None
    error: bytes | None = None


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
    _bound(data, _VALUES)
    return decode(data)


def _span(data: bytes, text: str, start: int, end: int) -> bytes:
    """The bytes of what stands there in the text of `data`."""
    return data[start:end] if text.isascii() else text[start:end].encode("utf-8")


def unique(data: bytes) -> bool:
    """Whether `data` is surely one object that `parse_object` would take, told in less time."""
    if len(data) > _VALUES:
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

_CALL = re.compile(rb'\{"name":("[^"\\\x00-\x1f]{1,200}"),"arguments":(?=\{)', re.ASCII)
_META = b',"_meta":'
_CLOSED_AND_MORE = re.compile(rb'\}[ \t\n\r]*,[ \t\n\r]*"')


def parse_call(params: bytes) -> dict[str, Member] | None:
    """What `parse_object` would return, for the order in which SDKs write a call; else None.

    `params` are those of a parsed message. Values are not decoded here but for names.
    """
    head = _CALL.match(params)
    if head is None or not params.endswith(b"}}"):
        return None
    # They are known to be one object, so the last brace is its own, and `},"_meta":{` is no part
    # of a string: its quote is not escaped, and no string ends before a letter. If one object
    # reaches from there to the last brace, it is a member of the params themselves.
    start, end = head.end(), len(params) - 1
    closed = params.find(b"}", start)
    at = params.rfind(b"}" + _META + b"{", closed, end) + 1
    if at and _known_object(meta := params[at + len(_META) : end]):
        stop = at
    else:
        stop, meta = end, b""
    arguments = params[start:stop]
    # Where they end before that, a comma and a key come after a closing brace.
    if _CLOSED_AND_MORE.search(params, closed, stop) and not _is_object(arguments):
        return None
    name = head[1]
    members = {"name": Member(name, name[1:-1].decode("utf-8")), "arguments": Member(arguments, {})}
    if meta:
        members["_meta"] = Member(meta, {})
    return members


def _is_object(span: bytes) -> bool:
    """Whether a span is one object and nothing else."""
    if not span.startswith(b"{"):
        return False
    try:
        orjson.loads(span)
    except orjson.JSONDecodeError:
        return False
    return True


_known_object = remembered(_is_object)
"""The same of what comes again, such as the `_meta` of a client."""


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
    if quotes > 4 * _VALUES_CHECKED:
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


def parse_message(data: bytes) -> Message:
    """Return one message, its parts as received.

    Raises Malformed for what is not exactly one JSON-RPC request, notification or response (a
    batch, NaN, another encoding, an id that is neither an integer nor a string), and for one with
    more values than can be read without holding up everybody else.
    """
    if (fast := _parse_common(data)) is not None:
        return fast
    members = parse_object(data)
    version = members.get("jsonrpc")
    if version is None or version.value != "2.0" or isinstance(version.value, _Number):
        raise Malformed('"jsonrpc" is not "2.0"')
    method = _method(members)
    raw_id = _id(members, null_allowed="error" in members)
    outcome = [key for key in ("result", "error") if key in members]
    if method is not None and not outcome:
        params = members.get("params")
        if params is not None and not isinstance(params.value, dict):
            raise Malformed('"params" is not an object')
        return Message(id=raw_id, method=method, params=_raw(params))
    if method is None and len(outcome) == 1 and "id" in members:
        member = members[outcome[0]]
        if not isinstance(member.value, dict):
            raise Malformed(f'"{outcome[0]}" is not an object')
        raw = _raw(member)
        return (
            Message(id=raw_id, result=raw)
            if outcome[0] == "result"
            else Message(id=raw_id, error=raw)
        )
    raise Malformed("neither a request, a notification nor a response")


def _parse_common(data: bytes) -> Message | None:
    """The usual shapes of a successful response and of a request, or None to take the long way."""
    if (head := _ID_FIRST.match(data)) is not None:
        raw_id, method = head[1], head[2]
        span = _to_the_end(data, head.end())
    elif (head := _WHAT_FIRST.match(data)) is not None:
        method = head[1]
        raw_id, span = _to_the_id(data, head.end())
    else:
        return None
    if method is None:
        result = _object(span, _VALUES_CHECKED)
        return None if result is None else Message(raw_id, result=result)
    params = _object(span, _VALUES)
    return None if params is None else Message(raw_id, method.decode("ascii"), params)


def _to_the_end(data: bytes, start: int) -> bytes:
    """What stands from `start` to the last brace, nothing if no brace is the last."""
    end = len(data.rstrip(b" \t\r\n")) - 1
    return data[start:end] if end > start and data[end : end + 1] == b"}" else b""


def _to_the_id(data: bytes, start: int) -> tuple[bytes, bytes]:
    """The id at the very end, and what stands from `start` to what belongs to it."""
    version = data.rfind(b'"jsonrpc"', max(start, len(data) - _TAIL))
    comma = data.rfind(b",", start, version) if version >= 0 else -1
    tail = _ID_LAST.match(data, comma) if comma >= 0 else None
    return (b"", b"") if tail is None else (tail[1], data[start:comma])


def _object(span: bytes, most: int) -> bytes | None:
    """A span that is one JSON object and nothing else, None if orjson does not say so.

    Raises Malformed for more than `most` values.
    """
    if not span.startswith(b"{"):
        return None
    _bound(span, most)
    try:
        orjson.loads(span)
    except orjson.JSONDecodeError:
        return None
    return span.rstrip(b" \t\r\n")


def _method(members: Mapping[str, Member]) -> str | None:
    member = members.get("method")
    if member is None:
        return None
    if not isinstance(member.value, str) or isinstance(member.value, _Number):
        raise Malformed('"method" is not a string')
    return member.value


def _id(members: Mapping[str, Member], *, null_allowed: bool) -> bytes | None:
    member = members.get("id")
    if member is None or (null_allowed and member.value is None):
        return None
    if len(member.raw) > _ID_LIMIT or _ID.fullmatch(member.raw) is None:
        raise Malformed('"id" is neither an integer nor a string')
    return member.raw


def _raw(member: Member | None) -> bytes | None:
    return None if member is None else member.raw


def salvage_id(data: bytes) -> bytes | None:
    """The id an unreadable message most likely carries, so that its call can be failed."""
    found = _ANY_ID.search(data[:_TAIL]) or _ANY_ID.search(data[-_TAIL:])
    return found[1] if found else None


def request(raw_id: bytes, method: str, params: bytes | None) -> bytes:
    """A request line, without the line feed."""
    return b'{"jsonrpc":"2.0","id":%b,"method":%b%b}' % (raw_id, quoted(method), _with(params))


def notification(method: str, params: bytes | None = None) -> bytes:
    """A notification line, without the line feed."""
    return b'{"jsonrpc":"2.0","method":%b%b}' % (dumps(method), _with(params))


def _with(params: bytes | None) -> bytes:
    return b"" if params is None else b',"params":' + params


def result(raw_id: bytes, raw: bytes) -> bytes:
    """A successful response around a raw result."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (raw_id, raw)


def error(raw_id: bytes | None, raw: bytes) -> bytes:
    """An error response around a raw error object."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (raw_id or b"null", raw)


def error_object(code: int, message: str, data: object = None) -> bytes:
    """A raw error object of our own."""
    body: dict[str, object] = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    return dumps(body)


def rpc_error(raw: bytes) -> RpcError:
    """The error that the other side answered, with its code and a clean message for people."""
    try:
        members = parse_object(raw)
        code = int(str(members["code"].value))
        message = str(members["message"].value)
    except (Malformed, KeyError, ValueError):
        code, message = INTERNAL_ERROR, "answered an error without code and message"
    return RpcError(raw, code, one_line(message))


def dumps(value: object) -> bytes:
    """JSON text of a value of our own, ASCII, compact."""
    return _encode(value).encode("ascii")


@remembered
def quoted(text: str) -> bytes:
    """A JSON string, ASCII."""
    return dumps(text)


_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
