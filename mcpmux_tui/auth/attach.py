"""Puts who asks on the requests to one server, and sends a refused one once more.

This module imports httpx2.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import httpx2

from mcpmux_tui.model.hosts import is_loopback
from mcpmux_tui.model.ports import Credentials

_LOOPBACKS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: Final = {"http": 80, "https": 443}


class BearerAuth(httpx2.Auth):
    """Give it to the HTTP client of the server at `url`: `AsyncClient(auth=...)`.

    A request to another origin, wherever it came from, gets nothing, and neither does one over
    plain http to another machine. What Credentials raises comes out of the request that met it.
    """

    def __init__(self, credentials: Credentials, url: str) -> None:
        self._credentials = credentials
        self._url = httpx2.URL(url)

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Implements httpx2.Auth: no lock is held while a request is under way."""
        if not self._may_have_it(request.url):
            yield request
            return
        credentials = self._credentials
        sent = await credentials.headers()
        request.headers.update(sent)
        response = yield request
        for again in (False, True):
            # After a redirect the answer is another server's.
            if response.status_code not in {401, 403} or not self._may_have_it(response.url):
                return
            challenges = response.headers.get_list("www-authenticate")
            if not await credentials.refused(response.status_code, challenges, sent, again=again):
                return
            for name in sent:
                del request.headers[name]
            sent = await credentials.headers()
            request.headers.update(sent)
            # httpx2 reads the whole body of a response that is not the last, however long.
            response.stream = _Unread(response.stream)
            response = yield request

    def _may_have_it(self, url: httpx2.URL) -> bool:
        own = self._url
        if url.scheme != own.scheme or _port(url) != _port(own):
            return False
        if url.scheme != "https" and not is_loopback(url.host):
            return False
        # `localhost` is connected to by address, since a resolver may know only one of the two.
        return url.host == own.host or (own.host == "localhost" and url.host in _LOOPBACKS)


class _Unread(httpx2.AsyncByteStream):
    """A body nobody reads; closing it closes its connection."""

    def __init__(self, stream: object) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        nothing: tuple[bytes, ...] = ()
        for chunk in nothing:
            yield chunk

    async def aclose(self) -> None:
        if isinstance(self._stream, httpx2.AsyncByteStream):
            await self._stream.aclose()


def _port(url: httpx2.URL) -> int | None:
    return url.port or _PORTS.get(url.scheme)
