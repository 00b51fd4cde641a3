"""One connection of the proxy's in this process, its reading and its clock in a test's hand."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from mcpmux_tui.proxy.connection import Connection, Serve
from mcpmux_tui.proxy.http import BodyTooLarge, ClientGone, Exchange
from mcpmux_tui.proxy.limits import DEFAULTS, Limits
from tests.fixtures.clock import settled
from tests.proxy.fakes import until
from tests.proxy.wire import Wire


@dataclass
class Line:
    """The proxy's end, and the client's."""

    connection: Connection
    wire: Wire
    peers: set[Connection]
    tasks: set[asyncio.Task[None]]

    def is_open(self) -> bool:
        return not self.connection.transport.is_closing()

    async def feed(self, *pieces: bytes) -> None:
        """Let the connection read these, each by itself, as far as it reads."""
        for piece in pieces:
            await until(lambda: self.connection.transport.is_reading() or not self.is_open())
            if self.is_open():
                self.connection.data_received(piece)
                await asyncio.sleep(0)

    def stop_reading(self) -> None:
        """The client takes nothing more."""
        self._client.pause_reading()

    def read_on(self) -> None:
        self._client.resume_reading()

    @property
    def _client(self) -> asyncio.Transport:
        transport = self.wire.writer.transport
        assert isinstance(transport, asyncio.Transport)
        return transport


async def echo(exchange: Exchange) -> None:
    """Answer with what was asked."""
    head = exchange.head
    try:
        body = await exchange.body(DEFAULTS.body_bytes)
    except ClientGone:
        return
    except BodyTooLarge:
        exchange.reply(413)
        return
    headers = {each.decode("latin-1"): head.value(each.decode("ascii")) for each in head.headers}
    asked = [head.method, head.target.decode("ascii"), headers, body.decode("latin-1")]
    exchange.reply(200, json.dumps(asked).encode())


@asynccontextmanager
async def line(
    serve: Serve = echo, *, limits: Limits = DEFAULTS, peers: set[Connection] | None = None
) -> AsyncIterator[Line]:
    """A connection whose requests are answered by `serve`."""
    peers = set() if peers is None else peers
    tasks: set[asyncio.Task[None]] = set()
    ours, clients = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=clients, limit=2**24)
    loop = asyncio.get_running_loop()
    _, connection = await loop.connect_accepted_socket(
        lambda: Connection(serve, limits, peers, tasks), ours
    )
    try:
        yield Line(connection, Wire(reader, writer), peers, tasks)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        for task in list(tasks):
            task.cancel()
        await settled()


async def unsent(left: int) -> int:
    """How long an answer nobody reads has to be for so many bytes of it to stay unsent."""
    async with line() as one:
        one.stop_reading()
        one.connection.transport.write(b"x" * 2**22)
        sent = 2**22 - one.connection.transport.get_write_buffer_size()
        return sent + left
