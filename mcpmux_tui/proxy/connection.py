"""uvicorn's HTTP/1.1 protocol with deadlines and caps.

uvicorn waits without limit for the rest of a header or body, and a silent connection costs a
client nothing. Here each stage of a request has a deadline that a trickle of bytes does not move,
and the number of connections is bounded. Timers run only while something is missing: a request
that arrives whole costs none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from enum import Enum, auto

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from mcpmux_tui.proxy.limits import Limits

Header = tuple[bytes, bytes]


class _Stage(Enum):
    HEADER = auto()
    BODY = auto()
    WHOLE = auto()


class Connection(HttpToolsProtocol):
    """One client's connection; the application finds it in the scope's state."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        limits: Limits,
        peers: set[Connection],
    ) -> None:
        super().__init__(config, server_state, {"connection": self})
        self.gone = False
        self.on_gone: Callable[[], object] | None = None
        """Called when the client goes away; set by the application while it serves a request."""
        self.whole_at = self.loop.time()
        """When the last whole request arrived, else when the connection was made."""
        self.passed: object = None
        """What of the last request's header the guard has let in."""
        self._limits = limits
        self._peers = peers
        self._stage = _Stage.HEADER
        self._turn = 0
        self._owed = 0  # answers; more than one where a client pipelines
        self._header_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timed: tuple[int, _Stage] | None = None
        self._stall: asyncio.TimerHandle | None = None

    @property
    def closing(self) -> bool:
        """Whether the connection is on its way out."""
        return self.transport.is_closing()

    @property
    def serving(self) -> bool:
        """Whether a whole request is being answered."""
        return self._stage is _Stage.WHOLE and self._owed > 0

    @property
    def stalled(self) -> bool:
        """Whether the client has stopped reading its answer."""
        return self.flow.write_paused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for the newcomer, and give it a deadline."""
        super().connection_made(transport)
        self._peers.add(self)
        _make_room(self._peers, self._limits.connections)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request in progress."""
        super().connection_lost(exc)
        self._peers.discard(self)
        self.gone = True
        self._stop_timer()
        self._end_stall()
        if self.on_gone is not None:
            self.on_gone()

    def pause_writing(self) -> None:
        """The client has stopped reading its answer, or reads slowly."""
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        """The client reads on."""
        super().resume_writing()
        self._end_stall()

    def _watch_stall(self) -> None:
        left = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() < left:
                self._watch_stall()
            else:
                self.transport.abort()

        self._stall = self.loop.call_later(self._limits.write_wait, look)

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is not HTTP ends the connection."""
        self._unset_keepalive_if_required()
        in_header = self._stage is _Stage.HEADER
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing here can be upgraded to: the guard refuses, then the connection closes.
            self._stage = _Stage.WHOLE
        except httptools.HttpParserError:
            self._refuse(400, "This is not HTTP/1.1.")
            return
        self._header_bytes += len(data) if in_header and self._stage is _Stage.HEADER else 0
        if self._header_bytes > self._limits.header_bytes:
            self._refuse(431, "The request header is too large.")
            return
        self._watch()

    def on_message_begin(self) -> None:
        """A header has begun."""
        super().on_message_begin()
        self._stage = _Stage.HEADER

    def on_headers_complete(self) -> None:
        """The header is whole; uvicorn starts the application now."""
        # Of a target in absolute form uvicorn passes on the path alone.
        self.scope["state"]["target"] = self.url
        super().on_headers_complete()
        self.scope["state"]["cycle"] = self.cycle
        self._stage = _Stage.BODY
        self._owed += 1
        self._header_bytes = 0
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def answer(
        self, cycle: RequestResponseCycle, status: int, headers: Iterable[Header], body: bytes
    ) -> bool:
        """Write a whole response at once; False where that has to wait, or must not be done so."""
        if (
            cycle.disconnected
            or cycle.response_started
            or self.flow.write_paused
            or not cycle.keep_alive
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[status], lines, body))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def on_message_complete(self) -> None:
        """The request is whole."""
        super().on_message_complete()
        self._stage = _Stage.WHOLE
        self._turn += 1
        self.whole_at = self.loop.time()

    def on_response_complete(self) -> None:
        """Wait only a moment for the rest of a body that nobody will read."""
        super().on_response_complete()
        self._owed -= 1
        if self._stage is _Stage.BODY and not self.closing:
            self._start_timer(self._limits.linger)

    def _watch(self) -> None:
        """See to it that what is missing has a deadline, and only that."""
        stage = self._stage
        if stage is _Stage.WHOLE:
            if self._owed:
                self._stop_timer()
                return
            stage = _Stage.HEADER  # line feeds between requests end uvicorn's keep-alive timer
        if self._timed == (self._turn, stage):
            return
        waits = {_Stage.HEADER: self._limits.header_wait, _Stage.BODY: self._limits.body_wait}
        self._start_timer(waits[stage])
        self._timed = (self._turn, stage)

    def _start_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._late, seconds)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._timed = None

    def _late(self, seconds: float) -> None:
        if self.flow.read_paused:
            # A pipelined request waits for an earlier answer: not the client's fault.
            self._start_timer(seconds)
        else:
            self.transport.abort()

    def _refuse(self, status: int, text: str) -> None:
        if self._owed:
            self.transport.abort()  # bytes of a refusal would land inside the answer
            return
        body = text.encode("ascii")
        self.transport.write(
            b"%bcontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINE[status], len(body), body)
        )
        self._stop_timer()
        self.transport.close()


def _make_room(connections: Iterable[Connection], limit: int) -> None:
    live = [connection for connection in connections if not connection.closing]
    if len(live) > limit:
        idle = [connection for connection in live if not connection.serving]
        # The newcomer is idle too, so there always is one.
        min(idle, key=lambda connection: connection.whole_at).transport.abort()
