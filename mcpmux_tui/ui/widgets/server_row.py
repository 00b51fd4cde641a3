"""One server in the list: one line, and the names of its columns."""

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
from mcpmux_tui.ui.status import STYLES, UNKNOWN, Glyphs

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

    def on_state(self, x: int) -> bool:
        """Whether a cell of the row is one of those that show the state."""
        start = _LEAD + self.name + len(GAP)
        return x == 1 or start <= x < start + WORD


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
        live: bool,
    ) -> Cells:
        """What to draw of a server at a moment; `asked` is what a key has just asked for it.

        What is not `live` is grey, of unknown state, and no clock runs in it.
        """
        serving = server.state in SERVING
        return cls(
            name=one_line(server.name),
            glyph=glyphs.state(server.state, frame) if live else glyphs.none,
            word=server.state.word if live else UNKNOWN,
            style=STYLES[server.state] if live else "$muted",
            tools=short_count(server.tools) if serving or server.tools else glyphs.none,
            calls=short_count(server.calls) if serving or server.calls else glyphs.none,
            tail=_last(server, asked, now, glyphs) if live else glyphs.none,
            columns=columns,
            ellipsis=glyphs.ellipsis,
            live=live,
        )

    def draw(self) -> Content:
        """The row, beside the cursor's sign."""
        columns = self.columns
        name_style, style = ("bold", "") if self.live else ("$muted", "$muted")
        calls = fit(self.calls, COUNT, right=True) + GAP if columns.calls else ""
        return Content.assemble(
            (self.glyph, self.style),
            " ",
            (fit(self.name, columns.name, ellipsis=self.ellipsis), name_style),
            GAP,
            (fit(self.word, WORD), self.style),
            GAP,
            (fit(self.tools, COUNT, right=True), style),
            GAP,
            (calls, style),
            (fit(self.tail, columns.tail, ellipsis=self.ellipsis), "$muted"),
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
