"""Sockets of our own on both loopback addresses, and uvicorn's protocol on them.

uvicorn's `Server` is left out on purpose: it installs signal handlers, calls `sys.exit`, wakes ten
times a second and waits for open streams without end. What it adds to its protocol is these lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING

from uvicorn.config import Config
from uvicorn.server import ServerState

from mcpmux_tui.model.errors import PortInUse, UsageError
from mcpmux_tui.proxy.connection import Connection
from mcpmux_tui.proxy.limits import Limits
from mcpmux_tui.text import one_line

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

IPV4, IPV6 = "127.0.0.1", "::1"
_BACKLOG = 1024
_TRIES = 16
_NO_SUCH_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}


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


async def bind(port: int) -> tuple[int, tuple[socket.socket, ...]]:
    """Listen on 127.0.0.1 and, where there is one, ::1; port 0 takes any that is free on both.

    Returns the port and the sockets. Raises PortInUse, also when only one address is taken, and
    UsageError for a port this user may not have.
    """
    for _ in range(_TRIES):
        try:
            return _bind_both(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UsageError(
                    f"Port {port} cannot be used: {error.strerror}.",
                    "Choose another with --port or `port` in [proxy].",
                ) from error
            if port:
                raise PortInUse(port, await asyncio.to_thread(_owner, port)) from error
    raise PortInUse(port)


def _bind_both(port: int) -> tuple[int, tuple[socket.socket, ...]]:
    with contextlib.ExitStack() as undo:
        first = _listen(socket.AF_INET, IPV4, port)
        undo.callback(first.close)
        port = first.getsockname()[1]
        try:
            second = _listen(socket.AF_INET6, IPV6, port)
        except OSError as error:
            if error.errno not in _NO_SUCH_ADDRESS:
                raise
            undo.pop_all()
            return port, (first,)
        undo.pop_all()
        return port, (first, second)


def _listen(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY on what is accepted; without it every
    # answer waits 40 ms for an acknowledgement of its header.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.set_inheritable(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)  # two programs may bind the same port at once; only one may listen
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _owner(port: int) -> str:
    """Who listens on a loopback port, such as "pid 812 (node)"; empty where that is hidden."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for entry in psutil.net_connections("tcp"):
            if entry.status != psutil.CONN_LISTEN or not entry.laddr:
                continue
            if entry.laddr.port == port and entry.pid is not None:
                name = one_line(psutil.Process(entry.pid).name(), 40)
                return f"pid {entry.pid} ({name})"
    return ""
