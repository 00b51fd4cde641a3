"""One HTTP exchange: a request's header and body in, JSON or an event stream out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.jsonrpc import Malformed, Message
from mcpmux_tui.model.protocol import INVALID_REQUEST, PARSE_ERROR

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from mcpmux_tui.proxy.connection import Connection

JSON = b"application/json"
SSE = b"text/event-stream"
TEXT = b"text/plain"
Header = tuple[bytes, bytes]

_STREAM_HEADERS: tuple[Header, ...] = (
    (b"content-type", SSE),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class ClientGone(Exception):
    """The client closed its connection; nobody waits for an answer."""


class BodyTooLarge(Exception):
    """The body is beyond the limit."""


class Exchange:
    """One request and its response."""

    __slots__ = (
        "_cycle", "_receive", "_send", "connection", "headers", "method", "path",
        "raw_headers", "started", "target",
    )  # fmt: skip

    def __init__(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        self.method = scope["method"]
        self.path = scope["path"]
        self.target: bytes = scope["state"]["target"]
        """As it stands in the request line."""
        self.raw_headers = list(scope["headers"])
        self.headers = dict(self.raw_headers)
        """Names in lower case; of a repeated one the last."""
        self.started = False
        self.connection: Connection = scope["state"]["connection"]
        self._cycle: RequestResponseCycle = scope["state"]["cycle"]
        self._receive = receive
        self._send = send

    @property
    def repeated(self) -> frozenset[str]:
        """Names of headers that came more than once."""
        if len(self.headers) == len(self.raw_headers):
            return frozenset()
        names = [name for name, _ in self.raw_headers]
        return frozenset(name.decode("latin-1") for name in names if names.count(name) > 1)

    def header(self, name: str) -> str | None:
        """One header's value."""
        value = self.headers.get(name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    def sends_json(self) -> bool:
        """Whether the body is declared to be JSON."""
        kind = self.headers.get(b"content-type", b"")
        return kind.partition(b";")[0].strip().lower() == JSON

    def accepts(self, kind: bytes) -> bool:
        """Whether the client takes answers of a media type; one that says nothing takes any."""
        accept = self.headers.get(b"accept")
        if accept is None or kind in accept:
            return True
        wild = {b"*/*", kind.partition(b"/")[0] + b"/*", kind}
        return any(part.partition(b";")[0].strip() in wild for part in accept.lower().split(b","))

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises BodyTooLarge, ClientGone."""
        cycle = self._cycle
        if not (cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue):
            if len(cycle.body) > limit:
                raise BodyTooLarge
            whole, cycle.body = bytes(cycle.body), bytearray()
            cycle.flow.resume_reading()
            return whole
        parts: list[bytes] = []
        size = 0
        while True:
            event = await self._receive()
            if event["type"] != "http.request":
                raise ClientGone
            size += len(event["body"])
            if size > limit:
                raise BodyTooLarge
            parts.append(event["body"])
            if not event["more_body"]:
                return b"".join(parts)

    async def message(self, limit: int) -> Message | None:
        """The one JSON-RPC message posted; None when the request has been refused.

        Raises BodyTooLarge, ClientGone.
        """
        if not self.accepts(JSON):
            await self.refuse(406, "Accept must name application/json.")
            return None
        if not self.sends_json():
            await self.refuse(415, "Content-Type must be application/json.")
            return None
        body = await self.body(limit)
        try:
            return jsonrpc.parse_message(body)
        except Malformed as error:
            code = INVALID_REQUEST if _is_json(body) else PARSE_ERROR
            await self.refuse(400, f"The body is not one JSON-RPC message: {error}.", code=code)
            return None

    @contextmanager
    def when_gone(self, act: Callable[[], object]) -> Iterator[None]:
        """Call `act` should the client go away inside the block. Raises ClientGone if it has."""
        if self.connection.gone:
            raise ClientGone
        self.connection.on_gone = act
        try:
            yield
        finally:
            self.connection.on_gone = None

    async def reply(
        self, status: int, body: bytes = b"", *headers: Header, kind: bytes = JSON
    ) -> None:
        """Answer with a whole body, or with none."""
        self.started = True
        length = (b"content-length", b"%d" % len(body))
        described = ((b"content-type", kind), length) if body else (length,)
        if self.connection.answer(self._cycle, status, (*described, *headers), body):
            return
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": (*described, *headers),
            }
        )
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def refuse(
        self, status: int, message: str, *headers: Header, code: int = INVALID_REQUEST
    ) -> None:
        """Answer with a JSON-RPC error that belongs to no request."""
        body = jsonrpc.error(None, jsonrpc.error_object(code, message))
        await self.reply(status, body, *headers)

    async def start_stream(self) -> None:
        """Begin an event stream."""
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})

    async def push(self, data: bytes, *, last: bool = False) -> None:
        """Send bytes of an event stream."""
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def sse_event(message: bytes, id: bytes = b"") -> bytes:
    """One message as a server-sent event. JSON of our own has no raw line breaks."""
    named = b"event: message\n" + (b"id: " + id + b"\n" if id else b"")
    return named + b"data: " + message + b"\n\n"
