"""uvicorn's protocol on sockets of our own.

uvicorn's `Server` is left out on purpose: it installs signal handlers, calls `sys.exit`, wakes ten
times a second and waits for open streams without end. What it adds to its protocol is these lines.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from uvicorn.config import Config
from uvicorn.server import ServerState

from mcpmux_tui.proxy.connection import Connection
from mcpmux_tui.proxy.limits import Limits

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

_BACKLOG = 1024


class Listener:
    """Serves one application on the given sockets until it is stopped."""

    def __init__(
        self, app: ASGI3Application, sockets: tuple[socket.socket, ...], limits: Limits
    ) -> None:
        self._config = Config(
            app,
            http=Connection,
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,  # a log of requests would hold what clients put into addresses
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=5,
        )
        self._config.load()
        self._sockets = sockets
        self._limits = limits
        self._state = ServerState()
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            server = await loop.create_server(
                lambda: Connection(self._config, self._state, self._limits, self._connections),
                sock=sock,
                backlog=_BACKLOG,
            )
            self._servers.append(server)

    async def stop(self) -> None:
        """Close the port, let answers finish for a moment, then end what is left."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.shutdown()
        tasks = await _unfinished(self._state.tasks, self._limits.grace)
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
