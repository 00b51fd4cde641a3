"""The servers screen: live rows, the server under the cursor, and the keys that act on it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from mcpmux_tui.control.protocol import Found, Imported
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import Action, EngineSnapshot, Health, ServerSnapshot
from mcpmux_tui.ui.dialogs.add import AddDialog
from mcpmux_tui.ui.dialogs.entry import EntryDialog
from mcpmux_tui.ui.dialogs.imports import ImportDialog
from mcpmux_tui.ui.dialogs.values import ValuesDialog
from mcpmux_tui.ui.door import Door
from mcpmux_tui.ui.keys import (
    ADD,
    CONNECT_ALL,
    COPY,
    IMPORT,
    LEFTOVERS,
    OPEN,
    RESTART_FAILED,
    SCREEN,
    SORT,
    Context,
    Key,
    wants_connecting,
)
from mcpmux_tui.ui.screens.page import OpenServer
from mcpmux_tui.ui.screens.server_page import ServerPage
from mcpmux_tui.ui.toasts import toast, toast_error
from mcpmux_tui.ui.widgets.detail import DetailPane
from mcpmux_tui.ui.widgets.filter_bar import FilterBar
from mcpmux_tui.ui.widgets.server_list import Rows, ServerList
from mcpmux_tui.ui.widgets.welcome import Welcome


class ServersScreen(ServerPage):
    """All servers, and one of them closely."""

    NAME = "servers"
    HINT = "name, state or command; !text shows the others"
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in SCREEN]
    LAYERS = (SCREEN,)

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._awaited = ""
        """The server that gets the cursor once there is a row of it."""
        self._found: Found | None = None
        self._finding = False

    def body(self) -> Iterable[Widget]:
        door = self.door
        yield Container(
            ServerList(glyphs=door.glyphs, clock=door.clock),
            DetailPane(door.engine, glyphs=door.glyphs, clock=door.clock),
            id="body",
        )
        yield Welcome()

    @property
    def keys(self) -> tuple[Key, ...]:
        return SCREEN

    @property
    def context(self) -> Context:
        return self.base_context(server=self.selected)

    @property
    def home(self) -> Widget:
        return self.query_one(Welcome if self.has_class("-empty") else Rows)

    @property
    def selected(self) -> ServerSnapshot | None:
        return self.query_one(ServerList).selected

    def asked(self, server: str, action: Action | None) -> None:
        self.query_one(ServerList).mark_asked(server, action)

    def filter(self, text: str) -> None:
        self.query_one(ServerList).filter(text)

    def show(self, snapshot: EngineSnapshot) -> None:
        self.query_one(ServerList).show(snapshot.servers, live=not self.door.ended)
        if not snapshot.servers:
            self.query_one(Welcome).show(snapshot, self._found)
            self._look_for_imports()
        if self.has_class("-empty") is bool(snapshot.servers):
            self.set_class(not snapshot.servers, "-empty")
            self.set_focus(self.home)
        self._go_to_awaited()
        self._show_details()
        super().show(snapshot)

    def _look_for_imports(self) -> None:
        if not self._finding:
            self._finding = True
            self.work.start(self._find())

    async def _find(self) -> None:
        try:
            self._found = await self.door.engine.find_imports()
        except McpmuxError as error:
            self._found = Found(problems=(str(error),))
        if self.door.snapshot is not None:
            self.query_one(Welcome).show(self.door.snapshot, self._found)

    def on_screen_resume(self) -> None:
        """Look what has changed behind another screen."""
        self.query_one(DetailPane).look_again()

    @on(ServerList.Moved)
    def _follow_cursor(self) -> None:
        self._show_details()
        self.show_keys()

    def _show_details(self) -> None:
        # What is known of a server is no longer so without an engine.
        self.query_one(DetailPane).show(None if self.door.ended else self.selected)

    @on(ServerList.Opened)
    def _opened(self, event: ServerList.Opened) -> None:
        event.stop()
        self.action_open()

    @on(ServerList.StateClicked)
    def _state_clicked(self, event: ServerList.StateClicked) -> None:
        event.stop()
        self.action_suggested()

    def go_to(self, server: str) -> None:
        """Put the cursor on a server, once there is a row of it; a filter that hides it ends."""
        self._awaited = server
        self._go_to_awaited()

    def _go_to_awaited(self) -> None:
        if self._awaited and self.door.server(self._awaited) is not None:
            name, self._awaited = self._awaited, ""
            self.query_one(FilterBar).clear()
            self.query_one(ServerList).filter("")
            self.query_one(ServerList).move_to(name)

    def action_open(self, tab: str = "overview") -> None:
        """Show the server closely."""
        if not self.refused(OPEN) and (server := self.selected) is not None:
            self.post_message(OpenServer(server.name, tab))

    def action_back(self) -> None:
        """Clear the filter and the messages."""
        self.query_one(FilterBar).clear()
        self.set_focus(self.home)
        self.app.clear_notifications()

    def action_sort(self) -> None:
        """Sort by something else."""
        if not self.refused(SORT):
            order = self.query_one(ServerList).sort_next()
            toast(self, f"Sorted by {order}.")

    def action_connect_all(self) -> None:
        """Connect all servers; those that want a person ask one by one."""
        if self.refused(CONNECT_ALL):
            return
        waiting: list[ServerSnapshot] = []
        for server in filter(wants_connecting, self.door.servers):
            if server.action in (Action.SIGN_IN, Action.ENTER_VALUES):
                waiting.append(server)
            elif server.action is not None:
                self.act(server, server.action)
        self._ask_next(waiting)

    def _ask_next(self, waiting: list[ServerSnapshot]) -> None:
        if not waiting:
            return
        server, *rest = waiting

        def next_one(_: object) -> None:
            self._ask_next(rest)

        if server.action is Action.SIGN_IN:
            self.app.push_screen(self.sign_in_dialog(server.name), next_one)
        else:
            self.app.push_screen(ValuesDialog(self.door.engine, server.name), next_one)

    def action_restart_failed(self) -> None:
        """Restart all servers that failed."""
        if self.refused(RESTART_FAILED):
            return
        failed = [server for server in self.door.servers if server.state is Health.FAILED]
        for server in failed:
            self.act(server, Action.RESTART)
        if not failed:
            toast(self, "No server has failed.", "warning")

    def action_copy_entry(self) -> None:
        """Pick a client and copy its entry."""
        if not self.refused(COPY):
            door = self.door
            self.app.push_screen(EntryDialog(door.engine, door.copy, door.glyphs))

    def action_add(self) -> None:
        """Paste a server."""
        if not self.refused(ADD):
            self.app.push_screen(AddDialog(self.door.engine), partial(self.kept, "Added"))

    def action_import(self) -> None:
        """Pick servers of other tools and add them."""
        if not self.refused(IMPORT):
            self.app.push_screen(ImportDialog(self.door.engine), self._imported)

    def _imported(self, imported: Imported | None) -> None:
        if imported is not None:
            names = ", ".join(imported.added)
            demo = self.door.snapshot is not None and self.door.snapshot.demo
            where = " to this demo; your own config stays as it is" if demo else ""
            toast(self, f"Added {names}{where}." if names else "Nothing was added.")

    def action_end_leftovers(self) -> None:
        """End what an earlier run left behind."""
        if not self.refused(LEFTOVERS):
            self.work.start(self._end_leftovers())

    async def _end_leftovers(self) -> None:
        try:
            await self.door.engine.end_leftovers()
        except McpmuxError as error:
            toast_error(self, error)
        else:
            toast(self, "Nothing of an earlier run is left.")
