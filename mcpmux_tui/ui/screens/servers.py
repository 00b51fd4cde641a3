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
from mcpmux_tui.model.server import Action, EngineSnapshot, Health, ProxySnapshot, ServerSnapshot
from mcpmux_tui.ui.commands import Commands
from mcpmux_tui.ui.dialogs.answer import AnswerDialog
from mcpmux_tui.ui.dialogs.confirm import LogOutDialog
from mcpmux_tui.ui.dialogs.doctor import DoctorDialog
from mcpmux_tui.ui.dialogs.entry import Copy, EntryDialog
from mcpmux_tui.ui.dialogs.help import HelpDialog
from mcpmux_tui.ui.dialogs.imports import ImportDialog
from mcpmux_tui.ui.dialogs.secrets import SecretsDialog
from mcpmux_tui.ui.dialogs.secure import SecureDialog
from mcpmux_tui.ui.dialogs.sign_in import SignInDialog
from mcpmux_tui.ui.dialogs.tools import ToolsDialog
from mcpmux_tui.ui.dialogs.values import ValuesDialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.keymap import shown
from mcpmux_tui.ui.keys import (
    ANSWER,
    CONNECT,
    COPY,
    DOCTOR,
    FILTER,
    IMPORT,
    LEFTOVERS,
    LOG_OUT,
    MOVE,
    RESTART,
    SCREEN,
    SECRETS,
    TOGGLE,
    TOOLS,
    VALUES,
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

_STUCK = frozenset({Health.FAILED, Health.NEEDS_INPUT, Health.NEEDS_SIGN_IN, Health.DEGRADED})
_UNDER_WAY = frozenset({Health.CONNECTING, Health.STOPPING})


class ServersScreen(Screen[None]):
    """All servers, and one of them closely."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in SCREEN]
    COMMANDS = {Commands}  # noqa: RUF012 - Textual types it
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (9, "-low"), (20, "-high")]  # noqa: RUF012

    def __init__(
        self,
        engine: Engine,
        *,
        owner: bool,
        copy: Copy,
        glyphs: Glyphs,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._engine = engine
        self._owner = owner
        self._copy = copy
        self._glyphs = glyphs
        self._clock = clock
        self._snapshot: EngineSnapshot | None = None
        self._ended = False
        self._found: Found | None = None
        self._finding = False
        self._asked: set[tuple[str, Action]] = set()
        self._stuck: dict[str, ServerSnapshot] = {}
        self._work = Tasks(self)

    def compose(self) -> ComposeResult:
        yield Header(self._glyphs)
        yield Banner()
        with Container(id="body"):
            yield ServerList(glyphs=self._glyphs, clock=self._clock)
            yield DetailPane(self._engine, glyphs=self._glyphs, clock=self._clock)
        yield Welcome()
        with Horizontal(id="filter-bar"):
            yield Static("/", markup=False)
            yield Input(placeholder="name, state or command; !text shows the others", id="filter")
        yield KeyBar()
        yield Static(
            "This window is too small: mcpmux needs 60 columns and 9 lines. q quits.",
            id="too-small",
            markup=False,
        )

    def on_mount(self) -> None:
        """Begin with the keyboard on the rows."""
        self.query_one(Rows).focus()

    def on_resize(self) -> None:
        """Take the keyboard from what a small window hides, and give it back to the rows."""
        self.call_after_refresh(self._keep_focus)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key acts on what is not seen; quitting is the app's."""
        return not self._too_small

    @property
    def _too_small(self) -> bool:
        return self.has_class("-tiny") or self.has_class("-flat")

    def _keep_focus(self) -> None:
        if self._too_small:
            self.set_focus(None)
        elif self.focused is None:
            self._focus_home()

    def _focus_home(self) -> None:
        self.query_one(Welcome if self.has_class("-empty") else Rows).focus()

    async def on_unmount(self) -> None:
        """Stop asking the engine."""
        await self._work.stop()

    def show(self, snapshot: EngineSnapshot, *, ended: bool = False) -> None:
        """Show what the engine says now; `ended` when it says no more."""
        self._snapshot, self._ended = snapshot, ended
        self._say_what_stuck(snapshot)
        self.query_one(Header).snapshot = _without_counts(snapshot) if ended else snapshot
        self.query_one(Banner).show(snapshot, ended=ended)
        self.query_one(ServerList).show(snapshot.servers, live=not ended)
        if not snapshot.servers:
            self.query_one(Welcome).show(snapshot, self._found)
            self._look_for_imports()
        if self.has_class("-empty") is bool(snapshot.servers):
            self.set_class(not snapshot.servers, "-empty")
            self._focus_home()
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
        # What is known of a server is no longer so without an engine.
        self.query_one(DetailPane).show(None if self._ended else self._selected)
        self._show_keys()

    def on_descendant_focus(self) -> None:
        """The filter takes the keys to itself."""
        self._show_keys()

    def on_descendant_blur(self) -> None:
        """The filter gives the keys back."""
        self._show_keys()

    def _show_keys(self) -> None:
        self.query_one(KeyBar).context = self.keys_for

    @property
    def _selected(self) -> ServerSnapshot | None:
        return self.query_one(ServerList).selected

    @property
    def servers(self) -> tuple[ServerSnapshot, ...]:
        """All servers, as the engine last told."""
        return () if self._snapshot is None else self._snapshot.servers

    def do(self, key: Key) -> None:
        """Do what a key does."""
        self.call_later(self.run_action, key.action)

    def go_to(self, server: str) -> None:
        """Put the cursor on a server; a filter that hides it ends."""
        self.action_back()
        self.query_one(ServerList).move_to(server)

    @property
    def keys_for(self) -> Context:
        """What decides about keys now."""
        snapshot = self._snapshot
        return Context(
            self._selected,
            engine=not self._ended,
            any_server=snapshot is not None and bool(snapshot.servers),
            typing=isinstance(self.focused, Input),
            owner=self._owner,
            leftovers=snapshot is not None and bool(snapshot.leftovers),
            questions=snapshot is not None and bool(snapshot.questions),
            set_anew=shown(self),
        )

    def _refused(self, key: Key) -> bool:
        if why := refusal(key, self.keys_for):
            toast(self, why, "warning")
        return bool(why)

    def action_suggested(self) -> None:
        """Do what the footer says for `c`."""
        server = self._selected
        if self._refused(CONNECT) or server is None or server.action is None:
            return
        if server.action is Action.SIGN_IN:
            self._sign_in(server.name)
        elif server.action is Action.ENTER_VALUES:
            self.action_enter_values()
        else:
            self._act(server, server.action)

    def _sign_in(self, server: str) -> None:
        self.app.push_screen(
            SignInDialog(
                self._engine, server, copy=self._copy, glyphs=self._glyphs, clock=self._clock
            )
        )

    def action_enter_values(self) -> None:
        """Enter or change the values the server needs."""
        if not self._refused(VALUES) and (server := self._selected) is not None:
            self.app.push_screen(ValuesDialog(self._engine, server.name))

    def action_answer(self) -> None:
        """Answer what a server asks: that under the cursor, else the one that waits longest."""
        if self._refused(ANSWER) or self._snapshot is None:
            return
        selected = self._selected
        questions = sorted(
            self._snapshot.questions,
            key=lambda each: (selected is None or each.server != selected.name, each.since),
        )
        self.app.push_screen(AnswerDialog(self._engine, questions[0], self._copy))

    def action_tools(self) -> None:
        """Look through the server's tools, and try one."""
        if not self._refused(TOOLS) and (server := self._selected) is not None:
            self.app.push_screen(ToolsDialog(self._engine, server.name, self._glyphs))

    def action_doctor(self) -> None:
        """Check the server in order."""
        if not self._refused(DOCTOR) and (server := self._selected) is not None:
            self.app.push_screen(
                DoctorDialog(self._engine, server, self._glyphs, self.action_suggested)
            )

    def action_secrets(self) -> None:
        """Show the kept values."""
        if not self._refused(SECRETS):
            self.app.push_screen(SecretsDialog(self._engine))

    def action_move_secrets(self) -> None:
        """Move the server's plain secrets to the keyring, after a yes."""
        if not self._refused(MOVE) and (server := self._selected) is not None:
            self.app.push_screen(SecureDialog(self._engine, server))

    def action_log_out(self) -> None:
        """Log out of the server, after a yes."""
        if not self._refused(LOG_OUT) and (server := self._selected) is not None:

            def answered(yes: bool | None) -> None:
                if yes:
                    self._work.start(self._log_out(server.name))

            self.app.push_screen(LogOutDialog(server.name, server.account), answered)

    async def _log_out(self, server: str) -> None:
        try:
            out = await self._engine.logout(server, reset=False)
        except McpmuxError as error:
            toast_error(self, error)
            return
        told = "" if out.told else " Its authorization server was not told."
        toast(self, f"Logged out of {server}.{told}")

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
            if server.state in _STUCK:
                self._stuck[server.name] = server
            self.query_one(ServerList).mark_asked(server.name, action)
            self._work.start(self._send(server.name, action))

    async def _send(self, server: str, action: Action) -> None:
        try:
            await self._engine.act(server, action)
        except McpmuxError as error:
            self._stuck.pop(server, None)
            toast_error(self, error)
        finally:
            self._asked.discard((server, action))
            for rows in self.query(ServerList):
                rows.mark_asked(server, None)

    def _say_what_stuck(self, snapshot: EngineSnapshot) -> None:
        """A key that changed nothing is answered, where its row looks as before."""
        for now in snapshot.servers:
            before = self._stuck.get(now.name)
            if before is None or now.since == before.since or now.state in _UNDER_WAY:
                continue
            del self._stuck[now.name]
            if (now.state, now.summary) == (before.state, before.summary):
                toast(self, still(now), "warning")

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
            demo = self._snapshot is not None and self._snapshot.demo
            where = " to this demo; your own config stays as it is" if demo else ""
            toast(self, f"Added {names}{where}." if names else "Nothing was added.")

    def action_end_leftovers(self) -> None:
        """End what an earlier run left behind."""
        if not self._refused(LEFTOVERS):
            self._work.start(self._end_leftovers())

    async def _end_leftovers(self) -> None:
        try:
            await self._engine.end_leftovers()
        except McpmuxError as error:
            toast_error(self, error)
        else:
            toast(self, "Nothing of an earlier run is left.")

    def action_filter(self) -> None:
        """Type what to show."""
        if not self._refused(FILTER):
            self._show_filter(True)
            self.query_one("#filter").focus()

    def _show_filter(self, shown: bool) -> None:
        # On the bar itself: a class of the screen would have every row styled anew.
        self.query_one("#filter-bar").set_class(shown, "-shown")

    @on(Input.Changed, "#filter")
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one(ServerList).filter(event.value)

    @on(Input.Submitted, "#filter")
    def _keep_filter(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_keep_filter()

    def action_keep_filter(self) -> None:
        """Leave the filter as it is, and go back to the rows."""
        text = self.query_one("#filter", Input).value
        self._show_filter(bool(text.strip()))
        self.query_one(Rows).focus()

    def action_back(self) -> None:
        """Clear the filter and the messages."""
        self.query_one("#filter", Input).value = ""
        self._show_filter(False)
        self._focus_home()
        self.app.clear_notifications()

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(HelpDialog(self.keys_for))


def still(server: ServerSnapshot) -> str:
    """Why an action left a server as it was, one sentence."""
    if server.missing:
        return f"{server.name} still waits for {', '.join(server.missing)}."
    if server.transport is None:
        return f"{server.name} has a fault in the config; correct it there."
    return f"{server.name} is still {server.state.word}: {server.summary}".rstrip(": ") + "."


def _without_counts(snapshot: EngineSnapshot) -> EngineSnapshot:
    gone = ProxySnapshot(pid=snapshot.proxy.pid)
    return snapshot.model_copy(update={"servers": (), "proxy": gone})
