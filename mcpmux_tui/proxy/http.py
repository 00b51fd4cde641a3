"""One HTTP exchange: a request's header and body in, JSON or an event stream out."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from http import HTTPStatus
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import unquote

import orjson

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.protocol import INVALID_REQUEST, PARSE_ERROR
from mcpmux_tui.model.rawjson import Malformed

if TYPE_CHECKING:
    from mcpmux_tui.proxy.connection import Connection

JSON = b"application/json"
SSE = b"text/event-stream"
TEXT = b"text/plain"
_LONG = 64 * 1024
"""Bytes of a body that is sent apart from its header: no copy of both is made."""
Header = tuple[bytes, bytes]

_log = logging.getLogger(__name__)
_STATUS = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE: Header = (b"connection", b"close")
_CHUNKED: Header = (b"transfer-encoding", b"chunked")
_STREAM_HEADERS: tuple[Header, ...] = (
    (b"content-type", SSE),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class ClientGone(Exception):
    """The client closed its connection; nobody waits for an answer."""


class BodyTooLarge(Exception):
    """The body is beyond the limit."""


class Head:
    """A request's header but for the length: one that comes again on a connection is read once."""

    __slots__ = (
        "_texts", "_verb", "accepts_json", "accepts_sse", "awaits_continue", "headers", "let_in",
        "lines", "method", "path", "repeated", "sends_json", "target", "version",
    )  # fmt: skip

    def __init__(
        self, verb: bytes, target: bytes, path: bytes, version: str, lines: list[Header]
    ) -> None:
        self._verb = verb
        self.method = verb.decode("ascii")
        self.target = target
        """As it stands in the request line."""
        self.version = version
        self.lines = lines
        self.headers = {name: value.rstrip(b" \t") for name, value in lines}
        """Names in lower case; of a repeated one the last."""
        self._texts = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers.items()
        }
        counted = Counter(name for name, _ in lines)
        self.repeated = frozenset(
            name.decode("latin-1") for name, count in counted.items() if count > 1
        )
        """Names of headers that came more than once."""
        self.path = unquote(path.decode("ascii"))
        self.let_in = False
        """Whether the guard has let it in."""
        self.accepts_json = self._accepts(JSON)
        self.accepts_sse = self._accepts(SSE)
        kind = self.headers.get(b"content-type", b"")
        self.sends_json = kind.partition(b";")[0].strip().lower() == JSON
        expected = self.headers.get(b"expect", b"").lower()
        self.awaits_continue = expected == b"100-continue" and version == "1.1"
        """Whether the body may never come unless somebody asks for it."""

    def equals(self, verb: bytes, target: bytes, version: str, lines: list[Header]) -> bool:
        """Whether this is the same header."""
        return (
            lines == self.lines
            and target == self.target
            and verb == self._verb
            and version == self.version
        )

    def value(self, name: str) -> str | None:
        """One header's value."""
        return self._texts.get(name)

    def _accepts(self, kind: bytes) -> bool:
        """Whether the client takes answers of a media type; one that says nothing takes any."""
        given = [value for name, value in self.lines if name == b"accept"]
        accept = b",".join(given)
        if not given or kind in accept:
            return True
        wild = {b"*/*", kind.partition(b"/")[0] + b"/*", kind}
        return any(part.partition(b";")[0].strip() in wild for part in accept.lower().split(b","))


class Exchange:
    """One request and its response."""

    __slots__ = (
        "_arrival", "_body", "_chunked", "_lasting", "connection", "finished", "head", "length",
        "reading", "started", "unread", "whole",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, head: Head, length: bytes | None, *, lasting: bool
    ) -> None:
        """`lasting` says whether the connection may serve more requests after this one."""
        self.connection = connection
        self.head = head
        self.length = length
        """What the client says of the length of the body."""
        self.whole = False
        """Whether the body is here."""
        self.reading = False
        """Whether somebody waits for it."""
        self.started = False
        self.finished = False
        self._lasting = lasting
        self._body: bytes | BytesIO = b""
        self.unread = 0
        """How many bytes of the body are here."""
        self._arrival: asyncio.Future[None] | None = None
        self._chunked = False

    @property
    def lasting(self) -> bool:
        """Whether the connection stays open after it."""
        if not self._lasting or self.connection.stopping:
            return False
        # Nobody knows whether a body that was not asked for will still come.
        return self.whole or self.reading or not self.head.awaits_continue

    def feed(self, data: bytes) -> None:
        """Some of the body has arrived."""
        if not self.unread:
            self._body = data  # most often all of it
        else:
            if isinstance(self._body, bytes):
                first, self._body = self._body, BytesIO()
                self._body.write(first)
            self._body.write(data)
        self.unread += len(data)
        self.arrived()

    def arrived(self) -> None:
        """There is more of the body, all of it, or there will be none."""
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises BodyTooLarge, ClientGone."""
        transport = self.connection.transport
        if self.head.awaits_continue and not (self.whole or transport.is_closing()):
            transport.write(_CONTINUE)
        self.reading = True
        while not self.whole:
            if self.connection.gone:
                raise ClientGone
            if self.unread > limit:
                raise BodyTooLarge
            transport.resume_reading()
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        return self._taken(limit)

    def _taken(self, limit: int) -> bytes:
        if self.unread > limit:
            raise BodyTooLarge
        body = self._body if isinstance(self._body, bytes) else self._body.getvalue()
        self._drop_body()
        return body

    def _drop_body(self) -> None:
        self._body, self.unread = b"", 0

    async def message(self, limit: int) -> Message | None:
        """The one JSON-RPC message posted; None when the request has been refused.

        Raises BodyTooLarge, ClientGone.
        """
        if not self.head.accepts_json:
            self.refuse(406, "Accept must name application/json.")
            return None
        if not self.head.sends_json:
            self.refuse(415, "Content-Type must be application/json.")
            return None
        body = self._taken(limit) if self.whole else await self.body(limit)
        try:
            return jsonrpc.parse_message(body)
        except Malformed as error:
            code = INVALID_REQUEST if _is_json(body) else PARSE_ERROR
            self.refuse(400, f"The body is not one JSON-RPC message: {error}.", code=code)
            return None

    def when_gone(self, act: Callable[[], object]) -> WhenGone:
        """Call `act` should the client go away inside the block. Raises ClientGone if it has."""
        return WhenGone(self.connection, act)

    def reply(self, status: int, body: bytes = b"", *headers: Header, kind: bytes = JSON) -> None:
        """Answer with a whole body, or with none."""
        self.started = True
        if self.connection.transport.is_closing():
            return
        closing = () if self.lasting else (CLOSE,)
        bare = self.head.method == "HEAD"
        apart = len(body) > _LONG and not bare
        answer = response(status, body, *headers, *closing, kind=kind, bare=bare or apart)
        self.connection.transport.write(answer)
        if apart:
            self.connection.transport.write(body)
        self._finish()

    def refuse(
        self, status: int, message: str, *headers: Header, code: int = INVALID_REQUEST
    ) -> None:
        """Answer with a JSON-RPC error that belongs to no request."""
        body = jsonrpc.error(None, jsonrpc.error_object(code, message))
        self.reply(status, body, *headers)

    def start_stream(self) -> None:
        """Begin an event stream."""
        self.started = True
        # A client of HTTP/1.0 reads to the end of the connection.
        self._chunked = self.head.version == "1.1"
        framing = (_CHUNKED,) if self._chunked else ()
        closing = () if self.lasting else (CLOSE,)
        if not self.connection.transport.is_closing():
            lines = _lines((*_STREAM_HEADERS, *framing, *closing))
            self.connection.transport.write(b"%b%b\r\n" % (_STATUS[200], lines))

    async def push(self, data: bytes, *, last: bool = False) -> None:
        """Send bytes of an event stream, once the client has taken those before."""
        await self.connection.drain()
        if self.connection.transport.is_closing():
            return
        if self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            data = chunk + b"0\r\n\r\n" if last else chunk
        self.connection.transport.write(data)
        if last:
            self._finish()

    def _finish(self) -> None:
        self.finished = True
        self._drop_body()
        self.connection.finished(self)

    def served(self, task: asyncio.Task[None]) -> None:
        """Who served it is done: nothing may be left open."""
        self.connection.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("A request could not be answered", exc_info=error)
        if self.finished or self.connection.transport.is_closing():
            return
        self._lasting = False
        if self.started:
            self.connection.transport.abort()
        else:
            self.reply(500, b"Internal Server Error", kind=TEXT)


class WhenGone:
    """Calls a function should the client go away inside the block."""

    __slots__ = ("_act", "_connection")

    def __init__(self, connection: Connection, act: Callable[[], object]) -> None:
        self._connection = connection
        self._act = act

    def __enter__(self) -> None:
        """Raises ClientGone if it has gone away already."""
        if self._connection.gone:
            raise ClientGone
        self._connection.on_gone = self._act

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.on_gone = None


def response(
    status: int, body: bytes, *headers: Header, kind: bytes = JSON, bare: bool = False
) -> bytes:
    """A whole response; a `bare` one tells of its body only."""
    lines = _lines(headers) if headers else b""
    if body:
        lines += b"content-type: %b\r\n" % kind
    shown = b"" if bare else body
    return b"%bcontent-length: %d\r\n%b\r\n%b" % (_STATUS[status], len(body), lines, shown)


def _lines(headers: Iterable[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % each for each in headers])


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
