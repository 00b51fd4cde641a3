"""httpx2's way to a server on this machine: one kept connection, a third of the usual cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2

from mcpmux_tui.http1 import FRESH, Broken, Closed, Connection, Response


class KeptTransport(httpx2.AsyncBaseTransport):
    """One request at a time, on one connection that is used again while it lasts."""

    def __init__(self, connect: float) -> None:
        """`connect`: seconds a connect may take."""
        self._connect = connect
        self._connection: Connection | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; the response's body is read as it comes."""
        body = await request.aread()
        lines = b"".join([b"%b: %b\r\n" % each for each in request.headers.raw])
        method, target = request.method.encode("ascii"), request.url.raw_path
        message = b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, target, lines, body)
        connection = self._usable() or await self._open(request)
        try:
            response = await connection.exchange(message, whole=False)
        except Closed as error:
            raise httpx2.ConnectError("the connection was closed") from error
        except Broken as error:
            raise httpx2.RemoteProtocolError(str(error)) from error
        return httpx2.Response(response.status, headers=response.fields, stream=_Body(response))

    async def aclose(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.abort()

    def _usable(self) -> Connection | None:
        connection = self._connection
        if connection is None or not connection.usable:
            return None
        if asyncio.get_running_loop().time() - connection.idle_since > FRESH:
            connection.abort()
            return None
        return connection

    async def _open(self, request: httpx2.Request) -> Connection:
        url = request.url
        try:
            async with asyncio.timeout(self._connect):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), url.host, url.port or 80
                )
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        self._connection = connection
        return connection

    def opened(self, transport: asyncio.Transport) -> None:
        """Implements Owner."""

    def full(self, connection: Connection, *, full: bool) -> None:
        """Implements Owner."""

    def free(self, connection: Connection) -> None:
        """Implements Owner."""

    def lost(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Implements Owner."""
        if self._connection is connection:
            self._connection = None


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while data := await self._response.read():
                yield data
        except Broken as error:
            raise httpx2.ReadError(str(error)) from error

    async def aclose(self) -> None:
        self._response.close()
