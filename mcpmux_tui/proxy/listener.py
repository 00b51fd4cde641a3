"""Connections on sockets of our own, and an orderly end."""

from __future__ import annotations

import asyncio
import socket

from mcpmux_tui.proxy.connection import Connection, Serve
from mcpmux_tui.proxy.limits import Limits

_BACKLOG = 1024


class Listener:
    """Serves one application on the given sockets until it is stopped."""

    def __init__(self, serve: Serve, sockets: tuple[socket.socket, ...], limits: Limits) -> None:
        self._serve = serve
        self._sockets = sockets
        self._limits = limits
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            server = await loop.create_server(
                lambda: Connection(self._serve, self._limits, self._connections, self._tasks),
                sock=sock,
                backlog=_BACKLOG,
            )
            self._servers.append(server)

    async def stop(self) -> None:
        """Close the port, let answers finish for a moment, then end what is left."""
        # asyncio takes a turn for a connection it has just accepted, and forgets it, open, if its
        # server is closed before (python/cpython#109564); another one until it is known here.
        await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)
        for connection in list(self._connections):
            connection.shutdown()
        tasks = await _unfinished(self._tasks, self._limits.grace)
        for connection in list(self._connections):
            if connection.stalled:
                connection.transport.abort()
        tasks = await _unfinished(tasks, 0.1)
        for task in tasks:
            task.cancel()
        await _unfinished(tasks, self._limits.grace)
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets aborted connections learn of it
        self._servers.clear()


async def _unfinished(tasks: set[asyncio.Task[None]], seconds: float) -> set[asyncio.Task[None]]:
    """Wait for `tasks` at most so long and return those that still run."""
    if not tasks:
        return set()
    _, pending = await asyncio.wait(tasks, timeout=seconds)
    return pending
