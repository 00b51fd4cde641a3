"""Raw HTTP over sockets, for what no HTTP library would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from tests.proxy.fakes import TOKEN


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def header(self) -> Answer:
        """The status line and header of the next answer, its body unread."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        return Answer(int(first.split()[1]), headers, b"")

    async def answer(self) -> Answer:
        head = await self.header()
        length = int(head.headers.get("content-length", "0"))
        async with asyncio.timeout(10):
            body = await self.reader.readexactly(length)
        return Answer(head.status, head.headers, body)

    async def chunk(self) -> bytes:
        """The next chunk of a stream; empty at its end."""
        async with asyncio.timeout(10):
            size = int(await self.reader.readline(), 16)
            chunk = await self.reader.readexactly(size)
            await self.reader.readexactly(2)
            return chunk

    async def event(self) -> bytes:
        """The data of the next event of a stream; comments are passed over."""
        while chunk := await self.chunk():
            for line in chunk.split(b"\n"):
                if line.startswith(b"data: "):
                    return line.removeprefix(b"data: ")
        raise EOFError

    async def closed(self, within: float = 10) -> bytes:
        """Wait until the other end closes; what it still sent."""
        async with asyncio.timeout(within):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def connect(port: int | None, host: str = "127.0.0.1") -> AsyncIterator[Wire]:
    assert port is not None
    reader, writer = await asyncio.open_connection(host, port, limit=2**24)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def request(
    port: int | None,
    body: bytes | None = b"",
    *,
    method: str = "POST",
    path: str = "/mcp",
    host: str | None = None,
    token: str | None = TOKEN,
    headers: dict[str, str] | None = None,
    extra: bytes = b"",
) -> bytes:
    """A request as bytes. `body` None leaves out the length; only a POST has one."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{port}'}"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    given = {"Content-Type": "application/json", "Accept": "*/*"} | (headers or {})
    lines += [f"{name}: {value}" for name, value in given.items()]
    if body is not None and method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return (
        "\r\n".join(lines).encode()
        + b"\r\n"
        + extra
        + b"\r\n"
        + (body if body and method == "POST" else b"")
    )


async def ask(port: int | None, data: bytes) -> Answer:
    """Send bytes on a connection of their own and return the first answer."""
    async with connect(port) as wire:
        await wire.send(data)
        return await wire.answer()
