"""Event streams to clients: those they hold open, and answers that have something to say before."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from mcpmux_tui.proxy.http import ClientGone, Exchange, sse_event
from mcpmux_tui.proxy.limits import Limits

OPEN: Final = b": open\n\n"
_WAITING: Final = 256
"""Messages that may wait for a client that does not read; what can be missed is then left out."""
_KEPT: Final = 256
"""Messages of a stream that are kept after they were written."""


class EventStream:
    """An event stream: messages go out in order, as fast as the client takes them.

    One with an `id` can be taken up again: its events are numbered and the last ones kept. Spec:
    2025-11-25 basic/transports, resumability. `opening` and `closing` are events.
    """

    def __init__(self, id: str = "", *, opening: bytes = OPEN, closing: bytes = b"") -> None:
        self.id = id
        self.left: float | None = time.monotonic()
        """Since when nobody reads it; None while somebody does."""
        self._opening = opening
        self._closing = closing
        self._number = 0
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._written: deque[tuple[int, bytes]] = deque(maxlen=_KEPT if id else 0)
        self._wake = asyncio.Event()
        self._writer: object = None
        self._ended = False

    @property
    def size(self) -> int:
        """Bytes of what it holds."""
        return sum(len(message) for _, message in (*self._waiting, *self._written))

    def tell(self, message: bytes) -> None:
        """Send a notification; one that waits unwritten stands for all that are equal to it."""
        if len(self._waiting) < _WAITING and all(each != message for _, each in self._waiting):
            self.send(message)

    def send(self, message: bytes) -> None:
        """Send a message that must not be missed."""
        self._number += 1
        self._waiting.append((self._number, message))
        self._wake.set()

    def end(self) -> None:
        """End the stream in order."""
        self._ended = True
        self._wake.set()

    async def serve(self, exchange: Exchange, ping: float, after: int | None = None) -> None:
        """Write the stream until it is ended, taken up elsewhere, or the client goes away.

        `after` is the number of the last event that the client has had.
        """
        writer = object()
        try:
            with exchange.when_gone(lambda: self._leave(writer)):
                await self._write(exchange, ping, writer, after)
        finally:
            self._leave(writer)

    async def write(self, exchange: Exchange, ping: float) -> None:
        """The same where somebody else watches for the client's going away."""
        await self._write(exchange, ping, object(), None)

    async def _write(
        self, exchange: Exchange, ping: float, writer: object, after: int | None
    ) -> None:
        """Write, with a comment every `ping` seconds of silence."""
        self._writer, self.left = writer, None
        self._wake.set()
        if after is not None:
            missed = [each for each in self._written if each[0] > after]
            self._waiting.extendleft(reversed(missed))
            self._written = deque(
                (each for each in self._written if each[0] <= after), maxlen=_KEPT
            )
        exchange.start_stream()
        await exchange.push(self._opening if after is None else OPEN)
        while self._writer is writer:
            try:
                async with asyncio.timeout(ping):
                    await self._wake.wait()
            except TimeoutError:
                await exchange.push(b": ping\n\n")
                continue
            self._wake.clear()
            while self._waiting and self._writer is writer:
                number, message = self._waiting.popleft()
                self._written.append((number, message))
                await exchange.push(sse_event(message, self._event_id(number)))
            if self._ended and self._writer is writer:
                await exchange.push(self._closing, last=True)
                return
        await exchange.push(b"", last=True)

    def _event_id(self, number: int) -> bytes:
        return b"%b-%d" % (self.id.encode("ascii"), number) if self.id else b""

    def _leave(self, writer: object) -> None:
        if self._writer is writer:
            self._writer, self.left = None, time.monotonic()
            self._wake.set()


class Resumable:
    """Streams of all 2025 clients that these may take up again for a while."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._streams: dict[str, tuple[str, EventStream]] = {}

    def open(self, client: str, *, primed: bool) -> EventStream:
        """A new stream of a client; a `primed` one begins with an event to come back to."""
        self._let_go()
        id = secrets.token_hex(8)
        stream = EventStream(id, opening=f"id: {id}-0\ndata:\n\n".encode() if primed else OPEN)
        self._streams[stream.id] = client, stream
        return stream

    def find(self, client: str, last_event: str) -> tuple[EventStream, int] | None:
        """The stream of the last event a client has had, and that event's number."""
        self._let_go()
        id, _, number = last_event.rpartition("-")
        owner, stream = self._streams.get(id, ("", None))
        if stream is None or owner != client or not (number.isascii() and number.isdigit()):
            return None
        return stream, int(number)

    def forget(self, client: str) -> None:
        """A client is gone."""
        for id in [id for id, (owner, _) in self._streams.items() if owner == client]:
            del self._streams[id]

    def _let_go(self) -> None:
        """Those nobody came back for, and the longest left of too much."""
        now = time.monotonic()
        left = [
            (stream.left, id, stream.size)
            for id, (_, stream) in self._streams.items()
            if stream.left is not None
        ]
        room = self._limits.resumable_bytes - sum(size for _, _, size in left)
        for since, id, size in sorted(left):
            if room < 0 or now - since > self._limits.resumable:
                del self._streams[id]
                room += size


class Slow:
    """Replies that take longer than `seconds`; one timer for all, as most never do."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._due: dict[Reply, float] = {}
        """The first due first."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, reply: Reply) -> None:
        """From now on."""
        self._due[reply] = time.monotonic() + self.seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.seconds, self._look)

    def discard(self, reply: Reply) -> None:
        """It is over, or has begun to stream."""
        self._due.pop(reply, None)

    def close(self) -> None:
        """Leave no timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        for reply, due in list(self._due.items()):
            if due > time.monotonic():
                self._timer = asyncio.get_running_loop().call_at(due, self._look)
                return
            del self._due[reply]
            reply.begin()


class Reply:
    """The answer to one POST: JSON, or an event stream once there is something to say before it.

    A call that takes long becomes a stream as well, so that nobody on the way gives it up. With
    `resumable` that stream can be taken up again; without, somebody else has to watch for the
    client's going away.
    """

    def __init__(
        self, exchange: Exchange, slow: Slow, resumable: Callable[[], EventStream] | None = None
    ) -> None:
        self._exchange = exchange
        self._slow = slow
        self._resumable = resumable
        self._stream: EventStream | None = None
        self._writing: asyncio.Task[None] | None = None
        self.can_stream = exchange.head.accepts_sse
        """Whether anything can be said before the answer."""
        if self.can_stream:
            slow.add(self)

    def tell(self, message: bytes) -> None:
        """Send a notification, if the client takes any here."""
        if self.can_stream:
            self._opened().tell(message)

    def send(self, message: bytes) -> None:
        """Send a request; `can_stream` must be true."""
        self._opened().send(message)

    async def finish(self, body: bytes, status: int = 200) -> None:
        """Send the answer itself; a status counts only where no stream was begun."""
        self._end()
        if self._stream is None or self._writing is None:
            self._exchange.reply(status, body)
            return
        self._stream.send(body)
        self._stream.end()
        await self._writing

    def close(self) -> None:
        """Leave nothing running; to be called last in any case."""
        if self.can_stream:
            self._end()
        if self._writing is not None:
            self._writing.cancel()

    def begin(self) -> None:
        """Stream, though there is nothing to say."""
        self._opened()

    def _end(self) -> None:
        self.can_stream = False
        self._slow.discard(self)

    def _opened(self) -> EventStream:
        if self._stream is None:
            self._stream = self._resumable() if self._resumable is not None else EventStream()
            self._writing = asyncio.create_task(self._write(self._stream), name="answer-stream")
        return self._stream

    async def _write(self, stream: EventStream) -> None:
        if self._resumable is None:
            await stream.write(self._exchange, self._slow.seconds)
            return
        try:
            await stream.serve(self._exchange, self._slow.seconds)
        except ClientGone:
            # It went away before the stream began, and may ask for it later.
            return
