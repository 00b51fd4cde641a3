"""MCP over the older HTTP with SSE (spec: 2024-11-05 basic/transports, HTTP with SSE).

One stream of events carries everything the server says; its first event names the address to
which everything it is told is posted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import httpx2

from mcpmux_tui.model.channel import Lists
from mcpmux_tui.model.errors import ConnectionLost, UpstreamError
from mcpmux_tui.model.events import Event, EventReader
from mcpmux_tui.model.jsonrpc import Message, salvage_id
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.text import one_line
from mcpmux_tui.upstream.answers import Answers, received
from mcpmux_tui.upstream.http_client import EVENTS, JSON, HttpClient, media_type, message_in
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.transport import Listener, Request
from mcpmux_tui.upstream.troubles import NotUnderstood

_RECONNECTED = "It is being reconnected."


class SseTransport:
    """Implements Transport for one address; never used again once its stream has ended."""

    closing_cancels = False
    pushes = True
    shared = True
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
        self._answers = Answers()
        self._reading: asyncio.Task[None] | None = None
        self._endpoint: httpx2.URL | None = None
        self._ended: UpstreamError | None = None
        self._settled = asyncio.Event()
        """Set once the address to post to is known, or there will be none."""

    async def open(self, listener: Listener) -> None:
        self._listener = listener
        await self._client.open()
        self._reading = asyncio.create_task(self._read(), name="sse-stream")
        await self._settled.wait()
        if self._ended is not None:
            raise self._ended

    async def exchange(self, request: Request) -> Message:
        answer = self._answers.expect(request.id)
        try:
            await self._post(request.message())
            return received(await answer)
        finally:
            self._answers.forget(request.id)

    async def send(self, message: bytes) -> None:
        await self._post(message)

    async def follow(self, opened: Callable[[], None]) -> bool:
        return False

    async def learn(self, lists: Lists) -> Lists:
        return lists

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        self._end(ConnectionLost("was stopped"))
        await self._client.close()

    async def _post(self, message: bytes) -> None:
        if self._ended is not None:
            raise ConnectionLost(self._ended.message, self._ended.hint)
        self._client.respect_pause()
        headers = {"content-type": JSON}
        stream = self._client.stream("POST", headers, message, url=self._endpoint)
        async with stream as response:
            status = response.status_code
            if status == 401:
                raise self._client.not_authorized()
            if status == 404:
                # A session lives as long as its stream: there is none to renew.
                forgotten = ConnectionLost("forgot its session (HTTP 404)", _RECONNECTED)
                self._end(forgotten)
                raise forgotten
            if not 200 <= status < 300:
                raise self._client.status_trouble(response)
            await self._client.start_of(response)

    async def _read(self) -> None:
        error: UpstreamError = ConnectionLost("ended its stream", _RECONNECTED)
        try:
            async with self._client.stream("GET", {"accept": EVENTS}) as response:
                if response.status_code != 200:
                    await self._client.refused(response)
                    raise self._client.status_trouble(response)
                if media_type(response) != EVENTS:
                    raise await self._client.no_message(response)
                reader = EventReader(self._limits.message)
                events = self._client.events(response, reader, _nobody_waits)
                async with aclosing(events):
                    async for event in events:
                        self._take(event)
        except UpstreamError as met:
            error = met
        finally:
            self._end(error)

    def _take(self, event: Event) -> None:
        """Handle one event. Raises NotUnderstood for an address that is not its own."""
        if self._listener is not None:
            self._listener.heard()
        if event.type == "endpoint" and self._endpoint is None:
            self._endpoint = self._own_address(event.data)
            self._settled.set()
        elif event.type == "message":
            try:
                message = message_in(event.data)
            except NotUnderstood as error:
                if (raw_id := salvage_id(event.data)) is not None:
                    self._answers.settle(raw_id, error)
                return
            if message.method is not None:
                if self._listener is not None:
                    self._listener.received(message)
            elif message.id is not None:
                self._answers.settle(message.id, message)

    def _own_address(self, data: bytes) -> httpx2.URL:
        url = self._client.url
        text = data.decode("utf-8", "replace")
        try:
            endpoint = url.join(text)
        except httpx2.InvalidURL:
            endpoint = httpx2.URL()
        # Anywhere else, what is posted (and the headers with it) would be somebody else's.
        if (endpoint.scheme, endpoint.netloc) != (url.scheme, url.netloc):
            raise NotUnderstood(
                f"wants its messages sent to another place ({one_line(text, 120)})",
                "mcpmux sends them to the server of the entry only.",
            )
        return endpoint

    def _end(self, error: UpstreamError) -> None:
        if self._ended is not None:
            return
        self._ended = error
        self._settled.set()
        self._answers.fail_all(ConnectionLost(error.message, error.hint))
        if self._listener is not None:
            self._listener.lost(error)


def _nobody_waits() -> None:
    """Which request a byte belongs to is only known at the end of its event."""
