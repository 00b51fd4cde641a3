"""A server that answers requests with bytes as given, for the tests of this folder."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
CLOSE: Final = b"CLOSE"
"""Said instead of bytes: the connection ends."""
Answer = Callable[[bytes], Awaitable[list[bytes]]]


class Scripted:
    """What it was asked, header and body together, and on how many connections."""

    def __init__(self, answer: Answer) -> None:
        self.port = 0
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.connections = 0
        self._answer = answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                request = head + await reader.readexactly(int(length[1]) if length else 0)
                self.requests.append(request)
                self.asked.set()
                for part in await self._answer(request):
                    if part == CLOSE:
                        return
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def scripted(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    """Serve until the block ends."""
    script = Scripted(answer)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=tls)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        await asyncio.sleep(0)  # lets a connection that was just accepted arrive
        server.close()


def json_response(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole response with a JSON body."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b" % (
        status,
        len(body),
        lines,
        body,
    )


def stream(*events: bytes) -> bytes:
    """A whole response that is an event stream in chunks."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunks
        + b"0\r\n\r\n"
    )
