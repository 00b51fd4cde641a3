"""The live rows, in order of urgency, with a cursor that stays on its server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from mcpmux_tui.model.server import Action, Health, ServerSnapshot
from mcpmux_tui.text import one_line
from mcpmux_tui.ui.content import line
from mcpmux_tui.ui.status import RANK, Glyphs
from mcpmux_tui.ui.widgets.filter_bar import matches
from mcpmux_tui.ui.widgets.line_list import Draw, LineList
from mcpmux_tui.ui.widgets.server_row import Cells, ColumnNames, Columns

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


class Rows(LineList[ServerSnapshot]):
    """The lines of the list; the one under the mouse is marked too."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--hover"}

    @dataclass
    class Clicked(Message):
        """A row was clicked."""

        x: int
        twice: bool
        before: bool
        """Whether the cursor was there already."""

    def __init__(self, draw: Draw[ServerSnapshot], glyphs: Glyphs) -> None:
        super().__init__(draw, glyphs)
        self._hovered: int | None = None

    def parts(self, y: int) -> Sequence[str]:
        parts = super().parts(y)
        if y != self._hovered or y + self.scroll_offset.y >= len(self.items):
            return parts
        return ("rows--hover", *parts)

    def clicked(self, index: int, event: events.Click) -> None:
        before = index == self.cursor
        self.move_to(index)
        self.post_message(self.Clicked(event.x, event.chain > 1, before))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Mark what is under the mouse."""
        self._hover(event.y)

    def on_leave(self) -> None:
        """Mark nothing."""
        self._hover(None)

    def _hover(self, y: int | None) -> None:
        for each in {self._hovered, y} if y != self._hovered else ():
            if each is not None:
                self.refresh_line(each + self.scroll_offset.y)
        self._hovered = y


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
        self._shown: list[ServerSnapshot] = []
        self._drawn: dict[int, Cells] = {}
        """What the rows in view say, by place."""
        self._columns = Columns.of(0, 0, 0)
        self._servers: Sequence[ServerSnapshot] = ()
        self._asked: dict[str, Action] = {}
        self._live = True
        self._query = ""
        self._order = next(iter(ORDERS))
        self._spinner: Timer | None = None

    def compose(self) -> ComposeResult:
        yield ColumnNames()
        yield Rows(self._draw, self._glyphs)
        yield Static("", classes="no-match", markup=False)

    def on_mount(self) -> None:
        """Start the clocks of the rows."""
        self.set_interval(_TICK, self.redraw)
        self._spinner = self.set_interval(_SPIN, self._spin, pause=True)

    @property
    def rows(self) -> Rows:
        """The rows."""
        return self.query_one(Rows)

    @property
    def selected(self) -> ServerSnapshot | None:
        """The server under the cursor."""
        return self.rows.selected

    def show(self, servers: Sequence[ServerSnapshot], *, live: bool = True) -> None:
        """Show these servers; grey where they are `live` no more."""
        self._servers, self._live = servers, live
        self._arrange()

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

    def redraw(self) -> None:
        """Draw anew the rows in view that say something else now."""
        rows = self.rows
        longest = max((_width(server.name) for server in self._shown), default=0)
        width = rows.scrollable_content_region.width
        self._columns = Columns.of(width, self.screen.size.width, longest)
        names = self.query_one(ColumnNames)
        names.columns, names.order = self._columns, self._order
        before = self._drawn
        self._drawn = {place: self._cells(self._shown[place]) for place in rows.in_view}
        for place, cells in self._drawn.items():
            if cells != before.get(place):
                rows.refresh_line(place)

    def _cells(self, server: ServerSnapshot) -> Cells:
        return Cells.of(
            server,
            asked=self._asked.get(server.name),
            now=self._clock(),
            columns=self._columns,
            glyphs=self._glyphs,
            frame=self._frame,
            live=self._live,
        )

    def _draw(self, server: ServerSnapshot, _width: int) -> Content:
        return self._cells(server).draw()

    def _arrange(self) -> None:
        rows, before = self.rows, self.selected
        names = [server.name for server in self._shown]
        self._shown = sorted(
            (s for s in self._servers if shows(s, self._query)), key=ORDERS[self._order]
        )
        now = [server.name for server in self._shown]
        if now == names:
            rows.replace(self._shown)
        else:
            own = before is not None and before.name in now
            rows.show(self._shown, now.index(before.name) if before and own else rows.cursor)
        # As high as its servers need, so that the detail pane gets the rest.
        self.styles.max_height = len(self._servers) + 2
        self._say_no_match()
        self.redraw()
        self._run_spinner()
        if self.selected != before:
            self.post_message(self.Moved(self.selected))

    def _say_no_match(self) -> None:
        notice = self.query_one(".no-match", Static)
        notice.display = bool(self._servers) and not self._shown
        if notice.display:
            notice.update(line(f'Nothing matches "{self._query.strip()}". esc clears.'))

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
        """Share the new width."""
        self.redraw()

    @on(Rows.Clicked)
    def _clicked(self, event: Rows.Clicked) -> None:
        event.stop()
        on_state = self._columns.on_state(event.x)
        if on_state and event.before and not event.twice:
            # A first click only moves the cursor: nobody disconnects a server by missing a row.
            self.post_message(self.StateClicked())
        elif event.twice and not on_state:
            self.post_message(self.Opened())

    @on(ColumnNames.Picked)
    def _picked(self, event: ColumnNames.Picked) -> None:
        event.stop()
        self.sort_by(event.order)

    @on(LineList.Moved)
    def _moved(self, event: LineList.Moved) -> None:
        event.stop()
        if event.by_person:
            self.post_message(self.Moved(self.selected))

    def move_to(self, name: str) -> None:
        """Put the cursor on a server."""
        names = [server.name for server in self._shown]
        if name in names:
            self.rows.move_to(names.index(name))
