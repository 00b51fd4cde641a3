"""Sockets of our own on both loopback addresses."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import Final

from mcpmux_tui.model.errors import PortInUse, UsageError
from mcpmux_tui.text import one_line

IPV4: Final = "127.0.0.1"
IPV6: Final = "::1"
_BACKLOG: Final = 1024
_TRIES: Final = 16
_NO_SUCH_ADDRESS: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}


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
