"""Bytes into lines, in linear time and bounded memory."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One line without its line feed; of a too long one only both ends."""

    data: bytes
    left_out: int = 0
    """Bytes missing in the middle of `data`."""


class LineSplitter:
    """Collects chunks up to a line feed; of a line above `cap` bytes it keeps both `ends`."""

    def __init__(self, cap: int, ends: int = 512) -> None:
        self._cap = cap
        self._ends = ends
        self._chunks: list[bytes] = []
        self._size = 0
        self._head: bytes | None = None
        """Set while a line is too long; then `_chunks` hold no more than its last bytes."""

    @property
    def size(self) -> int:
        """Bytes of the line that has no end yet."""
        return self._size

    def feed(self, data: bytes) -> list[Line]:
        """The lines that `data` completes."""
        lines = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            part = data[start:end]
            if self._size or len(part) > self._cap:
                self._add(part)
                lines.append(self._take())
            else:
                lines.append(Line(part))
            start = end + 1
        if start < len(data):
            self._add(data[start:])
        return lines

    def end(self) -> list[Line]:
        """The last line, where it had no line feed."""
        return [self._take()] if self._size else []

    def _add(self, part: bytes) -> None:
        self._chunks.append(part)
        self._size += len(part)
        if self._size > self._cap:
            kept = b"".join(self._chunks)
            if self._head is None:
                self._head = kept[: self._ends]
            self._chunks = [kept[-self._ends :]]

    def _take(self) -> Line:
        data = b"".join(self._chunks)
        if self._head is None:
            line = Line(data)
        else:
            line = Line(self._head + data, self._size - len(self._head) - len(data))
        self._chunks, self._size, self._head = [], 0, None
        return line
