"""What the bridge reads of a message; the message itself goes on byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from mcpmux_tui.model.protocol import (
    ACKNOWLEDGED,
    HEADER_METHOD,
    HEADER_NAME,
    HEADER_PROTOCOL_VERSION,
    LIST_CHANGED,
    META_PROTOCOL_VERSION,
    META_SUBSCRIPTION_ID,
    NAMED,
    header_value,
)

_NOTHING: Final[Mapping[str, object]] = {}


class Malformed(ValueError):
    """A line that is not one JSON-RPC message; the text says why."""


class Number(str):
    """The text of a number: an id stays as it came, and no size of one is too large."""

    __slots__ = ()


_decoder: Final = json.JSONDecoder(parse_int=Number, parse_float=Number)


class Message(NamedTuple):
    """One message of the client."""

    raw: bytes
    id: str | None
    """Raw JSON."""
    method: str | None
    params: Mapping[str, object]
    version: str | None
    """The revision its envelope names; None in the era of sessions."""

    @property
    def is_request(self) -> bool:
        """Whether an answer belongs to it."""
        return self.id is not None and self.method is not None

    @property
    def name(self) -> str | None:
        """The tool, prompt or resource it is about."""
        name = self.params.get(NAMED.get(self.method or "", ""))
        return name if isinstance(name, str) and not isinstance(name, Number) else None

    def headers(self) -> bytes:
        """The headers that repeat parts of a 2026 message (spec: basic/transports)."""
        lines = f"{HEADER_PROTOCOL_VERSION}: {header_value(self.version or '')}\r\n"
        lines += f"{HEADER_METHOD}: {header_value(self.method or '')}\r\n"
        if (name := self.name) is not None:
            lines += f"{HEADER_NAME}: {header_value(name)}\r\n"
        return lines.encode("ascii")


def parse(line: bytes) -> Message:
    """Read a line. Raises Malformed."""
    value = decode(line)
    if not isinstance(value, dict):
        raise Malformed("not one JSON-RPC message")
    method = value.get("method")
    params = value.get("params")
    if not isinstance(params, dict):
        params = _NOTHING
    meta = params.get("_meta")
    version = meta.get(META_PROTOCOL_VERSION) if isinstance(meta, dict) else None
    return Message(
        line,
        _raw_id(value["id"]) if "id" in value else None,
        method if isinstance(method, str) else None,
        params,
        version if isinstance(version, str) else None,
    )


def decode(data: bytes) -> object:
    """JSON whose numbers stay text. Raises Malformed."""
    try:
        return _decoder.decode(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None


def _raw_id(value: object) -> str | None:
    if value is None:
        return None
    return str(value) if isinstance(value, Number) else json.dumps(value)


def cancelled_id(message: Message) -> str | None:
    """The request that a notification takes back."""
    return _raw_id(message.params.get("requestId"))


def one_line(message: bytes) -> bytes:
    """A message as one line: a raw line break can only stand between its tokens."""
    if b"\n" in message or b"\r" in message:
        return message.replace(b"\r", b" ").replace(b"\n", b" ")
    return message


def error(raw_id: str | None, code: int, sentence: str) -> bytes:
    """An error response of the bridge's own."""
    return b'{"jsonrpc":"2.0","id":%b,"error":{"code":%d,"message":%b}}' % (
        (raw_id or "null").encode("utf-8"),
        code,
        json.dumps(sentence).encode("ascii"),
    )


def error_for(message: Message, body: bytes) -> bytes | None:
    """The JSON-RPC error in a refusal, as the answer to `message`; None where there is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("error"), dict):
        return None
    own = (message.id or "null").encode("utf-8")
    # A server that refuses a header has not looked for the id.
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (own, json.dumps(found["error"]).encode())


def acknowledges(data: bytes) -> bool:
    """Whether a message is the first of a subscription's stream."""
    return ACKNOWLEDGED.encode("ascii") in data and parse(data).method == ACKNOWLEDGED


def changed(acknowledged: Message) -> Iterator[bytes]:
    """What a subscription that was taken up again tells the client: lists may be others now."""
    notifications, meta = (acknowledged.params.get(key) for key in ("notifications", "_meta"))
    if not isinstance(notifications, dict) or not isinstance(meta, dict):
        return
    # Ids are text or numbers; a number goes back as it came.
    subscription = _raw_id(meta.get(META_SUBSCRIPTION_ID)) or "null"
    own = f"{{{json.dumps(META_SUBSCRIPTION_ID)}:{subscription}}}"
    for capability, method in LIST_CHANGED.items():
        if notifications.get(f"{capability}ListChanged") is True:
            yield f'{{"jsonrpc":"2.0","method":"{method}","params":{{"_meta":{own}}}}}'.encode()
