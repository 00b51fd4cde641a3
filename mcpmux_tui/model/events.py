"""Server-sent events, as far as MCP uses them (WHATWG HTML, server-sent events).

Lines end with LF or CRLF.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mcpmux_tui.model.lines import LineSplitter

_ID: Final = rb"[\x20-\x7e]{0,1024}"
"""Ids that a header can carry back."""
_MILLISECONDS: Final = rb"[0-9]{1,9}"


class TooLarge(Exception):
    """One event is larger than allowed."""


class Event(NamedTuple):
    """One event with data; `type` is "message" unless the stream says otherwise."""

    type: str
    data: bytes


class EventReader:
    """Turns the bytes of a stream, and of those that resume it, into events."""

    def __init__(self, cap: int) -> None:
        self.last_id = ""
        """The id of the last event that had one; what `Last-Event-ID` repeats."""
        self.retry = 0.0
        """Seconds the server wants to be left alone before the stream is resumed."""
        self._cap = cap
        self.restart()

    def restart(self) -> None:
        """Another stream follows; of an event that was cut nothing is kept."""
        self._lines = LineSplitter(self._cap)
        self._data: list[bytes] = []
        self._size = 0
        self._type = b""
        self._id: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises TooLarge."""
        events = []
        for line in self._lines.feed(chunk):
            if line.left_out:
                raise TooLarge
            event = self._line(line.data.removesuffix(b"\r"))
            if event is not None:
                events.append(event)
        return events

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"data":
                self._size += len(value)
                if self._size > self._cap:
                    raise TooLarge
                self._data.append(value)
            case b"event":
                self._type = value
            case b"id" if re.fullmatch(_ID, value):
                self._id = value.decode("ascii")
            case b"retry" if re.fullmatch(_MILLISECONDS, value):
                self.retry = int(value) / 1000
        return None

    def _dispatch(self) -> Event | None:
        data, kind = b"\n".join(self._data), self._type.decode("utf-8", "replace")
        if self._id is not None:
            self.last_id = self._id
        self._data, self._size, self._type, self._id = [], 0, b"", None
        return Event(kind or "message", data) if data else None
