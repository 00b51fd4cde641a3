"""Clients far faster than any proxy: canned requests on kept connections, HTTP, SSE or pipes."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import IO, Protocol
from urllib.parse import urlsplit

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
SESSION = re.compile(rb"mcp-session-id: *(\S+)", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
ENDPOINT = re.compile(rb"data: *(/[^\r\n]+)\r?\n")
MODERN = "2026-07-28"
META = "io.modelcontextprotocol"
HELLO: Mapping[str, object] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


class Asks(Protocol):
    """Takes one request at a time."""

    async def ask(self, request: bytes) -> bytes:
        """The answer to a request."""

    def close(self) -> None:
        """Leave."""


class Connection(asyncio.Protocol):
    """One HTTP connection: sends a request, counts its answer's bytes, tells when it is there."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._need = 0
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._need:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            found = LENGTH.search(self._data, 0, end)
            if found is None and not self._data.endswith(LAST_CHUNK):
                return
            self._need = end + 4 + int(found[1]) if found else len(self._data)
        if len(self._data) >= self._need:
            answer, self._data, self._need = bytes(self._data), bytearray(), 0
            assert self._answer is not None
            self._answer.set_result(answer)

    async def ask(self, request: bytes) -> bytes:
        """The whole answer to a request. Raises ConnectionResetError."""
        assert self.transport is not None
        if self.closed:
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer

    @property
    def closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self.transport is None or self.transport.is_closing()

    def close(self) -> None:
        """Leave."""
        assert self.transport is not None
        self.transport.close()


class Lines(asyncio.Protocol):
    """A server at the end of two pipes: a line with an id is an answer."""

    def __init__(self) -> None:
        self._out: asyncio.WriteTransport | None = None
        self._in: asyncio.BaseTransport | None = None
        self._parts: list[bytes] = []
        self._answer: asyncio.Future[bytes] | None = None

    async def open(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        """Take the ends of a process's pipes."""
        loop = asyncio.get_running_loop()
        self._in, _ = await loop.connect_read_pipe(lambda: self, stdout)
        self._out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, stdin)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        if data.endswith(b"\n"):
            answer, self._parts = b"".join(self._parts), []
            if b'"id":' in answer and self._answer is not None and not self._answer.done():
                self._answer.set_result(answer)

    async def ask(self, request: bytes) -> bytes:
        """The answer to a request, a line each."""
        self._answer = asyncio.get_running_loop().create_future()
        self.tell(request)
        return await self._answer

    def tell(self, message: bytes) -> None:
        """Send a message."""
        assert self._out is not None
        self._out.write(message + b"\n")

    def close(self) -> None:
        """Leave."""
        for transport in (self._out, self._in):
            if transport is not None:
                transport.close()


class Stream(asyncio.Protocol):
    """An event stream that a GET opens."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._arrived = asyncio.Event()
        self._lost = False
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, peer: Peer, headers: bytes = b"") -> Stream:
        """Ask for a peer's stream."""
        loop = asyncio.get_running_loop()
        transport, stream = await loop.create_connection(cls, peer.host, peer.port)
        stream._transport = transport
        accept = b"accept: text/event-stream\r\n"
        transport.write(peer.head("GET", peer.path) + accept + headers + b"\r\n")
        return stream

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._arrived.set()

    async def until(self, pattern: re.Pattern[bytes]) -> bytes:
        """The first group of a pattern once it is there; what came up to it is forgotten."""
        while (found := pattern.search(self.data)) is None:
            if self._lost:
                raise ConnectionResetError
            self._arrived.clear()
            await self._arrived.wait()
        # Bytes of its own: the match looks into what is cut off here.
        said = bytes(found[1])
        del self.data[: found.end()]
        return said

    def close(self) -> None:
        """Leave."""
        assert self._transport is not None
        self._transport.abort()


class Sse:
    """A session of the older transport: a message is posted, the answer comes on the stream."""

    ANSWER = re.compile(rb'data: (.*?"id":7[^0-9].*?)\r?\n\r?\n', re.DOTALL)

    def __init__(self, peer: SsePeer, stream: Stream, path: str, posting: Connection) -> None:
        self._peer, self._stream, self._path, self._posting = peer, stream, path, posting

    async def ask(self, request: bytes) -> bytes:
        """The answer to a message."""
        if self._posting.closed:
            # The peer closes what is idle for some seconds.
            self._posting = await self._peer.posting()
        await self._posting.ask(self._peer.post(self._path, request))
        return await self._stream.until(self.ANSWER)

    def close(self) -> None:
        """Leave."""
        self._posting.close()
        self._stream.close()


class Peer:
    """An endpoint to call, in one era."""

    def __init__(
        self, url: str, token: str = "", *, tool: str = "echo", modern: bool = False
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port, self.path = parts.hostname, parts.port or 80, parts.path
        self.tool, self.modern = tool, modern
        self._token = token
        self.session = b""
        """The header that names it."""

    async def connect(self, count: int = 1) -> Sequence[Asks]:
        """Open connections, and a session on the first."""
        loop = asyncio.get_running_loop()
        opened = [
            (await loop.create_connection(Connection, self.host, self.port))[1]
            for _ in range(count)
        ]
        if not self.modern and not self.session:
            answer = await opened[0].ask(self.request("initialize", HELLO))
            found = SESSION.search(answer)
            self.session = b"mcp-session-id: %b\r\n" % found[1] if found else b""
        return opened

    def call(self, text: str, tool: str = "") -> bytes:
        """A call of `echo`."""
        return self.request("tools/call", {"name": tool or self.tool, "arguments": {"text": text}})

    def agents_calls(self) -> list[bytes]:
        """Calls of 1 to 200 bytes as coding agents write them: each wants to hear of progress."""
        return [
            self.request(
                "tools/call",
                {
                    "name": self.tool,
                    "arguments": {"text": "x" * (1 + number % 200)},
                    "_meta": {"agent/toolUseId": f"toolu_{number:024}", "progressToken": number},
                },
            )
            for number in range(1000)
        ]

    def request(self, method: str, params: Mapping[str, object] | None = None) -> bytes:
        """One request, as its connections take it."""
        members = dict(params or {})
        more = self.session
        if self.modern:
            members["_meta"] = {
                f"{META}/protocolVersion": MODERN,
                f"{META}/clientInfo": {"name": "bench", "version": "1"},
                f"{META}/clientCapabilities": {},
            }
            named = f"mcp-name: {members['name']}\r\n" if "name" in members else ""
            more = f"mcp-protocol-version: {MODERN}\r\nmcp-method: {method}\r\n{named}".encode()
        return self.post(self.path, message(method, members), more)

    def post(self, path: str, body: bytes, more: bytes = b"") -> bytes:
        """A message as a POST."""
        return (
            self.head("POST", path)
            + b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
            + b"content-length: %d\r\n%b\r\n%b" % (len(body), more, body)
        )

    def head(self, verb: str, path: str) -> bytes:
        """The first lines of every request."""
        token = f"authorization: Bearer {self._token}\r\n" if self._token else ""
        return f"{verb} {path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n{token}".encode()


class SsePeer(Peer):
    """An endpoint that speaks the older transport only."""

    async def connect(self, count: int = 1) -> Sequence[Asks]:
        """Open sessions."""
        opened = []
        for _ in range(count):
            stream = await Stream.open(self)
            async with asyncio.timeout(15):
                path = (await stream.until(ENDPOINT)).decode()
            opened.append(Sse(self, stream, path, await self.posting()))
            await opened[-1].ask(message("initialize", HELLO))
        return opened

    async def posting(self) -> Connection:
        """A connection for messages."""
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Connection, self.host, self.port))[1]

    def request(self, method: str, params: Mapping[str, object] | None = None) -> bytes:
        """The message alone: where it is posted is the session's."""
        return message(method, params or {})


class PipePeer(Peer):
    """A command that speaks MCP on its pipes; its one connection is opened elsewhere."""

    def __init__(self, *, tool: str, modern: bool = False) -> None:
        super().__init__("http://127.0.0.1/", tool=tool, modern=modern)

    def post(self, path: str, body: bytes, more: bytes = b"") -> bytes:
        """The message alone."""
        return body


def message(method: str, params: Mapping[str, object]) -> bytes:
    """A request's message."""
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    return json.dumps(request, separators=(",", ":")).encode()


async def one_at_a_time(
    connection: Asks, request: bytes, seconds: float, *more: bytes
) -> list[float]:
    """Seconds each call took, sorted; `more` take turns with `request`."""
    took: list[float] = []
    requests = itertools.cycle((request, *more))
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        await connection.ask(next(requests))
        took.append(time.perf_counter() - start)
    return sorted(took)


async def at_once(connections: Sequence[Asks], request: bytes, seconds: float) -> float:
    """Calls a second, one after the other on each connection."""
    started = time.perf_counter()
    end = started + seconds

    async def work(connection: Asks) -> int:
        count = 0
        while time.perf_counter() < end:
            await connection.ask(request)
            count += 1
        return count

    counts = await asyncio.gather(*(work(each) for each in connections))
    return sum(counts) / (time.perf_counter() - started)
