"""Clients that keep the bytes: `result` exactly as it came over HTTP or a pipe, in both eras."""

from __future__ import annotations

import asyncio
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx2

from tests.end_to_end.program import RAW_STDIO, ROOT
from tests.fixtures.raw_server import LEGACY, META_VERSION, MODERN, raw_member

Era = Literal["legacy", "modern"]
RequestId = int | str
LIMIT = 64 * 1024 * 1024

_ENVELOPE = {
    META_VERSION: MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}

_HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
}


def compact(value: object) -> bytes:
    """JSON without spaces, all ASCII: lone surrogates stay escaped."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


class Wire(ABC):
    """One client of one era."""

    def __init__(self, era: Era) -> None:
        self.era = era

    async def call(
        self, tool: str, arguments: dict[str, Any] | None = None, *, id: RequestId = 7
    ) -> bytes:
        """Call a tool; return the bytes of `result`."""
        params: dict[str, Any] = {"name": tool, "arguments": arguments or {}}
        return await self.request("tools/call", params, id)

    async def request(self, method: str, params: dict[str, Any], id: RequestId) -> bytes:
        """Send a request; return the bytes of `result` of the answer, which bears the same id."""
        if self.era == "modern":
            params = {**params, "_meta": _ENVELOPE}
        answer = await self._send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        assert answer is not None
        text = answer.decode("utf-8")
        assert json.loads(raw_member(text, "id")) == id, text
        assert '"error"' not in text, text
        return raw_member(text, "result").encode("utf-8")

    async def handshake(self) -> None:
        """Initialize, in the era that has it."""
        if self.era == "modern":
            return
        client = {"name": "wire", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
        await self.request("initialize", params, 0)
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    @abstractmethod
    async def _send(self, message: dict[str, Any]) -> bytes | None:
        """Send a message; return the answer to a request, None for a notification."""


class HttpWire(Wire):
    """A client over Streamable HTTP."""

    def __init__(self, era: Era, url: str, client: httpx2.AsyncClient) -> None:
        super().__init__(era)
        self._url = url
        self._client = client
        self._session: dict[str, str] = {}

    async def _send(self, message: dict[str, Any]) -> bytes | None:
        headers = {**_HEADERS, **self._session}
        if self.era == "modern":
            headers["mcp-protocol-version"] = MODERN
            headers["mcp-method"] = message["method"]
            if "name" in message["params"]:
                headers["mcp-name"] = message["params"]["name"]
        response = await self._client.post(self._url, content=compact(message), headers=headers)
        if "id" not in message:
            assert response.status_code == 202
            return None
        assert response.status_code == 200, response.text
        if (session := response.headers.get("mcp-session-id")) is not None:
            self._session = {"mcp-session-id": session, "mcp-protocol-version": LEGACY}
        if response.headers["content-type"].startswith("text/event-stream"):
            events = [line for line in response.content.splitlines() if line.startswith(b"data: ")]
            return events[-1].removeprefix(b"data: ")
        return response.content


class PipeWire(Wire):
    """The only client of a raw stdio server."""

    def __init__(self, era: Era, process: asyncio.subprocess.Process) -> None:
        super().__init__(era)
        self._process = process

    async def _send(self, message: dict[str, Any]) -> bytes | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(compact(message) + b"\n")
        await self._process.stdin.drain()
        return await self._process.stdout.readline() if "id" in message else None


@asynccontextmanager
async def http_wire(era: Era, url: str, token: str = "") -> AsyncIterator[HttpWire]:
    """Connect to an address."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as client:
        wire = HttpWire(era, url, client)
        await wire.handshake()
        yield wire


@asynccontextmanager
async def pipe_wire(
    era: Era, *command: str, env: Mapping[str, str] | None = None
) -> AsyncIterator[PipeWire]:
    """Start a command, a raw stdio server unless one is given, and connect to it."""
    process = await asyncio.create_subprocess_exec(
        *(command or (sys.executable, str(RAW_STDIO))),
        cwd=ROOT,
        env=env,
        limit=LIMIT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        wire = PipeWire(era, process)
        await wire.handshake()
        yield wire
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
