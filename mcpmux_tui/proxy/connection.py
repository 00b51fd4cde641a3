"""HTTP/1.1 on one client's connection, with a deadline for all that is missing.

httptools reads; requests are answered one after the other. Each stage of a request has a deadline
that a trickle of bytes does not move, and the number of connections is bounded. A request that
arrives whole costs no timer, and no reading of its header if the last one had the same.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from typing import Final, NamedTuple

import httptools

from mcpmux_tui.proxy.http import CLOSE, TEXT, Exchange, Head, response
from mcpmux_tui.proxy.limits import Limits

Serve = Callable[[Exchange], Coroutine[None, None, None]]

_HEADER: Final = object()
_UNREAD: Final = 64 * 1024
"""Bytes of a body that nobody has asked for yet."""
_PIPELINED: Final = 100
"""Requests that may wait for an earlier answer; one read could bring thousands."""
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,5})(?=[ \t]*\r\n)", re.IGNORECASE)


class _Known(NamedTuple):
    """The bytes of a header, around the length that they tell."""

    before: bytes
    after: bytes
    head: Head


class Connection(asyncio.Protocol):
    """One client's connection.

    `serve` answers an exchange, in a task that is among `tasks` meanwhile.
    """

    def __init__(
        self,
        serve: Serve,
        limits: Limits,
        peers: set[Connection],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self.gone = False
        self.on_gone: Callable[[], object] | None = None
        """Called when the client goes away; set by who serves a request."""
        self.stopping = False
        """Whether the answer under way is the last one."""
        self.transport: asyncio.Transport
        self.tasks = tasks
        self._serve = serve
        self._limits = limits
        self._peers = peers
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        # What follows a request that was to be the last one is left unread, and no error.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._writable = asyncio.Event()
        self._writable.set()
        self._stall: asyncio.TimerHandle | None = None
        # The request that is being read.
        self._url = b""
        self._lines: list[tuple[bytes, bytes]] = []
        self._length: bytes | None = None
        self._head: Head | None = None
        self._known: _Known | None = None
        self._in_header = False
        self._framing_bytes = 0
        """What came since the last header or piece of a body."""
        self._incoming: Exchange | None = None
        """Its body is not whole yet."""
        # Those that are being answered.
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        """Others that came before it was, where a client pipelines."""
        # The deadline.
        self.whole_at = self._loop.time()
        """When the last whole request arrived, else when the connection was made."""
        self._missing: object = _HEADER
        """What the deadline is for: the header, or the exchange whose body is not whole."""
        self._patience = 0.0
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def serving(self) -> bool:
        """Whether a whole request is being answered."""
        return self._current is not None and self._current is not self._incoming

    @property
    def stalled(self) -> bool:
        """Whether the client has stopped reading its answer."""
        return not self._writable.is_set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make room for the newcomer, and give it a deadline."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a connection needs a stream")
        self.transport = transport
        self._peers.add(self)
        _make_room(self._peers, self._limits.connections)
        self._expect(self._limits.header_wait)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request in progress."""
        self._peers.discard(self)
        self.gone = True
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
        self._end_stall()
        self._writable.set()
        self._waiting.clear()
        # Each knows the other: nothing is left to the garbage collector.
        del self._parser
        current = self._current
        self._current = self._incoming = self._missing = None
        if current is not None:
            current.arrived()
        if self.on_gone is not None:
            self.on_gone()

    def eof_received(self) -> None:
        """The client has closed, at least its side: as good as gone."""
        self._close()

    def shutdown(self) -> None:
        """Close, once the answer under way is written."""
        self.stopping = True
        if self._current is None:
            self._close()

    # Reading

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is not HTTP ends the connection."""
        at_rest = not (self._current or self._incoming or self._in_header or self._framing_bytes)
        if at_rest and self._takes_again(data):
            return
        self._framing_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing here can be upgraded to: the guard refuses, then the connection closes.
            self._incoming = None
        except httptools.HttpParserError:
            self._refuse(400, b"This is not HTTP/1.1.")
            return
        if self._framing_bytes > self._limits.header_bytes:
            # Trailers as well: the parser collects each line of them.
            self._refuse(431, b"The request header is too large.")
            return
        if at_rest:
            self._get_to_know(data)
        self._watch()

    def _takes_again(self, data: bytes) -> bool:
        """Start a whole request whose header is the last one but for the length.

        The parser rests between two requests, and makes the same of the same bytes.
        """
        if self._known is None or self.stalled:
            return False
        before, after, head = self._known
        if not data.startswith(before):
            return False
        start = len(before)
        end = data.find(after, start, start + 5 + len(after))
        length = data[start:end]
        if end < 0 or not length.isdigit() or end + len(after) + int(length) != len(data):
            return False
        exchange = Exchange(self, head, length, lasting=True)
        exchange.feed(data[end + len(after) :])
        exchange.whole = True
        self.whole_at = self._loop.time()
        self._missing = self._due = None
        self._start(exchange)
        return True

    def _get_to_know(self, data: bytes) -> None:
        """Keep the bytes of the header that a read began with, if all of it is here."""
        exchange = self._current
        if exchange is None or (self._known is not None and self._known.head is exchange.head):
            return
        end = data.find(b"\r\n\r\n") + 4
        found = _LENGTH.search(data, 0, end)
        if found is not None:
            self._known = _Known(data[: found.start(1)], data[found.end(1) : end], exchange.head)

    def on_message_begin(self) -> None:
        """A header has begun."""
        self._in_header = True
        self._url, self._lines, self._length = b"", [], None

    def on_url(self, url: bytes) -> None:
        """The target, or a part of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the header; the parser lets no second length pass."""
        if not self._in_header:
            return  # A trailer: part of no header (RFC 9112, 7.1.2).
        name = name.lower()
        if name == b"content-length":
            self._length = value
        else:
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """The header is whole: whoever answers may begin."""
        self._in_header = False
        self._framing_bytes = 0
        self._missing = None
        method, version = self._parser.get_method(), self._parser.get_http_version()
        head = self._head
        if head is None or not head.equals(method, self._url, version, self._lines):
            path = httptools.parse_url(self._url).path or b"/"
            head = self._head = Head(method, self._url, path, version, self._lines)
        parser = self._parser
        lasting = version == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
        exchange = Exchange(self, head, self._length, lasting=lasting)
        self._incoming = exchange
        if not (self._current or self._waiting or self.stalled or self.stopping):
            self._start(exchange)
        elif len(self._waiting) == _PIPELINED:
            raise httptools.HttpParserError("too many requests at once")
        else:
            self._waiting.append(exchange)
            self.transport.pause_reading()

    def on_body(self, data: bytes) -> None:
        """Some of the body; nobody reads that of a request which is answered already."""
        self._framing_bytes = 0
        exchange = self._incoming
        if exchange is not None and not exchange.finished:
            exchange.feed(data)
            if exchange.unread > _UNREAD and not exchange.reading:
                self.transport.pause_reading()

    def on_message_complete(self) -> None:
        """The request is whole."""
        exchange, self._incoming, self._missing = self._incoming, None, None
        self.whole_at = self._loop.time()
        if exchange is not None:
            exchange.whole = True
            exchange.arrived()
            if exchange.finished:
                if self.stopping:
                    self._close()
                else:
                    self._expect(self._limits.keep_alive)

    # Answering

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        task = self._loop.create_task(self._serve(exchange))
        self.tasks.add(task)
        task.add_done_callback(exchange.served)

    def finished(self, exchange: Exchange) -> None:
        """An exchange is answered: go on with the next one."""
        self._current = None
        if self.transport.is_closing():
            return
        if exchange is self._incoming:
            # Wait only a moment for the rest of a body that nobody will read. To close at once
            # could cost the client the answer (RFC 9112, 9.6).
            self.stopping = not exchange.lasting
            self._expect(self._limits.linger)
            self.transport.resume_reading()
        elif not exchange.lasting:
            self._close()
        elif self._waiting:
            self._go_on()
        else:
            if not self._in_header:
                self._expect(self._limits.keep_alive)
            self.transport.resume_reading()

    def _go_on(self) -> None:
        if self._waiting and self._current is None and not self.stalled:
            self._start(self._waiting.popleft())
            if not self._waiting:
                if self._due is not None:
                    # What is missing could not come meanwhile.
                    self._expect(self._patience)
                self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The client has stopped reading its answer, or reads slowly."""
        self._writable.clear()
        self._watch_stall()

    def resume_writing(self) -> None:
        """The client reads on."""
        self._writable.set()
        if not self.transport.is_closing():
            self._end_stall()
            self._go_on()

    async def drain(self) -> None:
        """Wait until the client reads on, or is gone."""
        if not self._writable.is_set():
            await self._writable.wait()

    def _close(self) -> None:
        """Close, once all is sent: a client that does not read holds nothing."""
        self.transport.close()
        if self._stall is None and self.transport.get_write_buffer_size():
            self._watch_stall()

    def _watch_stall(self) -> None:
        left = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() < left:
                self._watch_stall()
            else:
                self.transport.abort()

        self._stall = self._loop.call_later(self._limits.write_wait, look)

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    # The deadline: one timer, which is not moved while deadlines come and go

    def _watch(self) -> None:
        """See to it that what is missing has a deadline, and only that."""
        missing = self._incoming or (_HEADER if self._in_header else None)
        if missing is None:
            if self._current is not None or self._waiting:
                self._missing = self._due = None
            # Else there were but line feeds between requests.
        elif missing is not self._missing:
            self._missing = missing
            waits = self._limits
            self._expect(waits.header_wait if missing is _HEADER else waits.body_wait)

    def _expect(self, seconds: float) -> None:
        self._patience = seconds
        self._due = due = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None or self.transport.is_closing():
            return
        if self._due > self._loop.time():
            self._timer = self._loop.call_at(self._due, self._look)
        elif self._current is None and self._missing is None:
            self._close()
        elif self.transport.is_reading():
            self.transport.abort()
        else:
            # A pipelined request waits for an earlier answer: not the client's fault.
            self._expect(self._patience)

    def _refuse(self, status: int, text: bytes) -> None:
        self._due = None
        broken, current = self._incoming, self._current
        if broken is None:
            next_in_turn = current is None and not self._waiting
        else:
            next_in_turn = broken is current and not broken.started
        if next_in_turn:
            self.transport.write(response(status, text, CLOSE, kind=TEXT))
            self._close()
        else:
            # It would be taken for an earlier answer, or land inside it.
            self.shutdown()


def _make_room(connections: Collection[Connection], limit: int) -> None:
    if len(connections) <= limit:
        return
    live = [
        each
        for each in connections
        if not each.transport.is_closing() or each.transport.get_write_buffer_size()
    ]
    if len(live) > limit:
        idle = [each for each in live if not each.serving]
        # The newcomer is idle too, so there always is one.
        min(idle, key=lambda each: each.whole_at).transport.abort()
