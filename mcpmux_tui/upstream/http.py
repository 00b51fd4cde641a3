"""MCP over Streamable HTTP, both eras (spec: basic/transports, Streamable HTTP)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import httpx2

from mcpmux_tui.model.channel import Lists
from mcpmux_tui.model.errors import ConnectionLost, UpstreamError
from mcpmux_tui.model.events import EventReader
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.protocol import (
    HEADER_METHOD,
    HEADER_NAME,
    HEADER_PROTOCOL_VERSION,
    HEADER_SESSION_ID,
    header_value,
    is_modern,
)
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.upstream.backoff import Backoff
from mcpmux_tui.upstream.headers import ParamHeaders
from mcpmux_tui.upstream.http_client import (
    EVENTS,
    JSON,
    HttpClient,
    media_type,
    message_in,
    passes,
)
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.network import status_phrase
from mcpmux_tui.upstream.transport import Listener, Request
from mcpmux_tui.upstream.troubles import NotUnderstood, SessionExpired


class HttpTransport:
    """Implements Transport for one address. Every exchange is its own POST: one that fails, fails
    alone."""

    closing_cancels = True
    pushes = False
    shared = False
    pid = None

    def __init__(
        self,
        launch: HttpLaunch,
        *,
        configured: HttpLaunch,
        auth: httpx2.Auth | None,
        limits: Limits,
    ) -> None:
        self.version: str | None = None
        self._client = HttpClient(launch, configured=configured, auth=auth, limits=limits)
        self._limits = limits
        self._listener: Listener | None = None
        self._session: str | None = None
        self._params = ParamHeaders()

    async def open(self, listener: Listener) -> None:
        self._listener = listener
        await self._client.open()

    async def exchange(self, request: Request) -> Message:
        self._client.respect_pause()
        session = None if request.method == "initialize" else self._session
        headers = self._headers(request, session)
        reader = EventReader(self._limits.message)
        try:
            async with self._client.stream("POST", headers, request.message()) as response:
                answer = await self._answer(response, request, session, reader)
        except NotUnderstood:
            raise
        except ConnectionLost:
            # Only a stream whose events have ids can go on where it broke.
            if not self._resumable(reader):
                raise
            answer = None
        if answer is None:
            answer = await self._resumed(request, reader)
        return answer

    async def _answer(
        self,
        response: httpx2.Response,
        request: Request,
        session: str | None,
        reader: EventReader,
    ) -> Message | None:
        """The answer to a request; None where its stream ended before it and can be resumed."""
        if response.status_code == 404 and session is not None:
            raise SessionExpired
        if response.status_code != 200:
            return await self._client.refused(response)
        match media_type(response):
            case "application/json":
                body = await self._client.body(response, request.alive)
                answer = message_in(body)
                if answer.method is not None or answer.id not in {request.id, None}:
                    raise NotUnderstood(
                        "answered another request than the one sent", permanent=False
                    )
            case "text/event-stream":
                found = await self._answer_in_stream(response, request, reader)
                if found is None:
                    return None
                answer = found
            case _:
                raise await self._client.no_message(response)
        if request.method == "initialize":
            self._session = response.headers.get(HEADER_SESSION_ID)
        return answer

    async def send(self, message: bytes) -> None:
        headers = {"accept": f"{JSON}, {EVENTS}", "content-type": JSON}
        async with self._client.stream("POST", self._versioned(headers), message) as response:
            if response.status_code >= 400:
                raise ConnectionLost(status_phrase(response.status_code))
            await self._client.start_of(response)

    async def follow(self, opened: Callable[[], None]) -> bool:
        if self._session is None:
            return False
        session = self._session
        headers = self._versioned({"accept": EVENTS})
        async with self._client.stream("GET", headers) as response:
            status = response.status_code
            if status == 404:
                raise SessionExpired
            if status == 401:
                raise self._client.not_authorized()
            if passes(status):
                raise self._client.status_trouble(response)
            if status != 200 or media_type(response) != EVENTS:
                await self._client.start_of(response)
                return False
            opened()
            reader = EventReader(self._limits.message)
            async with aclosing(self._messages(response, reader, _nobody_waits)) as messages:
                async for message in messages:
                    if session != self._session:
                        break
                    self._hand_on(message)
        return True

    async def learn(self, lists: Lists) -> Lists:
        return await self._params.learn(lists) if is_modern(self.version or "") else lists

    async def close(self) -> None:
        if self._session is not None and self._client.is_open:
            try:
                async with asyncio.timeout(self._limits.goodbye):
                    async with self._client.stream("DELETE", self._versioned({})):
                        pass
            except (UpstreamError, TimeoutError):
                # A courtesy: the server forgets the session some day without it.
                pass
        await self._client.close()

    def _headers(self, request: Request, session: str | None) -> dict[str, str]:
        headers = {"accept": f"{JSON}, {EVENTS}", "content-type": JSON}
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

    def _resumable(self, reader: EventReader) -> bool:
        # In the stateless era a broken stream is a cancelled request.
        return bool(reader.last_id) and not is_modern(self.version or "")

    async def _resumed(self, request: Request, reader: EventReader) -> Message:
        """Fetch the rest of an answer's stream (spec 2025-11-25: resumability and redelivery).

        Raises ConnectionLost.
        """
        limits = self._limits
        # Some servers end each stream soon and on purpose: only tries that bring nothing count.
        backoff = Backoff(limits.resume_first, limits.resume_most, limits.jitter)
        fruitless = 0
        while fruitless < limits.resumes:
            await asyncio.sleep(min(max(reader.retry, backoff.next()), limits.retry_most))
            reached = reader.last_id
            headers = self._versioned({"accept": EVENTS, "last-event-id": reader.last_id})
            reader.restart()
            try:
                async with self._client.stream("GET", headers) as response:
                    if response.status_code != 200 or media_type(response) != EVENTS:
                        if passes(response.status_code):
                            fruitless += 1
                            continue
                        break
                    answer = await self._answer_in_stream(response, request, reader)
            except NotUnderstood:
                raise
            except UpstreamError:
                answer = None
            if answer is not None:
                return answer
            fruitless = fruitless + 1 if reader.last_id == reached else 0
        raise _ended_early()

    async def _answer_in_stream(
        self, response: httpx2.Response, request: Request, reader: EventReader
    ) -> Message | None:
        async with aclosing(self._messages(response, reader, request.alive)) as messages:
            async for message in messages:
                if message.method is not None:
                    self._hand_on(message, request.id)
                elif message.id == request.id:
                    return message
        if not self._resumable(reader):
            raise _ended_early()
        return None

    async def _messages(
        self, response: httpx2.Response, reader: EventReader, alive: Callable[[], None]
    ) -> AsyncGenerator[Message]:
        async with aclosing(self._client.events(response, reader, alive)) as events:
            async for event in events:
                if event.type == "message":
                    yield message_in(event.data)

    def _hand_on(self, message: Message, of: bytes | None = None) -> None:
        if message.method is not None and self._listener is not None:
            self._listener.received(message, of)


def _nobody_waits() -> None:
    """Nothing hangs on this stream's silence."""


def _ended_early() -> ConnectionLost:
    return ConnectionLost("ended its answer before the result came", "Try again.")
