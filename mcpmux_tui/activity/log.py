"""Each server's log: the newest lines in memory, all of them in a rotating file."""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import logging.handlers
import queue
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from mcpmux_tui.text import one_line

_log = logging.getLogger(__name__)

LINES: Final = 2_000
MEMORY: Final = 1024 * 1024
"""Characters of one server's log kept in memory."""
LINE: Final = 2_000
"""Characters of one line."""
WAITING: Final = 10_000
"""Lines that may wait for the disk."""
FILE_SIZE: Final = 5 * 1024 * 1024
FILES: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line, clean; `seq` counts up from 1 over all servers."""

    seq: int
    server: str
    time: float
    source: str
    text: str


class _Ring:
    def __init__(self) -> None:
        self.lines: deque[Line] = deque()
        self.size = 0

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self.size += len(line.text)
        while len(self.lines) > LINES or self.size > MEMORY:
            self.size -= len(self.lines.popleft().text)


class LogBook:
    """Implements the Journal port; files are written by a thread, so `record` never blocks.

    `clean` takes secrets out of a line, `heard` is called with the server of each.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clean: Callable[[str], str] = str,
        heard: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._clean = clean
        self._heard = heard
        self._clock = clock
        self._rings: dict[str, _Ring] = {}
        self._numbers = itertools.count(1)
        self._queue: queue.Queue[logging.LogRecord] = queue.Queue(WAITING)
        self._writer = logging.handlers.QueueListener(self._queue, _Files(folder))
        self._writer.start()

    def record(self, server: str, line: str, *, source: str = "stderr") -> None:
        """Add one line of raw text to a server's log."""
        text = one_line(self._clean(line), LINE)
        at = self._clock()
        kept = Line(next(self._numbers), server, at, source, text)
        self._rings.setdefault(server, _Ring()).add(kept)
        record = logging.makeLogRecord(
            {"name": server, "msg": text, "created": at, "source": source}
        )
        # A flood beyond what the disk takes stays in memory's ring alone.
        with suppress(queue.Full):
            self._queue.put_nowait(record)
        self._heard(server)

    def page(self, server: str | None, *, after: int = 0, limit: int = 200) -> tuple[Line, ...]:
        """The newest `limit` lines of one server, or of all, with a sequence number above `after`.

        Oldest first.
        """
        rings = self._rings.values() if server is None else [self._rings.get(server, _Ring())]
        newest_first = heapq.merge(
            *(reversed(ring.lines) for ring in rings), key=lambda line: line.seq, reverse=True
        )
        new = itertools.takewhile(lambda line: line.seq > after, newest_first)
        return tuple(itertools.islice(new, limit))[::-1]

    def close(self) -> None:
        """Write what waits and close the files."""
        self._writer.stop()
        for handler in self._writer.handlers:
            handler.close()


class _Files(logging.Handler):
    """One rotating file of JSON lines a server, opened at its first line."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._files: dict[str, _File] = {}
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        if self._failed:
            return
        try:
            file = self._files.get(record.name) or self._open(record.name)
            file.emit(record)
        except OSError as error:
            self._failed = True
            _log.warning("servers' logs are kept in memory alone: %s", error)

    def _open(self, server: str) -> _File:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{quote(server, safe='')}.log"
        file = _File(path, maxBytes=FILE_SIZE, backupCount=FILES - 1, encoding="utf-8")
        file.setFormatter(_JsonLine())
        self._files[server] = file
        return file

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        super().close()


class _File(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Let the one who writes know, instead of a traceback on stderr for every line."""
        raise


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {"time": record.created, "source": vars(record)["source"], "text": record.getMessage()}
        )
