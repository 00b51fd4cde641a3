"""The engine's own log, to a file or to whoever reads its error output."""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import queue
import sys
import threading
from collections.abc import Callable
from io import TextIOBase
from pathlib import Path
from typing import Final, TextIO

_FILE_SIZE: Final = 2 * 1024 * 1024
_WAITING: Final = 10_000
"""Lines that may wait for a reader who does not keep up; more are left out."""
_LAST: Final = 1.0
"""Seconds at the end for what still waits."""


def to_file(path: Path) -> None:
    """Log to a file that does not grow without end."""
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=_FILE_SIZE, backupCount=1, encoding="utf-8"
    )
    _begin(handler, "%(asctime)s %(levelname)s %(name)s: %(message)s")


def to_stderr() -> None:
    """Log to the error output, and never wait for its reader."""
    stream = Patient(sys.stderr)
    atexit.register(stream.drain)
    _begin(logging.StreamHandler(stream), "%(asctime)s %(levelname)s %(message)s")


def _begin(handler: logging.Handler, form: str) -> None:
    # Libraries tell of each request and its whole address.
    logging.basicConfig(level=logging.WARNING, format=form, handlers=[handler])
    logging.getLogger("mcpmux_tui").setLevel(logging.INFO)


def redact(clean: Callable[[str], str]) -> None:
    """Have `clean` take secrets out of every line from now on, tracebacks included."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Redacting(handler.formatter or logging.Formatter(), clean))


class _Redacting(logging.Formatter):
    """Another formatter's lines, without secrets."""

    def __init__(self, formatter: logging.Formatter, clean: Callable[[str], str]) -> None:
        super().__init__()
        self._formatter = formatter
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        return self._clean(self._formatter.format(record))


class Patient(TextIOBase):
    """Writes to a stream in a thread of its own: a full pipe or a paused terminal holds up that."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue(_WAITING)
        self._left_out = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._left_out += 1
        return len(text)

    def drain(self) -> None:
        """Give what still waits a moment, at the end."""
        self.write("")
        self._thread.join(_LAST)

    def _run(self) -> None:
        while text := self._lines.get():
            try:
                if self._left_out:
                    left_out, self._left_out = self._left_out, 0
                    self._stream.write(f"({left_out} lines were left out)\n")
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):
                # Nobody reads it any more; there is no other place to say so.
                continue
