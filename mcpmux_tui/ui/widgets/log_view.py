"""A log as it grows: one server's, or all of them in one."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import ClassVar, Final

from rich.cells import chop_cells
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from mcpmux_tui.control.protocol import LogLine, LogSearch
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.paths import shown
from mcpmux_tui.ui.content import clock_time, fit, line, plain
from mcpmux_tui.ui.door import Door
from mcpmux_tui.ui.keys import LOG_KEYS, MATCH_NEXT, Context, refusal
from mcpmux_tui.ui.tasks import Tasks
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.filter_bar import matches
from mcpmux_tui.ui.widgets.line_list import LineList

INTERVAL: Final = 0.25
"""Seconds between two looks."""
MOST: Final = 5_000
"""Lines kept on screen."""
_PAGE: Final = 1_000
_TIME: Final = 10
_SERVER: Final = 14
_SOURCE: Final = 8
_PRETTY: Final = 200
"""Lines that one JSON value takes at most."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the view: a log line, a part of a long one, or a mark."""

    entry: LogLine | None
    text: str
    first: bool = True


class LogView(Vertical):
    """Follows the newest line until one moves away from it."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in LOG_KEYS]

    class Moved(Message):
        """What the keys mean may have changed."""

    def __init__(self, door: Door, server: str | None = None) -> None:
        super().__init__()
        self._door = door
        self._server = server
        self._entries: deque[LogLine | str] = deque()
        """Log lines, and the text of marks between them."""
        self._heights: deque[int] = deque()
        """How many rows each of them takes."""
        self._last = 0
        self._query = ""
        self._wrap = self._pretty = False
        self._work = Tasks(self)
        self.following = True

    def compose(self) -> ComposeResult:
        yield LineList[Row](self._draw, self._door.glyphs, id="log-lines")
        yield Static("", id="log-empty", markup=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self._work.start(self._look())

    async def on_unmount(self) -> None:
        """Stop asking the engine."""
        await self._work.stop()

    @property
    def lines(self) -> LineList[Row]:
        """The lines."""
        return self.query_one("#log-lines", LineList)

    async def _look(self) -> None:
        try:
            while True:
                if self.display and self.screen.is_current:
                    search = LogSearch(server=self._server, after=self._last, limit=_PAGE)
                    self._took((await self._door.engine.logs(search)).lines)
                await asyncio.sleep(INTERVAL)
        except McpmuxError as error:
            toast(self, str(error), "warning")

    def _took(self, lines: tuple[LogLine, ...]) -> None:
        if lines:
            self._last = lines[-1].seq
            self._append(lines)
        self._say_empty()

    def _append(self, entries: Sequence[LogLine | str]) -> None:
        """Lay out what is new, and leave out as much of the oldest as is too much."""
        listed = self.lines
        rows = list(listed.items)
        for entry in entries:
            rows += (more := self._rows(entry))
            self._entries.append(entry)
            self._heights.append(len(more))
        gone = 0
        while len(self._entries) > MOST:
            self._entries.popleft()
            gone += self._heights.popleft()
        listed.show(rows[gone:], len(rows) if self.following else listed.cursor - gone)

    def _arrange(self) -> None:
        """Lay all lines out anew."""
        before = self.lines.selected
        parts = [self._rows(each) for each in self._entries]
        self._heights = deque(map(len, parts))
        rows = [row for part in parts for row in part]
        place = len(rows) - 1
        if not self.following and before is not None:
            same = (n for n, row in enumerate(rows) if row.entry is before.entry)
            place = next(same, 0)
        self.lines.show(rows, place)
        self._say_empty()

    def _rows(self, entry: LogLine | str) -> list[Row]:
        if isinstance(entry, str):
            return [Row(None, entry)]
        if self._hides and not matches(_whole(entry), self._query):
            return []
        texts = _pretty(entry.text) if self._pretty else [entry.text]
        if self._wrap:
            width = max(20, self.lines.line_width - self._lead)
            texts = [part for text in texts for part in chop_cells(text, width) or [""]]
        return [Row(entry, text, first=place == 0) for place, text in enumerate(texts)]

    @property
    def _hides(self) -> bool:
        """Lines that hold the text are left out, instead of found."""
        return self._query.startswith("!")

    @property
    def _lead(self) -> int:
        """Cells before the text."""
        return _TIME + _SOURCE + (0 if self._server else _SERVER)

    def _draw(self, row: Row, width: int) -> Content:
        entry = row.entry
        if entry is None:
            return line(fit(row.text, width), "bold $warning")
        # Not as one line: what is laid out keeps its indents.
        text = plain(row.text, "$primary" if entry.source == "mcpmux" else "")
        wanted = self._query.lower()
        if wanted and not self._hides and (at := text.plain.lower().find(wanted)) >= 0:
            text = text.stylize("reverse", at, at + len(wanted))
        if not row.first:
            return Content(" " * self._lead) + text
        server = "" if self._server else fit(entry.server, _SERVER - 2) + "  "
        return Content.assemble(
            (fit(clock_time(entry.time), _TIME), "$muted"),
            (server, "bold"),
            (fit(entry.source, _SOURCE), "$muted"),
            text,
        )

    def _say_empty(self) -> None:
        empty = not self.lines.items
        notice = self.query_one("#log-empty", Static)
        notice.display = empty
        if empty:
            nothing = (
                "Nothing is left to show; esc clears." if self._hides else "Nothing was logged."
            )
            notice.update(line(nothing, "$muted"))

    def on_resize(self) -> None:
        """Wrapped lines have another width."""
        if self._wrap:
            self._arrange()

    @on(LineList.Moved)
    def _moved(self, event: LineList.Moved) -> None:
        event.stop()
        at_end = self.lines.at_end
        if event.by_person and at_end is not self.following:
            self.following = at_end
            self.post_message(self.Moved())

    def filter(self, query: str) -> None:
        """Find a text, or with `!` in front leave out what holds it."""
        hid, self._query = self._hides, query.strip()
        if hid or self._hides:
            self._arrange()
        self.lines.redraw()
        if self._query and not self._hides:
            self._find(range(len(self.lines.items) - 1, -1, -1))

    def action_follow(self) -> None:
        """Stay at the newest line, or where one is."""
        self.following = not self.following
        if self.following:
            self.lines.action_last()
        self.post_message(self.Moved())

    def action_wrap(self) -> None:
        """Show long lines whole, or cut."""
        self._wrap = not self._wrap
        self._arrange()
        toast(self, "Long lines are shown whole." if self._wrap else "Long lines are cut.")

    def action_pretty(self) -> None:
        """Show JSON over several lines, or as it came."""
        self._pretty = not self._pretty
        self._arrange()
        toast(self, "JSON is laid out." if self._pretty else "JSON is shown as it came.")

    def action_mark(self) -> None:
        """Put a line here that can be found again."""
        text = f"{'-' * 10} {clock_time(self._door.clock())} "
        self._append([text + "-" * 60])

    def action_match(self, step: int) -> None:
        """Go to the next line that holds the text."""
        if not self._query or self._hides:
            toast(self, refusal(MATCH_NEXT, Context()), "warning")
            return
        here, end = self.lines.cursor, len(self.lines.items) if step > 0 else -1
        if not self._find(range(here + step, end, step)):
            toast(self, f"No line holds {self._query!r} this way.", "warning")

    def _find(self, places: range) -> bool:
        wanted = self._query.lower()
        for place in places:
            row = self.lines.items[place]
            if wanted and row.entry is not None and wanted in row.text.lower():
                self.lines.move_to(place)
                return True
        return False

    def action_copy_line(self) -> None:
        """Copy the line under the cursor."""
        row = self.lines.selected
        if row is None:
            toast(self, "There is no line to copy.", "warning")
        else:
            self._work.start(self._copy(row.text if row.entry is None else row.entry.text))

    async def _copy(self, text: str) -> None:
        toast(self, f"The line is {await self._door.copy(text)}.")

    def action_clear(self) -> None:
        """Show only what comes from now on."""
        self._entries.clear()
        self._heights.clear()
        self._arrange()

    def action_save(self) -> None:
        """Write what is shown to a file."""
        self._work.start(self._save())

    async def _save(self) -> None:
        lines = [_saved(row.entry) for row in self.lines.items if row.first and row.entry]
        name = f"mcpmux-{self._server or 'all'}-{time.strftime('%Y%m%d-%H%M%S')}"
        try:
            path = await asyncio.to_thread(_write, name, "\n".join(lines) + "\n")
        except OSError as error:
            toast(self, f"The log could not be written: {error.strerror}.", "error")
            return
        toast(self, f"Saved as {shown(path)}.")


def _whole(entry: LogLine) -> str:
    return f"{entry.server}\n{entry.source}\n{entry.text}"


def _pretty(text: str) -> list[str]:
    """A text with JSON at its end, laid out."""
    start = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    if start < 0:
        return [text]
    try:
        value = json.loads(text[start:])
    except (ValueError, RecursionError):
        return [text]
    laid = json.dumps(value, indent=2, ensure_ascii=False).splitlines()[:_PRETTY]
    return [text[:start].rstrip(), *laid] if text[:start].strip() else laid


def _saved(entry: LogLine) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(entry.time))
    return f"{at} {entry.server} {entry.source} {entry.text}"


def _write(name: str, text: str) -> Path:
    """Write a private file into the home folder, under a name that is free."""
    safe = "".join(char if char.isalnum() or char in "-_." else "-" for char in name)
    for number in count():
        path = Path.home() / f"{safe}{f'-{number}' if number else ''}.log"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return path
    raise AssertionError
