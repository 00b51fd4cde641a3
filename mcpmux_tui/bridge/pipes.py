"""Lines from stdin, lines to stdout, and who waits for whom when one side is slower."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mcpmux_tui.model.lines import Line, LineSplitter

_CAP: Final = 64 * 1024 * 1024
_PIPE: Final = 256 * 1024


class Gate:
    """Readers that stop while any writer behind them is full."""

    def __init__(self) -> None:
        self._readers: set[asyncio.ReadTransport] = set()
        self._full: set[object] = set()

    def add(self, reader: asyncio.ReadTransport) -> None:
        """From now on it stops with the others."""
        self._readers.add(reader)
        if self._full:
            reader.pause_reading()

    def discard(self, reader: asyncio.ReadTransport) -> None:
        """It is gone."""
        self._readers.discard(reader)

    def shut(self, writer: object) -> None:
        """A writer is full."""
        self._full.add(writer)
        for reader in self._readers:
            reader.pause_reading()

    def open(self, writer: object) -> None:
        """A writer takes more, or is gone."""
        if writer in self._full:
            self._full.remove(writer)
            if not self._full:
                for reader in self._readers:
                    reader.resume_reading()


class Input(asyncio.Protocol):
    """The client's lines; `ended` is called at their end."""

    def __init__(self, line: Callable[[Line], None], ended: Callable[[], None], gate: Gate) -> None:
        self._lines = LineSplitter(_CAP)
        self._line = line
        self._ended = ended
        self._gate = gate
        self._transport: asyncio.ReadTransport | None = None

    async def open(self) -> None:
        """Read stdin from now on."""
        loop = asyncio.get_running_loop()
        if _is_stream(0):
            # asyncio closes what it is given.
            _widen(0)
            stdin = os.fdopen(os.dup(0), "rb")
            self._transport, _ = await loop.connect_read_pipe(lambda: self, stdin)
            self._gate.add(self._transport)
            return
        # A file is there at once, and no event loop can wait for it.
        self.data_received(await loop.run_in_executor(None, sys.stdin.buffer.read))
        self.eof_received()

    def data_received(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            self._line(line)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._gate.discard(self._transport)
            self._transport = None

    def eof_received(self) -> None:
        for line in self._lines.end():
            self._line(line)
        self._ended()

    def close(self) -> None:
        """Read no more."""
        if self._transport is not None:
            self._transport.close()


class Output(asyncio.BaseProtocol):
    """Lines to the client; `closed` is called when it takes no more."""

    def __init__(self, closed: Callable[[], None], gate: Gate) -> None:
        self._closed = closed
        self._gate = gate
        self._transport: asyncio.WriteTransport | None = None
        self._plain = False
        """Whether stdout is a file."""
        self._drained = asyncio.Event()

    async def open(self) -> None:
        """Write to stdout from now on."""
        if _is_stream(1):
            _widen(1)
            loop = asyncio.get_running_loop()
            out = os.fdopen(os.dup(1), "wb")
            self._transport, _ = await loop.connect_write_pipe(lambda: self, out)
        else:
            self._plain = True

    def write(self, message: bytes) -> None:
        """Write one message, as one write where the client keeps up."""
        if self._transport is not None:
            self._transport.write(message + b"\n")
        elif self._plain:
            sys.stdout.buffer.write(message + b"\n")
            sys.stdout.buffer.flush()

    async def drained(self) -> None:
        """Wait until everything is written, or nobody takes it."""
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)
            await self._drained.wait()

    def close(self) -> None:
        """Write no more."""
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        self._drained.clear()
        self._gate.shut(self)

    def resume_writing(self) -> None:
        self._drained.set()
        self._gate.open(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._drained.set()
        self._closed()


def _widen(descriptor: int) -> None:
    """Have a pipe hold more: a long message crosses in fewer turns of both ends."""
    if sys.platform == "linux":
        # A socket has no such size, and a user may have only so much in pipes.
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)


def _is_stream(descriptor: int) -> bool:
    """Whether an event loop can wait for it; /dev/null is a device that none can."""
    mode = os.fstat(descriptor).st_mode
    null = stat.S_ISCHR(mode) and not os.isatty(descriptor)
    return not (stat.S_ISREG(mode) or null)
