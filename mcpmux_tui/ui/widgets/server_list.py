"""The live rows, in order of urgency, with a cursor that stays on its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from mcpmux_tui.model.server import Action, Health, ServerSnapshot
from mcpmux_tui.text import one_line
from mcpmux_tui.ui.content import line
from mcpmux_tui.ui.keys import MOVES
from mcpmux_tui.ui.status import RANK, Glyphs
from mcpmux_tui.ui.widgets.filter_bar import matches
from mcpmux_tui.ui.widgets.server_row import Cells, ColumnNames, Columns, ServerRow

_TICK = 1.0
_SPIN = 0.25


def urgency(server: ServerSnapshot) -> tuple[int, str]:
    """The place of a server in the list: what needs a person first, then by name."""
    return RANK[server.state], server.name


ORDERS: Final[Mapping[str, Callable[[ServerSnapshot], tuple[object, ...]]]] = {
    "urgency": urgency,
    "name": lambda server: (server.name,),
    "tools": lambda server: (-server.tools, server.name),
    "calls": lambda server: (-server.calls, server.name),
}
"""What the rows can be sorted by."""


def shows(server: ServerSnapshot, query: str) -> bool:
    """Whether a server is shown under a filter: its name, state or target holds the text."""
    return not query or matches(f"{server.name}\n{server.state.word}\n{server.target}", query)


@lru_cache(4_096)
def _width(name: str) -> int:
    return cell_len(one_line(name))


class Rows(VerticalScroll, can_focus=True):
    """The scrolling part of the list; takes the keys that move the cursor."""

    ALLOW_MAXIMIZE = True
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in MOVES]

    @dataclass
    class Move(Message):
        """The cursor is to move by so many rows."""

        rows: int

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Style what looks different with the focus; a hundred rows take their time."""
        self.app.stylesheet.update_nodes([self, *self.query(".-cursor")])

    def action_down(self) -> None:
        """Move to the next row."""
        self._move(1)

    def action_up(self) -> None:
        """Move to the row before."""
        self._move(-1)

    def action_first(self) -> None:
        """Move to the first row."""
        self._move(-len(self.children))

    def action_last(self) -> None:
        """Move to the last row."""
        self._move(len(self.children))

    def action_page_down(self) -> None:
        """Move half a page on."""
        self._move(max(1, self.size.height // 2))

    def action_page_up(self) -> None:
        """Move half a page back."""
        self._move(-max(1, self.size.height // 2))

    def _move(self, rows: int) -> None:
        self.post_message(self.Move(rows))


class ServerList(Vertical):
    """The list of servers."""

    @dataclass
    class Moved(Message):
        """The cursor is on this server now; None where no row is shown."""

        server: ServerSnapshot | None

    class Opened(Message):
        """The row under the cursor was double-clicked."""

    class StateClicked(Message):
        """The state in the row under the cursor was clicked."""

    def __init__(self, *, glyphs: Glyphs, clock: Callable[[], float]) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._clock = clock
        self._frame = 0
        self._rows: dict[str, ServerRow] = {}
        self._shown: list[ServerSnapshot] = []
        self._servers: Sequence[ServerSnapshot] = ()
        self._asked: dict[str, Action] = {}
        self._live = True
        self._query = ""
        self._order = next(iter(ORDERS))
        self._cursor: str | None = None
        self._marked: str | None = None
        """The one that is styled as under the cursor."""
        self._spinner: Timer | None = None

    def compose(self) -> ComposeResult:
        yield ColumnNames()
        yield Rows()
        yield Static("", classes="no-match", markup=False)

    def on_mount(self) -> None:
        """Start the clocks of the rows."""
        self.set_interval(_TICK, self.redraw)
        self.watch(self.query_one(Rows), "scroll_y", self._scrolled, init=False)
        self._spinner = self.set_interval(_SPIN, self._spin, pause=True)

    @property
    def selected(self) -> ServerSnapshot | None:
        """The server under the cursor."""
        return next((server for server in self._shown if server.name == self._cursor), None)

    def show(self, servers: Sequence[ServerSnapshot], *, live: bool = True) -> None:
        """Show these servers; grey where they are `live` no more."""
        ended = self._live and not live
        self._servers, self._live = servers, live
        self._arrange()
        if ended:
            self.redraw(every=True)

    def filter(self, query: str) -> None:
        """Show only the servers that match; an empty query shows all."""
        self._query = query
        self._arrange()

    def sort_next(self) -> str:
        """Sort by the next of ORDERS, and return its name."""
        names = list(ORDERS)
        self.sort_by(names[(names.index(self._order) + 1) % len(names)])
        return self._order

    def sort_by(self, order: str) -> None:
        """Sort by one of ORDERS."""
        self._order = order
        self._arrange()

    def mark_asked(self, server: str, action: Action | None) -> None:
        """Show at once what a key has asked of a server, until None is asked."""
        if action is None:
            self._asked.pop(server, None)
        else:
            self._asked[server] = action
        self.redraw()

    def redraw(self, *, every: bool = False) -> None:
        """Bring the text of the rows in view up to date; one that is the same stays as it is.

        Not of `every` row: for one out of view Textual would lay out the whole screen anew.
        """
        now = self._clock()
        rows = self.query_one(Rows)
        width = rows.scrollable_content_region.width
        longest = max((_width(server.name) for server in self._shown), default=0)
        top, height = rows.scroll_offset.y, rows.size.height
        in_view = self._shown[top : top + height] if height and not every else self._shown
        columns = Columns.of(width, self.screen.size.width, longest)
        names = self.query_one(ColumnNames)
        names.columns, names.order = columns, self._order
        for server in in_view:
            self._rows[server.name].cells = Cells.of(
                server,
                asked=self._asked.get(server.name),
                now=now,
                columns=columns,
                glyphs=self._glyphs,
                frame=self._frame,
                selected=server.name == self._cursor,
                live=self._live,
            )

    def _arrange(self) -> None:
        rows = self.query_one(Rows)
        before = self.selected
        place = self._place()
        self._shown = sorted(
            (s for s in self._servers if shows(s, self._query)), key=ORDERS[self._order]
        )
        gone = self._rows.keys() - {server.name for server in self._servers}
        for name in gone:
            self._rows.pop(name).remove()
        new = [ServerRow(server) for server in self._servers if server.name not in self._rows]
        if new:
            self._rows |= {row.server.name: row for row in new}
            rows.mount_all(new)
        shown = {server.name: server for server in self._shown}
        for server in self._servers:
            row = self._rows[server.name]
            row.server = server
            if row.display is not (server.name in shown):
                row.display = server.name in shown
        self._sort(rows)
        if self._cursor not in shown:
            self._cursor = self._shown[min(place, len(self._shown) - 1)].name if shown else None
        # As high as its servers need, so that the detail pane gets the rest.
        self.styles.max_height = len(self._servers) + 2
        self._say_no_match()
        self._mark_cursor()
        self.redraw(every=bool(new))
        self._run_spinner()
        if self._place() != place:
            self.call_after_refresh(self._scroll_to_cursor)
        if self.selected != before:
            self.post_message(self.Moved(self.selected))

    def _sort(self, rows: Rows) -> None:
        present = [row for row in rows.children if isinstance(row, ServerRow) and row.is_attached]
        order = ORDERS[self._order]
        if present != sorted(present, key=lambda row: order(row.server)):
            rows.sort_children(
                key=lambda row: order(row.server) if isinstance(row, ServerRow) else ()
            )

    def _say_no_match(self) -> None:
        notice = self.query_one(".no-match", Static)
        notice.display = bool(self._servers) and not self._shown
        if notice.display:
            notice.update(line(f'Nothing matches "{self._query.strip()}". esc clears.'))

    def _mark_cursor(self) -> None:
        for name in {self._marked, self._cursor}:
            if name is not None and (row := self._rows.get(name)) is not None:
                row.set_class(name == self._cursor, "-cursor")
        self._marked = self._cursor

    def _place(self) -> int:
        names = [server.name for server in self._shown]
        return names.index(self._cursor) if self._cursor in names else 0

    def _run_spinner(self) -> None:
        if self._spinner is None:
            return
        moving = self.app.animation_level != "none"
        if moving and self._live and any(s.state is Health.CONNECTING for s in self._shown):
            self._spinner.resume()
        else:
            self._spinner.pause()
            self._frame = 0

    def _spin(self) -> None:
        self._frame += 1
        self.redraw()

    def on_resize(self) -> None:
        """Share the new width, and keep the cursor in view."""
        self.redraw()
        self.call_after_refresh(self._fill)

    def _scrolled(self) -> None:
        self.redraw()

    def _fill(self) -> None:
        """Draw what the new height brings into view."""
        self._scroll_to_cursor()
        self.redraw()

    @on(ServerRow.Clicked)
    def _clicked(self, event: ServerRow.Clicked) -> None:
        event.stop()
        self.query_one(Rows).focus()
        if event.on_state and event.server == self._cursor and not event.twice:
            # A first click only moves the cursor: nobody disconnects a server by missing a row.
            self.post_message(self.StateClicked())
            return
        self.move_to(event.server)
        if event.twice and not event.on_state:
            self.post_message(self.Opened())

    @on(ColumnNames.Picked)
    def _picked(self, event: ColumnNames.Picked) -> None:
        event.stop()
        self.sort_by(event.order)

    @on(Rows.Move)
    def _move(self, event: Rows.Move) -> None:
        event.stop()
        if self._shown:
            place = min(max(0, self._place() + event.rows), len(self._shown) - 1)
            self.move_to(self._shown[place].name)

    def move_to(self, name: str) -> None:
        """Put the cursor on a server."""
        if name == self._cursor:
            return
        self._cursor = name
        self._mark_cursor()
        self.redraw()
        self._scroll_to_cursor()
        self.post_message(self.Moved(self.selected))

    def _scroll_to_cursor(self) -> None:
        if self._cursor is not None:
            self._rows[self._cursor].scroll_visible(animate=False)
