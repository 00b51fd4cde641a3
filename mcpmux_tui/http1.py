"""One connection that speaks HTTP/1.1 as a client, and is kept (RFC 9112).

For loopback and other plain addresses: a tenth of what a general client takes.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, Protocol

EVENTS: Final = b"text/event-stream"
FRESH: Final = 4.0
"""Seconds a connection may have been idle to be used again: common servers close one after five,
and a request that meets the end of its connection may have been worked on."""
Field = tuple[bytes, bytes]
_LONG: Final = 64 * 1024
"""Bytes of a body that is sent apart from its header: no copy of both is made, and kept."""
_HEAD_LIMIT: Final = 64 * 1024
_BODY_LIMIT: Final = 64 * 1024 * 1024
_STATUS: Final = rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: |$)"
_CHUNK: Final = rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?"


class Closed(Exception):
    """The connection is gone, and nothing of the request was sent."""


class Broken(Exception):
    """No whole response came; the text says why."""


class Owner(Protocol):
    """Whose connections they are; called on the event loop."""

    def opened(self, transport: asyncio.Transport) -> None:
        """A connection is made."""

    def free(self, connection: Connection) -> None:
        """A connection has nothing to do."""

    def full(self, connection: Connection, *, full: bool) -> None:
        """A connection takes no more for now, or takes more again."""

    def lost(self, connection: Connection, transport: asyncio.Transport) -> None:
        """A connection is gone."""


class Response:
    """One response: its body is there, or comes in pieces."""

    def __init__(
        self, connection: Connection, status: int, fields: list[Field], *, whole: bool
    ) -> None:
        self.status = status
        self.fields = fields
        """Every header line; names in lower case."""
        self.headers = headers = dict(fields)
        self.body = b""
        self.kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        self.streams = not whole or (self.kind == EVENTS and status == 200)
        self.error: Exception | None = None
        self._connection = connection
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._wake: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """The next bytes of a stream; none at its end. Raises Broken."""
        while not self._parts and not self._ended:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        data, self._parts = b"".join(self._parts), []
        if not data and self.error is not None:
            raise Broken(str(self.error)) from self.error
        return data

    def close(self) -> None:
        """Leave the rest: that closes the connection."""
        if not self._ended:
            self._connection.abort()

    def add(self, data: bytes) -> None:
        """More of the body. Raises Broken."""
        self._parts.append(data)
        if self.streams:
            self._woken()
            return
        self._size += len(data)
        if self._size > _BODY_LIMIT:
            raise Broken(f"its answer is larger than {_BODY_LIMIT >> 20} MiB")

    def end(self, error: Exception | None = None) -> None:
        """There is no more."""
        self._ended, self.error = True, error
        if self.streams:
            self._woken()
        else:
            self.body, self._parts = b"".join(self._parts), []

    def _woken(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Connection(asyncio.Protocol):
    """One connection: a request after the other, and the response to each."""

    def __init__(self, owner: Owner) -> None:
        self.idle_since = 0.0
        self._owner = owner
        self._whole = True
        self._transport: asyncio.Transport | None = None
        self._data = b""
        """Of a header that is not whole, or of a chunk's begin."""
        self._waiter: asyncio.Future[Response] | None = None
        self._response: Response | None = None
        self._left: int | None = None
        """Bytes of the body, or of its chunk, still to come; None: up to the connection's end."""
        self._chunked = False
        self._trailer = False
        self._keep = True
        self._error: Exception | None = None

    @property
    def usable(self) -> bool:
        """Whether another request can go this way."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._owner.opened(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._owner.lost(self, self._transport)
        self._transport = None
        response, self._response = self._response, None
        error = self._error or exc or ConnectionResetError("the connection was closed")
        if response is not None:
            to_the_end = self._left is None and not self._chunked and self._error is None
            response.end(None if to_the_end else error)
            if not response.streams:
                self._answer(response)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(_broken(error))

    def pause_writing(self) -> None:
        self._owner.full(self, full=True)

    def resume_writing(self) -> None:
        self._owner.full(self, full=False)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, head: bytes, body: bytes = b"", *, whole: bool = True) -> Response:
        """Send a request; its response, `whole` unless it is an event stream, else its header.

        Raises Closed, Broken.
        """
        if self._transport is None or self._transport.is_closing():
            raise Closed
        self._whole = whole
        waiter: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        if len(body) < _LONG:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        try:
            return await waiter
        except asyncio.CancelledError:
            if self._waiter is waiter:
                self.abort()
            raise
        finally:
            # A response that is whole frees the connection: somebody else may wait here by now.
            if self._waiter is waiter:
                self._waiter = None

    def data_received(self, data: bytes) -> None:
        try:
            self._take(data)
        except Broken as error:
            self._error = error
            self.abort()

    def _take(self, data: bytes) -> None:
        while data:
            if self._response is None:
                rest = self._head(self._data + data)
                if rest is None:
                    return
                data = rest
                continue
            if self._chunked and self._left in {0, None}:
                data = self._chunk_head(self._data + data)
                continue
            part = data if self._left is None else data[: self._left]
            self._response.add(part)
            data = data[len(part) :]
            if self._left is not None:
                self._left -= len(part)
                if not self._left and not self._chunked:
                    self._finish()

    def _head(self, data: bytes) -> bytes | None:
        """Read a header; what follows it, None while it is not whole."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > _HEAD_LIMIT:
                raise Broken("its header is too large")
            self._data = data
            return None
        self._data = b""
        first, *lines = data[:end].split(b"\r\n")
        found = re.match(_STATUS, first)
        if found is None or self._waiter is None or self._waiter.done():
            raise Broken("it does not speak HTTP/1.1")
        status = int(found[1])
        rest = data[end + 4 :]
        if status < 200:
            return rest or None
        fields = []
        for line in lines:
            name, _, value = line.partition(b":")
            fields.append((name.strip().lower(), value.strip()))
        self._response = response = Response(self, status, fields, whole=self._whole)
        headers = response.headers
        self._keep = headers.get(b"connection", b"").lower() != b"close" and first[7:8] == b"1"
        self._chunked = b"chunked" in headers.get(b"transfer-encoding", b"").lower()
        self._left = None if self._chunked else _length(status, headers)
        self._trailer = False
        if response.streams:
            self._answer(response)
        if self._left == 0 and not self._chunked:
            self._finish()
        return rest

    def _chunk_head(self, data: bytes) -> bytes:
        """Read up to the next chunk's first byte; what follows it."""
        self._data = b""
        if self._left == 0:  # the line break after a chunk's data
            if len(data) < 2:
                self._data = data
                return b""
            if data[:2] != b"\r\n":
                raise Broken("a chunk is longer than it says")
            self._left, data = None, data[2:]
        end = data.find(b"\r\n")
        if end < 0:
            if len(data) > _HEAD_LIMIT:
                raise Broken("a chunk has no length")
            self._data = data
            return b""
        line, rest = data[:end], data[end + 2 :]
        if self._trailer:
            if not line:
                self._finish()
            return rest
        found = re.fullmatch(_CHUNK, line)
        if found is None:
            raise Broken("a chunk has no length")
        size = int(found[1], 16)
        if size:
            self._left = size
        else:
            self._trailer = True
        return rest

    def _finish(self) -> None:
        """The response is whole: the connection is free."""
        response, self._response = self._response, None
        if response is None:
            return
        response.end()
        if self._keep:
            self.idle_since = asyncio.get_running_loop().time()
            self._owner.free(self)
        elif self._transport is not None:
            self._transport.close()
        self._answer(response)

    def _answer(self, response: Response) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if response.error is not None and not response.streams:
            self._waiter.set_exception(_broken(response.error))
        else:
            self._waiter.set_result(response)


def _broken(error: Exception) -> Broken:
    broken = Broken(str(error))
    broken.__cause__ = error
    return broken


def _length(status: int, headers: dict[bytes, bytes]) -> int | None:
    if status in {204, 304}:
        return 0
    given = headers.get(b"content-length")
    if given is None:
        return None
    if not (given.isdigit() and len(given) < 16):
        raise Broken("its length is no number")
    return int(given)
