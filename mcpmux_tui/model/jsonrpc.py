"""JSON-RPC messages as spans of the bytes received: what is not ours to read stays as it came.

Spec: JSON-RPC 2.0 and MCP basic/index. `params`, `result` and `error` are never decoded and
encoded again, so unknown fields, 2**70, 1.0 and escaped lone surrogates cross unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from mcpmux_tui.model.errors import RpcError
from mcpmux_tui.model.protocol import INTERNAL_ERROR
from mcpmux_tui.model.rawjson import (
    VALUES,
    VALUES_CHECKED,
    Malformed,
    Member,
    checked_object,
    dumps,
    parse_object,
    quoted,
)
from mcpmux_tui.text import one_line

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


class Message(NamedTuple):
    """One message; every field but `method` is the raw JSON text, None where absent."""

    id: bytes | None = None
    method: str | None = None
    params: bytes | None = None
    result: bytes | None = None
    error: bytes | None = None


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
    if version is None or version.text != "2.0":
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
        result = checked_object(span, VALUES_CHECKED)
        return None if result is None else Message(raw_id, result=result)
    params = checked_object(span, VALUES)
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


def _method(members: Mapping[str, Member]) -> str | None:
    member = members.get("method")
    if member is None:
        return None
    if member.text is None:
        raise Malformed('"method" is not a string')
    return member.text


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


def request(raw_id: bytes, method: str, params: bytes | None, end: bytes = b"") -> bytes:
    """A request, and what ends its line."""
    name = quoted(method)
    if params is None:
        return b'{"jsonrpc":"2.0","id":%b,"method":%b}%b' % (raw_id, name, end)
    # Large params are copied once.
    return b'{"jsonrpc":"2.0","id":%b,"method":%b,"params":%b}%b' % (raw_id, name, params, end)


def notification(method: str, params: bytes | None = None) -> bytes:
    """A notification, without the line feed."""
    if params is None:
        return b'{"jsonrpc":"2.0","method":%b}' % quoted(method)
    return b'{"jsonrpc":"2.0","method":%b,"params":%b}' % (quoted(method), params)


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
