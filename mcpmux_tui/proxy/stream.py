"""Event streams to clients: those they hold open, and answers that have something to say before."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from mcpmux_tui.proxy.http import SSE, Exchange, sse_event

_WAITING: Final = 256
"""Messages that may wait for a client that does not read; what can be missed is then left out."""


class EventStream:
    """An open event stream: messages go out in order, as fast as the client takes them."""

    def __init__(self, *, opening: bytes = b"", closing: bytes = b"") -> None:
        self._opening = sse_event(opening) if opening else b": open\n\n"
        self._closing = sse_event(closing) if closing else b""
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._gone = False

    def tell(self, message: bytes) -> None:
        """Send a notification; one that waits unwritten stands for all that are equal to it."""
        if len(self._waiting) < _WAITING and message not in self._waiting:
            self.send(message)

    def send(self, message: bytes) -> None:
        """Send a message that must not be missed."""
        self._waiting.append(message)
        self._wake.set()

    def end(self) -> None:
        """End the stream in order."""
        self._ended = True
        self._wake.set()

    def _client_gone(self) -> None:
        self._gone = True
        self._wake.set()

    async def serve(self, exchange: Exchange, ping: float) -> None:
        """Write the stream until it is ended or the client goes away."""
        with exchange.when_gone(self._client_gone):
            await self.write(exchange, ping)

    async def write(self, exchange: Exchange, ping: float) -> None:
        """Write the stream until it is ended, with a comment every `ping` seconds of silence."""
        await exchange.start_stream()
        await exchange.push(self._opening)
        while not self._gone:
            try:
                async with asyncio.timeout(ping):
                    await self._wake.wait()
            except TimeoutError:
                await exchange.push(b": ping\n\n")
                continue
            self._wake.clear()
            while self._waiting and not self._gone:
                await exchange.push(sse_event(self._waiting.popleft()))
            if self._ended:
                await exchange.push(self._closing, last=True)
                return


class Reply:
    """The answer to one POST: JSON, or an event stream once there is something to say before it.

    A call that takes long becomes a stream as well, so that nobody on the way gives it up.
    """

    def __init__(self, exchange: Exchange, ping: float) -> None:
        self._exchange = exchange
        self._ping = ping
        self._stream: EventStream | None = None
        self._writing: asyncio.Task[None] | None = None
        self._finished = False
        self._timer: asyncio.TimerHandle | None = None
        if exchange.accepts(SSE):
            self._timer = asyncio.get_running_loop().call_later(ping, self._opened)

    @property
    def can_stream(self) -> bool:
        """Whether anything can be said before the answer."""
        return self._timer is not None and not self._finished

    def tell(self, message: bytes) -> None:
        """Send a notification, if the client takes any here."""
        if self.can_stream:
            self._opened().tell(message)

    def send(self, message: bytes) -> None:
        """Send a request; `can_stream` must be true."""
        self._opened().send(message)

    async def finish(self, body: bytes, status: int = 200) -> None:
        """Send the answer itself; a status counts only where no stream was begun."""
        self._end_timer()
        if self._stream is None or self._writing is None:
            await self._exchange.reply(status, body)
            return
        self._stream.send(body)
        self._stream.end()
        await self._writing

    def close(self) -> None:
        """Leave nothing running; to be called last in any case."""
        self._end_timer()
        if self._writing is not None:
            self._writing.cancel()

    def _end_timer(self) -> None:
        self._finished = True
        if self._timer is not None:
            self._timer.cancel()

    def _opened(self) -> EventStream:
        if self._stream is None:
            self._stream = EventStream()
            self._writing = asyncio.create_task(
                self._stream.write(self._exchange, self._ping), name="answer-stream"
            )
        return self._stream
