"""The servers screen: live rows, the server under the cursor, and the keys that act on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal
from textual.screen import Screen
from textual.widgets import Input, Static

from mcpmux_tui.control.protocol import Found, Imported
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import Action, EngineSnapshot, ServerSnapshot
from mcpmux_tui.ui.dialogs.entry import Copy, EntryDialog
from mcpmux_tui.ui.dialogs.help import HelpDialog
from mcpmux_tui.ui.dialogs.imports import ImportDialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.keys import (
    CONNECT,
    COPY,
    FILTER,
    IMPORT,
    RESTART,
    SCREEN,
    TOGGLE,
    Context,
    Key,
    refusal,
    toggle,
)
from mcpmux_tui.ui.status import Glyphs
from mcpmux_tui.ui.tasks import Tasks
from mcpmux_tui.ui.toasts import toast, toast_error
from mcpmux_tui.ui.widgets.banner import Banner
from mcpmux_tui.ui.widgets.detail import DetailPane
from mcpmux_tui.ui.widgets.header import Header
from mcpmux_tui.ui.widgets.key_bar import KeyBar
from mcpmux_tui.ui.widgets.server_list import Rows, ServerList
from mcpmux_tui.ui.widgets.welcome import Welcome


class ServersScreen(Screen[None]):
    """All servers, and one of them closely."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in SCREEN]
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]  # noqa: RUF012

    def __init__(
        self,
        engine: Engine,
        *,
        copy: Copy,
        glyphs: Glyphs,
        clock: Callable[[], float],
        animated: bool,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._copy = copy
        self._glyphs = glyphs
        self._clock = clock
        self._animated = animated
        self._snapshot: EngineSnapshot | None = None
        self._ended = False
        self._found: Found | None = None
        self._finding = False
        self._asked: set[tuple[str, Action]] = set()
        self._work = Tasks(self)

    def compose(self) -> ComposeResult:
        yield Header(self._glyphs)
        yield Banner()
        with Container(id="body"):
            yield ServerList(glyphs=self._glyphs, clock=self._clock, animated=self._animated)
            yield DetailPane(self._engine, glyphs=self._glyphs, clock=self._clock)
        yield Welcome()
        with Horizontal(id="filter-bar"):
            yield Static("/", markup=False)
            yield Input(placeholder="name, state or command; !text shows the others", id="filter")
        yield KeyBar()
        yield Static(
            "This window is too small: mcpmux needs 60 columns.", id="too-small", markup=False
        )

    def on_mount(self) -> None:
        """Begin with the keyboard on the rows."""
        self.query_one("#filter-bar").display = False
        self.query_one(Rows).focus()

    async def on_unmount(self) -> None:
        """Stop asking the engine."""
        await self._work.stop()

    def show(self, snapshot: EngineSnapshot, *, ended: bool = False) -> None:
        """Show what the engine says now; `ended` when it says no more."""
        self._snapshot, self._ended = snapshot, ended
        self.set_class(not snapshot.servers, "-empty")
        self.query_one(Header).snapshot = snapshot
        self.query_one(Banner).show(snapshot, ended=ended)
        self.query_one(ServerList).show(snapshot.servers)
        if not snapshot.servers:
            self.query_one(Welcome).show(snapshot, self._found)
            self._look_for_imports()
        self._follow_cursor()

    def _look_for_imports(self) -> None:
        if not self._finding:
            self._finding = True
            self._work.start(self._find())

    async def _find(self) -> None:
        try:
            self._found = await self._engine.find_imports()
        except McpmuxError as error:
            self._found = Found(problems=(str(error),))
        if self._snapshot is not None:
            self.query_one(Welcome).show(self._snapshot, self._found)

    @on(ServerList.Moved)
    def _follow_cursor(self) -> None:
        self.query_one(DetailPane).show(self._selected)
        self.query_one(KeyBar).context = self._keys_for

    @property
    def _selected(self) -> ServerSnapshot | None:
        return self.query_one(ServerList).selected

    @property
    def _keys_for(self) -> Context:
        snapshot = self._snapshot
        return Context(
            self._selected,
            engine=not self._ended,
            any_server=snapshot is not None and bool(snapshot.servers),
        )

    def _refused(self, key: Key) -> bool:
        if why := refusal(key, self._keys_for):
            toast(self, why, "warning")
        return bool(why)

    def action_suggested(self) -> None:
        """Do what the footer says for `c`."""
        server = self._selected
        if not self._refused(CONNECT) and server is not None and server.action is not None:
            self._act(server, server.action)

    def action_restart(self) -> None:
        """Restart the server."""
        if not self._refused(RESTART) and (server := self._selected) is not None:
            self._act(server, Action.RESTART)

    def action_toggle_enabled(self) -> None:
        """Enable or disable the server."""
        if not self._refused(TOGGLE) and (server := self._selected) is not None:
            self._act(server, toggle(server))

    def _act(self, server: ServerSnapshot, action: Action) -> None:
        # A key that repeats while its request is on the way asks for nothing more.
        if (server.name, action) not in self._asked:
            self._asked.add((server.name, action))
            self.query_one(ServerList).mark_asked(server.name, action)
            self._work.start(self._send(server.name, action))

    async def _send(self, server: str, action: Action) -> None:
        try:
            await self._engine.act(server, action)
        except McpmuxError as error:
            toast_error(self, error)
        finally:
            self._asked.discard((server, action))
            for rows in self.query(ServerList):
                rows.mark_asked(server, None)

    def action_copy_entry(self) -> None:
        """Pick a client and copy its entry."""
        if not self._refused(COPY):
            self.app.push_screen(EntryDialog(self._engine, self._copy, self._glyphs))

    def action_import(self) -> None:
        """Pick servers of other tools and add them."""
        if not self._refused(IMPORT):
            self.app.push_screen(ImportDialog(self._engine), self._imported)

    def _imported(self, imported: Imported | None) -> None:
        if imported is not None:
            names = ", ".join(imported.added)
            toast(self, f"Added {names}." if names else "Nothing was added.")

    def action_filter(self) -> None:
        """Type what to show."""
        if not self._refused(FILTER):
            self.query_one("#filter-bar").display = True
            self.query_one("#filter").focus()

    @on(Input.Changed, "#filter")
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one(ServerList).filter(event.value)

    @on(Input.Submitted, "#filter")
    def _keep_filter(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#filter-bar").display = bool(event.value.strip())
        self.query_one(Rows).focus()

    def action_back(self) -> None:
        """Clear the filter and the messages."""
        self.query_one("#filter", Input).value = ""
        self.query_one("#filter-bar").display = False
        self.query_one(Rows).focus()
        self.app.clear_notifications()

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(HelpDialog(self._keys_for))
