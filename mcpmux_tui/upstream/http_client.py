"""One server's HTTP client: its address, its declared headers, and every failure in our own words.

This module imports httpx2; the supervisor imports it in a thread, at the first HTTP server.
"""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from http.cookiejar import CookieJar
from typing import Final

import httpx2

from mcpmux_tui import __version__
from mcpmux_tui.model.errors import SignInRequired, StartFailed
from mcpmux_tui.model.events import Event, EventReader, TooLarge
from mcpmux_tui.model.hosts import is_loopback
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.rawjson import Malformed
from mcpmux_tui.model.retry_after import asked_pause
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.text import one_line
from mcpmux_tui.upstream.kept import KeptTransport
from mcpmux_tui.upstream.limits import MIB, Limits
from mcpmux_tui.upstream.network import explain, status_phrase
from mcpmux_tui.upstream.transport import read_message
from mcpmux_tui.upstream.troubles import NotTrusted, NotUnderstood, Unreachable, not_authorized

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that pass by themselves."""
_KEPT: Final = 64
"""Connections kept for the next request."""
_KEPT_FOR: Final = 60.0
_EXPIRY: Final = 30.0
"""Seconds after which an idle connection is not trusted any more."""
_PORTS: Final = {"http": 80, "https": 443}
_NO_ANSWER_HINTS: Final = {
    "http": "Look whether the address should begin with https instead of http, and whether it is an"
    " MCP server's.",
    "https": "Look at the server's own log, and whether the address is an MCP server's.",
}
_LOOPBACKS = ("127.0.0.1", "::1")


class Connections:
    """Clients with one connection each: a pool of httpx2 looks at every one of its connections for
    every request, so that many calls at once slow each other down."""

    def __init__(self, make: Callable[[], httpx2.AsyncClient]) -> None:
        self._make = make
        self._all: set[httpx2.AsyncClient] = set()
        self._idle: deque[tuple[float, httpx2.AsyncClient]] = deque()
        """Since when, the longest idle first."""
        self._closed = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx2.AsyncClient]:
        """A client for one request, and nobody else's meanwhile."""
        if self._idle:
            _, client = self._idle.pop()
        else:
            client = self._make()
            self._all.add(client)
        try:
            yield client
        finally:
            self._idle.append((time.monotonic(), client))
            await self._let_go()

    async def close(self) -> None:
        """Close every connection, also those in use."""
        self._closed = True
        for client in list(self._all):
            await client.aclose()
        self._all.clear()

    async def _let_go(self) -> None:
        """The longest idle one, once it is idle for long or there are many."""
        since, client = self._idle[0]
        if self._closed or len(self._idle) > _KEPT or time.monotonic() - since > _KEPT_FOR:
            self._idle.popleft()
            self._all.discard(client)
            await client.aclose()


class HttpClient:
    """Requests to one address. `open` comes first, `close` always last."""

    def __init__(
        self,
        launch: HttpLaunch,
        *,
        configured: HttpLaunch,
        auth: httpx2.Auth | None,
        limits: Limits,
    ) -> None:
        self.url = httpx2.URL()
        self._launch = launch
        self._configured = configured
        """The launch before placeholders were filled, for sentences."""
        self._auth = auth
        self._limits = limits
        self._connections: Connections | None = None
        self._hosts: list[str] = []
        """Where to connect, the one that worked last first."""
        self._answered = False
        """Whether anything at the address ever answered in HTTP."""
        self._pause: NotUnderstood | None = None
        self._pause_ends = 0.0

    async def open(self) -> None:
        """Make ready; connects nothing. Raises StartFailed."""
        self.url = _address(self._launch.url, self._configured.url)
        host = self.url.host
        # A resolver may know only one of the two addresses that servers mean by it.
        self._hosts = [host, *_LOOPBACKS] if host == "localhost" else [host]
        headers = _own_headers(self._launch.headers)
        trust = await asyncio.to_thread(_trust, self.url.scheme)
        cookies = CookieJar()
        self._connections = Connections(
            lambda: httpx2.AsyncClient(
                headers=headers,
                auth=self._auth,
                cookies=cookies,
                verify=trust,
                # Deadlines are the session's; only a connect has one of its own.
                timeout=httpx2.Timeout(None, connect=self._limits.connect),
                limits=httpx2.Limits(max_connections=1, keepalive_expiry=_EXPIRY),
                follow_redirects=False,
                transport=(
                    KeptTransport(self._limits.connect)
                    if self.url.scheme == "http" and is_loopback(host)
                    else None
                ),
                # A proxy from the environment has no way to this machine's loopback.
                trust_env=not is_loopback(host),
            )
        )

    async def close(self) -> None:
        """Close every connection."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()

    @property
    def is_open(self) -> bool:
        """Between `open` and `close`."""
        return self._connections is not None

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        url: httpx2.URL | None = None,
    ) -> AsyncIterator[httpx2.Response]:
        """One request and its open response. Raises Unreachable and ConnectionLost."""
        if self._connections is None:
            raise Unreachable("was stopped")
        try:
            async with self._connections.one() as client:
                response = await self._sent(client, method, url or self.url, headers, body)
                try:
                    yield response
                finally:
                    await response.aclose()
        except httpx2.HTTPError as error:
            trouble = explain(
                error,
                self._shown_host(),
                self._limits.connect,
                address=self._shown_address(),
                never_answered=None if self._answered else _NO_ANSWER_HINTS[self.url.scheme],
            )
            if isinstance(trouble, NotTrusted):
                # Who is trusted may be another one at the next try, which a person asks for.
                system_trust.cache_clear()
            raise trouble from error

    async def _sent(
        self,
        client: httpx2.AsyncClient,
        method: str,
        url: httpx2.URL,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> httpx2.Response:
        for host in list(self._hosts):
            if self._connections is None:
                break
            request = client.build_request(
                method,
                url if host == url.host else url.copy_with(host=host),
                headers={**headers, "host": url.netloc.decode("ascii")},
                content=body,
                extensions={"sni_hostname": url.host},
            )
            try:
                response = await client.send(request, stream=True)
            except httpx2.ConnectError:
                if host == self._hosts[-1]:
                    raise
            else:
                self._answered = True
                self._hosts.sort(key=lambda each: each != host)
                return response
        raise Unreachable("was stopped")

    def _shown_host(self) -> str:
        """The host, unless it came from a placeholder: its value may be a secret."""
        host, configured = self.url.host, self._configured.url
        return host if host in configured else one_line(configured, 200)

    def _shown_address(self) -> str:
        """The host with its port, unless that came from a placeholder."""
        host, port = self._shown_host(), self.url.port or _PORTS[self.url.scheme]
        hidden = host != self.url.host or (self.url.port and str(port) not in self._configured.url)
        return host if hidden else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def refused(self, response: httpx2.Response) -> Message:
        """The JSON-RPC error that came with a status other than 200.

        Raises SignInRequired, NotUnderstood.
        """
        status = response.status_code
        start = await self.start_of(response)
        if status == 401:
            raise self.not_authorized()
        if 300 <= status < 400:
            raise self._redirected(response)
        if status < 300:
            raise NotUnderstood(
                f"took a request and gave no answer (HTTP {status})", permanent=False
            )
        if media_type(response) == JSON:
            try:
                message = read_message(start)
            except Malformed:
                message = Message()
            if message.error is not None:
                return message
        raise self.status_trouble(response)

    def not_authorized(self) -> SignInRequired:
        """The error for HTTP 401 that no sign-in accounts for."""
        return not_authorized(brings_authorization=self._launch.brings_authorization)

    def status_trouble(self, response: httpx2.Response) -> NotUnderstood:
        """The error for a status that tells enough by itself."""
        status = response.status_code
        pause = asked_pause(response.headers.get("retry-after")) if passes(status) else None
        trouble = NotUnderstood(
            status_phrase(status),
            _STATUS_HINTS.get(status, "Its operator has to look, or its address is wrong."),
            permanent=not passes(status),
            status=status,
            retry_after=pause,
        )
        if pause is not None:
            self._pause = trouble
            self._pause_ends = asyncio.get_running_loop().time() + pause
        return trouble

    def respect_pause(self) -> None:
        """To be called before a request that can wait: the server may want to be left alone.

        Raises NotUnderstood.
        """
        left = self._pause_ends - asyncio.get_running_loop().time()
        if self._pause is not None and left > 0:
            raise self._pause.with_pause(left)

    async def no_message(self, response: httpx2.Response) -> NotUnderstood:
        """The error for an answer of a kind that is no MCP message."""
        hint = "Look whether the address is right and ends with the server's MCP path."
        kind = media_type(response)
        if kind not in {"text/html", "application/xhtml+xml"}:
            shown = one_line(kind, 60) or "nothing"
            return NotUnderstood(f"this address answered {shown}, not an MCP message", hint)
        title = _TITLE.search(await self.start_of(response))
        named = f' ("{one_line(title[1].decode("utf-8", "replace"), 60)}")' if title else ""
        return NotUnderstood(f"this address answered a web page{named}", hint)

    async def body(self, response: httpx2.Response, alive: Callable[[], None]) -> bytes:
        """The whole body, decoded; `alive` is called as it comes. Raises NotUnderstood."""
        chunks = []
        size = 0
        async with aclosing(response.aiter_bytes()) as body:
            async for chunk in body:
                alive()
                size += len(chunk)
                if size > self._limits.message:
                    raise self._too_large()
                chunks.append(chunk)
        return b"".join(chunks)

    async def events(
        self, response: httpx2.Response, reader: EventReader, alive: Callable[[], None]
    ) -> AsyncGenerator[Event]:
        """The events of a stream until it ends; `alive` is called as they come.

        Raises NotUnderstood.
        """
        async with aclosing(response.aiter_bytes()) as body:
            async for chunk in body:
                alive()
                try:
                    for event in reader.feed(chunk):
                        yield event
                except TooLarge:
                    raise self._too_large() from None

    async def start_of(self, response: httpx2.Response) -> bytes:
        """The first bytes of a body; one that ends with them leaves its connection usable."""
        start = b""
        async with aclosing(response.aiter_bytes()) as body:
            async for chunk in body:
                start += chunk
                if len(start) > self._limits.error_body:
                    break
        return start

    def _too_large(self) -> NotUnderstood:
        cap = self._limits.message // MIB
        return NotUnderstood(
            f"the answer is larger than {cap} MiB", "Ask for less.", permanent=False
        )

    def _redirected(self, response: httpx2.Response) -> NotUnderstood:
        configured = self._configured.url
        try:
            target = self.url.join(response.headers.get("location", ""))
            target = target.copy_with(query=None, fragment=None)
        except httpx2.InvalidURL:
            target = self.url
        # The answer may repeat the value of a placeholder, which may be a secret.
        hidden = "${" in configured.partition("?")[0]
        where = "another one" if hidden else one_line(str(target), 200)
        return NotUnderstood(
            f"this address redirects to {where}",
            "Put that address in the config if it is the server you mean.",
        )


def message_in(data: bytes) -> Message:
    """One message of an answer. Raises NotUnderstood."""
    try:
        return read_message(data)
    except Malformed as error:
        raise NotUnderstood(
            f"the answer could not be read: {error}", "Look at its log.", permanent=False
        ) from error


def media_type(response: httpx2.Response) -> str:
    """The media type of a response, without parameters."""
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def passes(status: int) -> bool:
    """Whether what a status means may be over at the next try."""
    return status >= 500 or status in _PASSING


_STATUS_HINTS = {
    403: "This server refuses you: look at the `headers` of its entry.",
    404: "Look whether the address is right and ends with the server's MCP path.",
    405: "Look whether the address is right and ends with the server's MCP path.",
    429: "It is asked too often; wait a little.",
    502: "The server behind this address is down; it may come back.",
    503: "The server is busy or down; it may come back.",
    504: "The server behind this address did not answer in time.",
}


def _address(text: str, configured: str) -> httpx2.URL:
    shown = one_line(configured, 200)
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        # What the library says may repeat the value of a placeholder.
        why = f" ({one_line(str(error))})" if text == configured else ""
        raise StartFailed(
            f"not an address: {shown}", f"Correct `url` in the config{why}.", permanent=True
        ) from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise StartFailed(
            f"not an http or https address: {shown}",
            "Correct `url` in the config.",
            permanent=True,
        )
    return url


def _own_headers(declared: Mapping[str, str]) -> httpx2.Headers:
    for key, value in declared.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", key) or not re.fullmatch(
            r"[\x20-\x7e\t]*", value
        ):
            raise StartFailed(
                f"header {one_line(key, 60)!r} cannot be sent",
                "Only ASCII without line breaks can stand in a header; correct it in the config.",
                permanent=True,
            )
    return httpx2.Headers({"user-agent": f"mcpmux/{__version__}", **declared})


def _trust(scheme: str) -> ssl.SSLContext:
    # Loading the system's certificates takes a while: not for plain HTTP, and only once.
    return system_trust() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def system_trust() -> ssl.SSLContext:
    """The authorities this machine trusts; those of SSL_CERT_FILE and SSL_CERT_DIR where set."""
    return httpx2.create_ssl_context()
