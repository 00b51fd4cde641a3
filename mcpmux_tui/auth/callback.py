"""The listener to which a browser brings the answer of a sign-in.

One for all sign-ins that are under way, told apart by their `state` (RFC 6749, 4.1.2; RFC 8252,
7.3): on 127.0.0.1 alone, one path, GET alone, closed with the last of them.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlsplit

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
_HEADER: Final = 16 * 1024
_PATIENCE: Final = 10.0
"""Seconds for a whole request."""
_PAGE: Final = (
    "<!doctype html><meta charset=utf-8><title>mcpmux</title>"
    "<p style='font:16px sans-serif;margin:3em'>{text}"
)
_HEAD: Final = "\r\n".join(
    (
        "HTTP/1.1 {status} {phrase}",
        "content-type: text/html; charset=utf-8",
        "content-length: {length}",
        "cache-control: no-store",
        "connection: close",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'; style-src 'unsafe-inline'",
        "",
        "",
    )
)
_DONE: Final = "Signed in, or not: mcpmux says which. You can close this page."
_LATE: Final = "This sign-in is over or was never begun. Look at mcpmux."


class Callback:
    """Hands the parameters of each answer to the sign-in with its state, once."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Mapping[str, str]]] = {}
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def redirect_uri(self) -> str:
        """Where a browser brings answers while this listens."""
        return f"http://{HOST}:{self._port}{PATH}"

    async def listen(self, port: int) -> None:
        """Listen on the remembered port if it is free, else on another. Raises OSError."""
        if self._server is not None:
            return
        try:
            self._server = await self._bound(port)
        except OSError:
            self._server = await self._bound(0)
        self._port = self._server.sockets[0].getsockname()[1]

    def expect(self, state: str) -> asyncio.Future[Mapping[str, str]]:
        """The parameters of the answer with this state, once they come."""
        answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._waiting[state] = answer
        return answer

    def forget(self, state: str) -> None:
        """An answer with this state is late from now on; the last one closes the listener."""
        self._waiting.pop(state, None)
        if not self._waiting and self._server is not None:
            self._server.close()
            self._server = None

    def take(self, query: str) -> bool:
        """Hand on the parameters of an answer; whether a sign-in waited for it."""
        params = parameters(query)
        given = params.get("state", "")
        for state in list(self._waiting):
            if hmac.compare_digest(state.encode(), given.encode("utf-8", "replace")):
                answer = self._waiting.pop(state)
                if not answer.done():
                    answer.set_result(params)
                    return True
        return False

    async def _bound(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._serve, HOST, port, limit=_HEADER)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, text = HTTPStatus.BAD_REQUEST, _LATE
        try:
            async with asyncio.timeout(_PATIENCE):
                request = await reader.readuntil(b"\r\n\r\n")
            status, text = self._answer(request.decode("latin-1").split("\r\n"))
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
            pass
        body = _PAGE.format(text=text).encode()
        head = _HEAD.format(status=status.value, phrase=status.phrase, length=len(body))
        writer.write(head.encode() + body)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    def _answer(self, lines: list[str]) -> tuple[HTTPStatus, str]:
        method, _, rest = lines[0].partition(" ")
        target = rest.rpartition(" ")[0]
        hosts = [
            line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")
        ]
        if hosts != [f"{HOST}:{self._port}"]:
            return HTTPStatus.MISDIRECTED_REQUEST, _LATE
        parts = urlsplit(target)
        if parts.path != PATH:
            return HTTPStatus.NOT_FOUND, _LATE
        if method != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, _LATE
        return (HTTPStatus.OK, _DONE) if self.take(parts.query) else (HTTPStatus.BAD_REQUEST, _LATE)


def parameters(query: str) -> dict[str, str]:
    """The parameters of an answer; one that stands twice is left out (RFC 6749, 3.1)."""
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}
