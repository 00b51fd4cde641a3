"""A client far faster than any proxy: canned requests on kept connections."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
SESSION = re.compile(rb"mcp-session-id: *(\S+)", re.IGNORECASE)
MODERN = "2026-07-28"


class Connection(asyncio.Protocol):
    """One connection: sends a request, counts its answer's bytes, and tells when it is there."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._data = bytearray()
        self._need = 0
        self._answer: asyncio.Future[bytes] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._need:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            found = LENGTH.search(self._data, 0, end)
            assert found is not None, bytes(self._data[:200])
            self._need = end + 4 + int(found[1])
        if len(self._data) >= self._need:
            answer, self._data, self._need = bytes(self._data), bytearray(), 0
            assert self._answer is not None
            self._answer.set_result(answer)

    async def ask(self, request: bytes) -> bytes:
        """The whole answer to a request."""
        assert self.transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer


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
        self._session = b""

    async def connect(self, count: int = 1) -> list[Connection]:
        """Open connections, and a session on the first."""
        loop = asyncio.get_running_loop()
        opened = [
            (await loop.create_connection(Connection, self.host, self.port))[1]
            for _ in range(count)
        ]
        if not self.modern and not self._session:
            hello = {"protocolVersion": "2025-11-25", "capabilities": {},
                     "clientInfo": {"name": "bench", "version": "1"}}  # fmt: skip
            answer = await opened[0].ask(self.request("initialize", hello))
            found = SESSION.search(answer)
            self._session = b"mcp-session-id: %b\r\n" % found[1] if found else b""
        return opened

    def call(self, text: str) -> bytes:
        """A call of `echo`."""
        return self.request("tools/call", {"name": self.tool, "arguments": {"text": text}})

    def request(self, method: str, params: Mapping[str, object] | None = None) -> bytes:
        """One request as bytes."""
        members = dict(params or {})
        more = self._session
        if self.modern:
            prefix = "io.modelcontextprotocol"
            members["_meta"] = {
                f"{prefix}/protocolVersion": MODERN,
                f"{prefix}/clientInfo": {"name": "bench", "version": "1"},
                f"{prefix}/clientCapabilities": {},
            }
            named = f"mcp-name: {members['name']}\r\n" if "name" in members else ""
            more = f"mcp-protocol-version: {MODERN}\r\nmcp-method: {method}\r\n{named}".encode()
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": members}
        body = json.dumps(message, separators=(",", ":")).encode()
        token = f"authorization: Bearer {self._token}\r\n" if self._token else ""
        return (
            (
                f"POST {self.path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n{token}"
                "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
                f"content-length: {len(body)}\r\n"
            ).encode()
            + more
            + b"\r\n"
            + body
        )


async def one_at_a_time(connection: Connection, request: bytes, seconds: float) -> list[float]:
    """Seconds each call took."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        await connection.ask(request)
        took.append(time.perf_counter() - start)
    return took


async def at_once(connections: list[Connection], request: bytes, seconds: float) -> float:
    """Calls a second, one after the other on each connection."""
    end = time.perf_counter() + seconds
    started = time.perf_counter()

    async def work(connection: Connection) -> int:
        count = 0
        while time.perf_counter() < end:
            await connection.ask(request)
            count += 1
        return count

    counts = await asyncio.gather(*(work(each) for each in connections))
    return sum(counts) / (time.perf_counter() - started)
