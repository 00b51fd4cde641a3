"""MCP over Streamable HTTP, both eras (spec: basic/transports, Streamable HTTP).

This module imports httpx2; the supervisor imports it in a thread, at the first HTTP server.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager

import httpx2

from mcpmux_tui import __version__
from mcpmux_tui.model.channel import Lists
from mcpmux_tui.model.errors import ConnectionLost, StartFailed, UpstreamError
from mcpmux_tui.model.jsonrpc import Malformed, Message
from mcpmux_tui.model.protocol import (
    HEADER_METHOD,
    HEADER_NAME,
    HEADER_PROTOCOL_VERSION,
    HEADER_SESSION_ID,
    is_modern,
)
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.text import one_line
from mcpmux_tui.upstream.events import EventReader, TooLarge
from mcpmux_tui.upstream.headers import ParamHeaders, header_value
from mcpmux_tui.upstream.limits import MIB, Limits
from mcpmux_tui.upstream.network import explain, status_phrase
from mcpmux_tui.upstream.transport import Listener, Request, read_message
from mcpmux_tui.upstream.troubles import NotUnderstood, SessionExpired, SignInNeeded, Unreachable

_JSON = "application/json"
_EVENTS = "text/event-stream"
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that pass by themselves."""


class HttpTransport:
    """Implements Transport for one address. Every exchange is its own POST: one that fails, fails
    alone."""

    closing_cancels = True
    pid = None

    def __init__(self, launch: HttpLaunch, *, configured: HttpLaunch, limits: Limits) -> None:
        self.version: str | None = None
        self._launch = launch
        self._configured = configured
        """The launch before placeholders were filled, for sentences."""
        self._limits = limits
        self._client: httpx2.AsyncClient | None = None
        self._url = httpx2.URL()
        self._listener: Listener | None = None
        self._session: str | None = None
        self._params = ParamHeaders()

    async def open(self, listener: Listener) -> None:
        self._listener = listener
        self._url = _address(self._launch.url, self._configured.url)
        headers = _own_headers(self._launch.headers)
        loopback = _is_loopback(self._url.host)
        self._client = httpx2.AsyncClient(
            headers=headers,
            verify=await asyncio.to_thread(_trust, self._url.scheme),
            # Deadlines are the session's; only a connect has one of its own.
            timeout=httpx2.Timeout(None, connect=self._limits.connect),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
            follow_redirects=False,
            # A proxy from the environment has no way to this machine's loopback.
            trust_env=not loopback,
        )

    async def exchange(self, request: Request) -> Message:
        session = None if request.method == "initialize" else self._session
        headers = self._headers(request, session)
        async with self._stream("POST", headers, request.body) as response:
            if response.status_code != 200:
                return await self._refused(response, session)
            match _media_type(response):
                case "application/json":
                    answer = _answer(await self._body(response, request), request.id)
                case "text/event-stream":
                    answer = await self._answer_in_stream(response, request)
                case media_type:
                    raise await self._no_message(response, media_type)
            if request.method == "initialize":
                self._session = response.headers.get(HEADER_SESSION_ID)
            return answer

    async def send(self, message: bytes) -> None:
        headers = {"accept": f"{_JSON}, {_EVENTS}", "content-type": _JSON}
        async with self._stream("POST", self._versioned(headers), message) as response:
            if response.status_code >= 400:
                raise ConnectionLost(status_phrase(response.status_code))

    async def follow(self, opened: Callable[[], None]) -> bool:
        if self._session is None:
            return False
        session = self._session
        headers = self._versioned({"accept": _EVENTS})
        async with self._stream("GET", headers) as response:
            status = response.status_code
            if status == 404:
                raise SessionExpired
            if status == 401:
                raise SignInNeeded
            if status >= 500 or status in _PASSING:
                raise ConnectionLost(status_phrase(status))
            if status != 200 or _media_type(response) != _EVENTS:
                return False
            opened()
            async with aclosing(self._messages(response)) as messages:
                async for message in messages:
                    if session != self._session:
                        break
                    self._hand_on(message)
        return True

    async def learn(self, lists: Lists) -> Lists:
        return await self._params.learn(lists) if is_modern(self.version or "") else lists

    async def close(self) -> None:
        if self._client is None:
            return
        if self._session is not None:
            try:
                async with asyncio.timeout(self._limits.goodbye):
                    async with self._stream("DELETE", self._versioned({})):
                        pass
            except (UpstreamError, TimeoutError):
                # A courtesy: the server forgets the session some day without it.
                pass
        client, self._client = self._client, None
        await client.aclose()

    def _headers(self, request: Request, session: str | None) -> dict[str, str]:
        headers = {"accept": f"{_JSON}, {_EVENTS}", "content-type": _JSON}
        if session is not None:
            headers[HEADER_SESSION_ID] = session
        if request.method == "initialize" or self.version is None:
            return headers
        headers[HEADER_PROTOCOL_VERSION] = self.version
        if is_modern(self.version):
            headers[HEADER_METHOD] = request.method
            if request.name is not None:
                headers[HEADER_NAME] = header_value(request.name)
                if request.method == "tools/call":
                    headers |= self._params.of(request.name, request.params)
        return headers

    def _versioned(self, headers: dict[str, str]) -> dict[str, str]:
        if self._session is not None:
            headers[HEADER_SESSION_ID] = self._session
        if self.version is not None:
            headers[HEADER_PROTOCOL_VERSION] = self.version
        return headers

    @asynccontextmanager
    async def _stream(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """One request and its open response; every failure of the network in our own words."""
        if self._client is None:
            raise Unreachable("was stopped")
        try:
            async with self._client.stream(
                method, self._url, headers=headers, content=body
            ) as response:
                yield response
        except httpx2.HTTPError as error:
            raise explain(error, self._shown_host(), self._limits.connect) from error

    def _shown_host(self) -> str:
        """The host, unless it came from a placeholder: its value may be a secret."""
        host, configured = self._url.host, self._configured.url
        return host if host in configured else one_line(configured, 200)

    async def _refused(self, response: httpx2.Response, session: str | None) -> Message:
        """The JSON-RPC error that came with a status other than 200.

        Raises SignInNeeded, SessionExpired, NotUnderstood.
        """
        status = response.status_code
        if status == 401:
            raise SignInNeeded
        if status == 404 and session is not None:
            raise SessionExpired
        if 300 <= status < 400:
            raise _redirected(self._url, self._configured.url, response)
        if status < 300:
            raise NotUnderstood(
                f"took a request and gave no answer (HTTP {status})", permanent=False
            )
        if _media_type(response) == _JSON:
            try:
                message = read_message(await self._start_of(response))
            except Malformed:
                message = Message()
            if message.error is not None:
                return message
        raise NotUnderstood(
            status_phrase(status),
            _STATUS_HINTS.get(status, "Its operator has to look, or its address is wrong."),
            permanent=status < 500 and status not in _PASSING,
        )

    async def _no_message(self, response: httpx2.Response, media_type: str) -> NotUnderstood:
        hint = "Look whether the address is right and ends with the server's MCP path."
        if media_type not in {"text/html", "application/xhtml+xml"}:
            kind = one_line(media_type, 60) or "nothing"
            return NotUnderstood(f"this address answered {kind}, not an MCP message", hint)
        title = _TITLE.search(await self._start_of(response))
        named = f' ("{one_line(title[1].decode("utf-8", "replace"), 60)}")' if title else ""
        return NotUnderstood(f"this address answered a web page{named}", hint)

    async def _body(self, response: httpx2.Response, request: Request) -> bytes:
        chunks = []
        size = 0
        async with aclosing(response.aiter_bytes()) as body:
            async for chunk in body:
                request.alive()
                size += len(chunk)
                if size > self._limits.message:
                    raise self._too_large()
                chunks.append(chunk)
        return b"".join(chunks)

    async def _start_of(self, response: httpx2.Response) -> bytes:
        start = b""
        async with aclosing(response.aiter_bytes()) as body:
            async for chunk in body:
                start += chunk
                if len(start) > self._limits.error_body:
                    break
        return start

    async def _answer_in_stream(self, response: httpx2.Response, request: Request) -> Message:
        async with aclosing(self._messages(response, request)) as messages:
            async for message in messages:
                if message.method is not None:
                    self._hand_on(message)
                elif message.id == request.id:
                    return message
        raise ConnectionLost("ended its answer before the result came", "Try again.")

    async def _messages(
        self, response: httpx2.Response, request: Request | None = None
    ) -> AsyncGenerator[Message]:
        reader = EventReader(self._limits.message)
        async with aclosing(response.aiter_bytes()) as body:
            async for chunk in body:
                if request is not None:
                    request.alive()
                try:
                    for data in reader.feed(chunk):
                        yield read_message(data)
                except TooLarge:
                    raise self._too_large() from None
                except Malformed as error:
                    raise _unreadable(error) from error

    def _too_large(self) -> ConnectionLost:
        cap = self._limits.message // MIB
        return ConnectionLost(f"the answer is larger than {cap} MiB", "Ask for less.")

    def _hand_on(self, message: Message) -> None:
        if message.method is not None and self._listener is not None:
            self._listener.received(message)


def _answer(body: bytes, raw_id: bytes) -> Message:
    try:
        message = read_message(body)
    except Malformed as error:
        raise _unreadable(error) from error
    if message.method is not None or message.id not in {raw_id, None}:
        raise NotUnderstood("answered another request than the one sent", permanent=False)
    return message


def _unreadable(error: Malformed) -> NotUnderstood:
    return NotUnderstood(
        f"the answer could not be read: {error}", "Look at its log.", permanent=False
    )


def _media_type(response: httpx2.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _redirected(url: httpx2.URL, configured: str, response: httpx2.Response) -> NotUnderstood:
    try:
        target = url.join(response.headers.get("location", "")).copy_with(query=None, fragment=None)
    except httpx2.InvalidURL:
        target = url
    # The answer may repeat the value of a placeholder, which may be a secret.
    where = "another one" if "${" in configured.partition("?")[0] else one_line(str(target), 200)
    return NotUnderstood(
        f"this address redirects to {where}",
        "Put that address in the config if it is the server you mean.",
    )


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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _trust(scheme: str) -> ssl.SSLContext:
    # Loading the system's certificates takes a while: not for plain HTTP, and only once.
    return _system_trust() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _system_trust() -> ssl.SSLContext:
    return httpx2.create_ssl_context()
