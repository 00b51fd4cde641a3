"""HTTP/1.1 to one address, on connections that are kept (RFC 9112)."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from mcpmux_tui import __version__
from mcpmux_tui.bridge.pipes import Gate
from mcpmux_tui.bridge.trouble import Lost, NotSent
from mcpmux_tui.http1 import FRESH, Broken, Closed, Connection, Response

if TYPE_CHECKING:
    from ssl import SSLContext

JSON: Final = b"application/json"
CONNECT_LIMIT: Final = 10.0


class Address(NamedTuple):
    """Where a server answers, and the header lines it wants of every request."""

    host: str
    port: int
    path: str
    tls: bool = False
    headers: bytes = b""

    @property
    def authority(self) -> str:
        """As the Host header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def __repr__(self) -> str:
        # Neither headers nor what a query may hold.
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path.partition('?')[0]}"


class Gates:
    """Who waits for whom: `inward` reads from servers, `outward` from the client."""

    def __init__(self) -> None:
        self.inward = Gate()
        self.outward = Gate()


class Pool:
    """Connections to one address."""

    def __init__(self, address: Address, gates: Gates) -> None:
        self.address = address
        self.gates = gates
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._trust = _trust() if address.tls else None
        common = (
            f"{address.path} HTTP/1.1\r\nhost: {address.authority}\r\n"
            f"user-agent: mcpmux-stdio/{__version__}\r\n"
        ).encode("ascii") + address.headers
        self._post = (
            b"POST " + common + b"content-type: application/json\r\n"
            b"accept: application/json, text/event-stream\r\ncontent-length: "
        )
        self._get = b"GET " + common + b"accept: text/event-stream\r\n"
        self._delete = b"DELETE " + common

    async def post(self, headers: bytes, body: bytes) -> Response:
        """Send a message. Raises NotSent, Lost."""
        return await self._send(b"%b%d\r\n%b\r\n" % (self._post, len(body), headers), body)

    async def get(self, headers: bytes) -> Response:
        """Ask for an event stream. Raises NotSent, Lost."""
        return await self._send(self._get + headers + b"\r\n")

    async def delete(self, headers: bytes) -> Response:
        """End a session. Raises NotSent, Lost."""
        return await self._send(self._delete + headers + b"\r\n")

    async def _send(self, head: bytes, body: bytes = b"") -> Response:
        connection = self._kept() or await self._connect()
        try:
            return await connection.exchange(head, body)
        except Closed:
            raise NotSent("the connection was closed") from None
        except Broken as broken:
            raise Lost(str(broken)) from None

    def opened(self, transport: asyncio.Transport) -> None:
        """Implements Owner."""
        self.gates.inward.add(transport)

    def full(self, connection: Connection, *, full: bool) -> None:
        """Implements Owner."""
        (self.gates.outward.shut if full else self.gates.outward.open)(connection)

    def free(self, connection: Connection) -> None:
        """Implements Owner."""
        self._idle.append(connection)

    def lost(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Implements Owner."""
        self.gates.inward.discard(transport)
        self.gates.outward.open(connection)
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close all of them, also those in use."""
        for connection in list(self._all):
            connection.abort()

    def _kept(self) -> Connection | None:
        """The one used last, if it can be trusted."""
        if not self._idle:
            return None
        oldest = asyncio.get_running_loop().time() - FRESH
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().abort()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> Connection:
        address = self.address
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), address.host, address.port, ssl=self._trust
                )
        except TimeoutError:
            raise NotSent(f"{address} does not answer within {CONNECT_LIMIT:g} s.") from None
        except OSError as error:
            if address.tls and (reason := _distrust(error)):
                raise NotSent(f"{address} cannot be trusted: {reason}.") from None
            raise NotSent(f"{address} cannot be reached: {_why(error)}.") from None
        self._all.add(connection)
        return connection


# ssl is loaded for https alone: elsewhere `bridge.start` keeps it out.


def _trust() -> SSLContext:
    import ssl

    return ssl.create_default_context()


def _distrust(error: OSError) -> str:
    """Why TLS failed, where it was that."""
    import ssl

    return (error.reason or "TLS failed") if isinstance(error, ssl.SSLError) else ""


def _why(error: OSError) -> str:
    # asyncio's own text of it repeats the address; a name that is not found has a negative number.
    number = error.errno or 0
    told = os.strerror(number) if number > 0 else error.strerror
    return (told or str(error) or type(error).__name__).lower()
