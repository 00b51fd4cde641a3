"""Server-sent events, as far as Streamable HTTP uses them (WHATWG HTML, server-sent events).

Lines end with LF or CRLF. Event ids and `retry` are not used: no stream is resumed.
"""

from __future__ import annotations

from mcpmux_tui.upstream.lines import LineSplitter


class TooLarge(Exception):
    """One event is larger than allowed."""


class EventReader:
    """Turns the bytes of a stream into the data of its `message` events."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._lines = LineSplitter(cap)
        self._data: list[bytes] = []
        self._size = 0
        self._event = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that `chunk` completes. Raises TooLarge."""
        events = []
        for line in self._lines.feed(chunk):
            if line.left_out:
                raise TooLarge
            data = self._line(line.data.removesuffix(b"\r"))
            if data is not None:
                events.append(data)
        return events

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._size += len(value)
            if self._size > self._cap:
                raise TooLarge
            self._data.append(value)
        elif field == b"event":
            self._event = value
        return None

    def _dispatch(self) -> bytes | None:
        data, event = b"\n".join(self._data), self._event
        self._data, self._size, self._event = [], 0, b""
        return data if data and event in {b"", b"message"} else None
