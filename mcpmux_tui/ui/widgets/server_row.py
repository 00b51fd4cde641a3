"""One server in the list: one line, redrawn only when something in it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from mcpmux_tui.model.server import SERVING, Action, Health, ServerSnapshot
from mcpmux_tui.text import one_line
from mcpmux_tui.ui.content import fit, short_count, short_time, stopwatch
from mcpmux_tui.ui.status import STYLES, Glyphs

WORD = 12
COUNT = 5
GAP = "  "
_LEAD = 3
_LONGEST_TAIL = 26
_SHORTEST_NAME = 8
_NO_CALLS_BELOW = 80


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths in cells of what varies with the window and the names."""

    name: int
    tail: int
    calls: bool

    @classmethod
    def of(cls, width: int, window: int, longest_name: int) -> Columns:
        """Share `width` cells; names come first, what they leave goes to the last column."""
        calls = window >= _NO_CALLS_BELOW
        fixed = _LEAD + (WORD + COUNT + 3 * len(GAP)) + ((COUNT + len(GAP)) if calls else 0)
        left = max(0, width - fixed)
        name = max(_SHORTEST_NAME, min(longest_name, max(left - _LONGEST_TAIL, left // 2)))
        return cls(name, max(0, left - name), calls)


@dataclass(frozen=True, slots=True)
class Cells:
    """All that is drawn of one row; two that are equal need no new drawing."""

    name: str
    glyph: str
    word: str
    style: str
    tools: str
    calls: str
    tail: str
    columns: Columns
    cursor: str
    ellipsis: str
    live: bool

    @classmethod
    def of(
        cls,
        server: ServerSnapshot,
        *,
        asked: Action | None,
        now: float,
        columns: Columns,
        glyphs: Glyphs,
        frame: int,
        selected: bool,
        live: bool,
    ) -> Cells:
        """What to draw of a server at a moment; `asked` is what a key has just asked for it.

        What is not `live` is grey, and no clock runs in it.
        """
        serving = server.state in SERVING
        return cls(
            name=one_line(server.name),
            glyph=glyphs.state(server.state, frame),
            word=server.state.word,
            style=STYLES[server.state] if live else "$muted",
            tools=short_count(server.tools) if serving or server.tools else glyphs.none,
            calls=short_count(server.calls) if serving or server.calls else glyphs.none,
            tail=_last(server, asked, now, glyphs) if live else glyphs.none,
            columns=columns,
            cursor=glyphs.cursor if selected else " ",
            ellipsis=glyphs.ellipsis,
            live=live,
        )


def _last(server: ServerSnapshot, asked: Action | None, now: float, glyphs: Glyphs) -> str:
    return f"{asked.label}{glyphs.ellipsis}" if asked else tail(server, now, glyphs)


def tail(server: ServerSnapshot, now: float, glyphs: Glyphs) -> str:
    """The last column: what happened last, or why the server does not serve."""
    summary = one_line(server.summary)
    if server.state is Health.CONNECTED:
        if server.last_activity is None:
            return glyphs.none
        ago = f"{short_time(now - server.last_activity)} ago"
        return f"{ago}{GAP}{one_line(server.last_call)}".rstrip()
    if server.state is Health.RECONNECTING and server.retry_at is not None:
        wait = short_time(max(0.0, server.retry_at - now))
        return f"try {server.attempt} in {wait}" if server.attempt else f"next try in {wait}"
    if server.state is Health.SIGNING_IN and server.since is not None:
        return f"{stopwatch(now - server.since)} {summary}".rstrip()
    if server.state is Health.CONNECTING and server.since is not None and now - server.since >= 1:
        return f"{short_time(now - server.since)} {glyphs.dot} {summary}" if summary else ""
    return summary or glyphs.none


class ServerRow(Widget):
    """One line of the list."""

    ALLOW_SELECT: ClassVar[bool] = False

    cells: reactive[Cells | None] = reactive(None)
    """What is drawn; an equal value redraws nothing."""

    @dataclass
    class Clicked(Message):
        """The row of this server was clicked."""

        server: str
        twice: bool
        on_state: bool
        """On the cell with its state."""

    def __init__(self, server: ServerSnapshot) -> None:
        super().__init__()
        self.server = server

    def render(self) -> Content:
        if (cells := self.cells) is None:
            return Content()
        columns = cells.columns
        name_style, style = ("bold", "") if cells.live else ("$muted", "$muted")
        calls = fit(cells.calls, COUNT, right=True) + GAP if columns.calls else ""
        return Content.assemble(
            (cells.cursor, "$primary"),
            (cells.glyph, cells.style),
            " ",
            (fit(cells.name, columns.name, ellipsis=cells.ellipsis), name_style),
            GAP,
            (fit(cells.word, WORD), cells.style),
            GAP,
            (fit(cells.tools, COUNT, right=True), style),
            GAP,
            (calls, style),
            (fit(cells.tail, columns.tail, ellipsis=cells.ellipsis), "$muted"),
        )

    def on_click(self, event: events.Click) -> None:
        """Move the cursor here."""
        event.stop()
        columns = self.cells.columns if self.cells is not None else None
        start = _LEAD + (columns.name if columns is not None else 0) + len(GAP)
        on_state = event.x == 1 or start <= event.x < start + WORD
        self.post_message(self.Clicked(self.server.name, event.chain > 1, on_state))


class ColumnNames(Widget):
    """The line above the rows."""

    ALLOW_SELECT: ClassVar[bool] = False

    columns: reactive[Columns | None] = reactive(None)
    order: reactive[str] = reactive("")

    @dataclass
    class Picked(Message):
        """Sort by this."""

        order: str

    def render(self) -> Content:
        if (columns := self.columns) is None:
            return Content()
        return Content(" " * _LEAD).append(
            Content("").join(
                Content.styled(text, "bold $foreground" if order == self.order else "$muted")
                for text, order in self._cells(columns)
            )
        )

    def _cells(self, columns: Columns) -> list[tuple[str, str]]:
        """What stands over each column, and what a click there sorts by."""
        calls = [(fit("CALLS", COUNT, right=True) + GAP, "calls")] if columns.calls else []
        return [
            (fit("NAME", columns.name) + GAP, "name"),
            (fit("STATE", WORD) + GAP, "urgency"),
            (fit("TOOLS", COUNT, right=True) + GAP, "tools"),
            *calls,
            (fit("LAST", columns.tail), ""),
        ]

    def on_click(self, event: events.Click) -> None:
        """Sort by the column under the mouse."""
        event.stop()
        end = _LEAD
        for text, order in self._cells(self.columns) if self.columns is not None else []:
            end += len(text)
            if event.x < end:
                if order:
                    self.post_message(self.Picked(order))
                return
