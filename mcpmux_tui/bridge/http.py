"""HTTP/1.1 to one address, on connections that are kept (RFC 9112)."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from mcpmux_tui import __version__
from mcpmux_tui.bridge.pipes import Gate
from mcpmux_tui.bridge.trouble import Lost, NotSent

JSON: Final = b"application/json"
EVENTS: Final = b"text/event-stream"
CONNECT_LIMIT: Final = 10.0
FRESH: Final = 4.0
"""Seconds a connection may have been idle to be used again: common servers close one after five,
and a request that meets the end of its connection may have been worked on."""
_HEAD_LIMIT: Final = 64 * 1024
_BODY_LIMIT: Final = 64 * 1024 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: |$)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server answers, and the header lines it wants of every request."""

    host: str
    port: int
    path: str
    tls: bool = False
    headers: bytes = field(default=b"", repr=False)

    @property
    def authority(self) -> str:
        """As the Host header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path.partition('?')[0]}"


class BadResponse(Exception):
    """Bytes that are no HTTP response; the text says why."""


class Response:
    """One response: its body is there, or is an event stream that comes in pieces."""

    def __init__(self, connection: Connection, status: int, headers: dict[bytes, bytes]) -> None:
        self.status = status
        self.headers = headers
        self.body = b""
        self.kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        self.streams = self.kind == EVENTS and status == 200
        self.error: Exception | None = None
        self._connection = connection
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._wake: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """The next bytes of a stream; none at its end. Raises Lost."""
        while not self._parts and not self._ended:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        data, self._parts = b"".join(self._parts), []
        if not data and self.error is not None:
            raise Lost(str(self.error))
        return data

    def close(self) -> None:
        """Leave the rest: that closes the connection."""
        if not self._ended:
            self._connection.abort()

    def add(self, data: bytes) -> None:
        """More of the body. Raises BadResponse."""
        self._parts.append(data)
        if self.streams:
            self._woken()
            return
        self._size += len(data)
        if self._size > _BODY_LIMIT:
            raise BadResponse(f"its answer is larger than {_BODY_LIMIT >> 20} MiB")

    def end(self, error: Exception | None = None) -> None:
        """There is no more."""
        self._ended, self.error = True, error
        if self.streams:
            self._woken()
        else:
            self.body = b"".join(self._parts)

    def _woken(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Connection(asyncio.Protocol):
    """One connection: a request after the other, and the response to each."""

    def __init__(self, pool: Pool) -> None:
        self.idle_since = 0.0
        self._pool = pool
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
        self._pool.gates.inward.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._pool.gates.inward.discard(self._transport)
            self._pool.gates.outward.open(self)
        self._transport = None
        self._pool.forget(self)
        response, self._response = self._response, None
        error = self._error or exc or ConnectionResetError("the connection was closed")
        if response is not None:
            to_the_end = self._left is None and not self._chunked and self._error is None
            response.end(None if to_the_end else error)
            if not response.streams:
                self._answer(response)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Lost(str(error)))

    def pause_writing(self) -> None:
        self._pool.gates.outward.shut(self)

    def resume_writing(self) -> None:
        self._pool.gates.outward.open(self)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, request: bytes) -> Response:
        """Send a request; its response, whole unless it streams. Raises NotSent, Lost."""
        if self._transport is None or self._transport.is_closing():
            raise NotSent("the connection was closed")
        waiter: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        self._transport.write(request)
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
        except BadResponse as error:
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
                raise BadResponse("its header is too large")
            self._data = data
            return None
        self._data = b""
        first, *lines = data[:end].split(b"\r\n")
        found = _STATUS.match(first)
        if found is None or self._waiter is None or self._waiter.done():
            raise BadResponse("it does not speak HTTP/1.1")
        status = int(found[1])
        rest = data[end + 4 :]
        if status < 200:
            return rest or None
        headers = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        self._response = response = Response(self, status, headers)
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
                raise BadResponse("a chunk is longer than it says")
            self._left, data = None, data[2:]
        end = data.find(b"\r\n")
        if end < 0:
            if len(data) > _HEAD_LIMIT:
                raise BadResponse("a chunk has no length")
            self._data = data
            return b""
        line, rest = data[:end], data[end + 2 :]
        if self._trailer:
            if not line:
                self._finish()
            return rest
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise BadResponse("a chunk has no length")
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
            self._pool.take_back(self)
        elif self._transport is not None:
            self._transport.close()
        self._answer(response)

    def _answer(self, response: Response) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if response.error is not None and not response.streams:
            self._waiter.set_exception(Lost(str(response.error)))
        else:
            self._waiter.set_result(response)


def _length(status: int, headers: dict[bytes, bytes]) -> int | None:
    if status in {204, 304}:
        return 0
    given = headers.get(b"content-length")
    if given is None:
        return None
    if not (given.isdigit() and len(given) < 16):
        raise BadResponse("its length is no number")
    return int(given)


class Gates:
    """Who waits for whom: `inward` reads from servers, `outward` from the client."""

    def __init__(self) -> None:
        self.inward = Gate()
        self.outward = Gate()


class Pool:
    """Connections to one address."""

    def __init__(self, address: Address, gates: Gates) -> None:
        self.address = address
        self.gates = gates
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._trust = ssl.create_default_context() if address.tls else None
        common = (
            f"{address.path} HTTP/1.1\r\nhost: {address.authority}\r\n"
            f"user-agent: mcpmux-stdio/{__version__}\r\n"
        ).encode("ascii") + address.headers
        self._post = (
            b"POST " + common + b"content-type: application/json\r\n"
            b"accept: application/json, text/event-stream\r\ncontent-length: "
        )
        self._get = b"GET " + common + b"accept: text/event-stream\r\n"
        self._delete = b"DELETE " + common

    async def post(self, headers: bytes, body: bytes) -> Response:
        """Send a message. Raises NotSent, Lost."""
        return await self._send(b"%b%d\r\n%b\r\n%b" % (self._post, len(body), headers, body))

    async def get(self, headers: bytes) -> Response:
        """Ask for an event stream. Raises NotSent, Lost."""
        return await self._send(self._get + headers + b"\r\n")

    async def delete(self, headers: bytes) -> Response:
        """End a session. Raises NotSent, Lost."""
        return await self._send(self._delete + headers + b"\r\n")

    async def _send(self, request: bytes) -> Response:
        connection = self._kept() or await self._connect()
        return await connection.exchange(request)

    def take_back(self, connection: Connection) -> None:
        """A connection has nothing to do."""
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close all of them, also those in use."""
        for connection in list(self._all):
            connection.abort()

    def _kept(self) -> Connection | None:
        """The one used last, if it can be trusted."""
        if not self._idle:
            return None
        oldest = asyncio.get_running_loop().time() - FRESH
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().abort()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> Connection:
        address = self.address
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), address.host, address.port, ssl=self._trust
                )
        except TimeoutError:
            raise NotSent(f"{address} does not answer within {CONNECT_LIMIT:g} s.") from None
        except ssl.SSLError as error:
            raise NotSent(f"{address} cannot be trusted: {error.reason or 'TLS failed'}.") from None
        except OSError as error:
            raise NotSent(f"{address} cannot be reached: {_why(error)}.") from None
        self._all.add(connection)
        return connection


def _why(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
