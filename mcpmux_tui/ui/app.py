"""The terminal UI: joins an engine, the screen and the terminal."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.binding import BindingType
from textual.command import Provider
from textual.errors import NoWidget
from textual.notifications import Notify

from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import EngineSnapshot, Health, ProxySnapshot
from mcpmux_tui.model.settings import UiChange
from mcpmux_tui.ui.clipboard import copy_natively, in_tmux
from mcpmux_tui.ui.commands import Palette
from mcpmux_tui.ui.crash import CrashGuard, describe
from mcpmux_tui.ui.dialogs.confirm import QuitDialog
from mcpmux_tui.ui.dialogs.themes import ThemeDialog
from mcpmux_tui.ui.door import Door
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.keyboard import Keyboard, NotTaken
from mcpmux_tui.ui.keys import SUSPEND
from mcpmux_tui.ui.looks import Looks, filter_colours
from mcpmux_tui.ui.screens.logs import LogsScreen
from mcpmux_tui.ui.screens.page import Go, GoToServer, OpenServer, Page
from mcpmux_tui.ui.screens.server import ServerScreen
from mcpmux_tui.ui.screens.servers import ServersScreen
from mcpmux_tui.ui.screens.settings import Choose, SettingsScreen
from mcpmux_tui.ui.screens.tools import ToolsScreen
from mcpmux_tui.ui.status import Glyphs
from mcpmux_tui.ui.tasks import Failed, Tasks
from mcpmux_tui.ui.terminal import TerminalDriver, shell_waits
from mcpmux_tui.ui.theme import inks
from mcpmux_tui.ui.toasts import make_room, toast, toast_error


@dataclass(frozen=True, slots=True)
class Left:
    """How a person left the UI."""

    code: int
    """For the shell."""
    detached: bool = False
    """The engine is to go on, though this door started it."""
    ended: bool = False
    """The engine had ended before."""


async def run(engine: Engine, *, owner: bool, state: Path) -> Left:
    """Show `engine` until the person leaves.

    `owner`: this door started the engine, which stops with it. Crash reports go to the folder
    `state`. The caller's terminal is restored on SIGTERM, SIGHUP and SIGINT too.
    """
    app = McpmuxApp(engine, owner=owner, state=state)
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, app.exit)
    try:
        await app.run_async()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
    return Left(app.return_code or 0, detached=app.detached, ended=app.ended)


class McpmuxApp(CrashGuard):
    """One engine on a terminal."""

    TITLE = "mcpmux"
    CSS_PATH = ["styles/pages.tcss", "styles/servers.tcss", "styles/dialogs.tcss"]  # noqa: RUF012 - Textual types it
    BINDINGS: ClassVar[list[BindingType]] = [SUSPEND.binding]
    # Each screen brings its own commands.
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = set()

    def __init__(
        self,
        engine: Engine,
        *,
        owner: bool,
        state: Path,
        clock: Callable[[], float] = time.time,
        glyphs: Glyphs | None = None,
        animated: bool | None = None,
        theme: str | None = None,
    ) -> None:
        super().__init__(state, driver_class=TerminalDriver)
        self.detached = False
        self._titled = ""
        self._work = Tasks(self)
        self._keyboard = Keyboard(self, self._work)
        self._watching: asyncio.Task[None] | None = None
        self._looks = Looks(self, theme=theme, glyphs=glyphs, animated=animated)
        self._door = Door(
            engine,
            owner=owner,
            copy=self._copy,
            looks=self._looks,
            clock=clock,
            state=state,
        )
        self._home = ServersScreen(self._door)

    @property
    def ended(self) -> bool:
        """Whether the engine tells nothing any more."""
        return self._door.ended

    def get_css_variables(self) -> dict[str, str]:
        """The theme's, with our own."""
        variables = super().get_css_variables()
        variables.update(inks(self.current_theme))
        return variables

    def watch_theme(self) -> None:
        """Have NO_COLOR mean the same in every theme."""
        filter_colours(self)

    def get_default_screen(self) -> ServersScreen:
        """The servers screen is home."""
        return self._home

    def on_ready(self) -> None:
        """Begin to watch the engine."""
        self._watching = self._work.start(self._watch())

    async def on_unmount(self) -> None:
        """Stop watching."""
        await self._work.stop()

    async def _watch(self) -> None:
        try:
            async for snapshot in self._door.engine.watch():
                first = self._door.snapshot is None
                self._looks.tell(snapshot.ui)
                warnings = (*snapshot.warnings, *self._looks.problems)
                self._door.snapshot = snapshot.model_copy(update={"warnings": warnings})
                self._show(self._door.snapshot)
                self._looks.changed.publish(None)
                if first:
                    self.call_after_refresh(_freeze)
        except McpmuxError as error:
            toast_error(self, error)
        self._door.ended = True
        self._show(self._door.snapshot or _NOTHING)

    def _show(self, snapshot: EngineSnapshot) -> None:
        self._show_title(snapshot)
        for screen in self.screen_stack:
            if isinstance(screen, Page) and screen.is_mounted:
                screen.show(snapshot)

    def _show_title(self, snapshot: EngineSnapshot) -> None:
        states = [server.state for server in snapshot.servers]
        wanted = [
            f"{self._door.glyphs.state(state)}{states.count(state)}"
            for state in (Health.NEEDS_INPUT, Health.NEEDS_SIGN_IN, Health.FAILED)
            if state in states
        ]
        title = " ".join([self.TITLE, *wanted])
        if title != self._titled and isinstance(self._driver, TerminalDriver):
            self._titled = title
            self._driver.show_title(title)

    @on(Go)
    def _go(self, event: Go) -> None:
        kinds: dict[str, type[Page]] = {
            "tools": ToolsScreen,
            "logs": LogsScreen,
            "settings": SettingsScreen,
        }
        kind = kinds.get(event.screen)
        self._lead_to(None if kind is None else kind(self._door))

    @on(GoToServer)
    def _go_to_server(self, event: GoToServer) -> None:
        self._lead_to(None)
        self._home.go_to(event.server)

    @on(OpenServer)
    def _open_server(self, event: OpenServer) -> None:
        self._lead_to(ServerScreen(self._door, event.server, event.tab))

    def _lead_to(self, page: Page | None) -> None:
        """Show a screen over home; None: home itself. A dialog that came up meanwhile stays."""
        if not isinstance(self.screen, Page):
            return
        away = self.screen is not self._home
        if page is None:
            if away:
                self.pop_screen()
        elif away:
            self.switch_screen(page)
        else:
            self.push_screen(page)

    async def on_event(self, event: events.Event) -> None:
        """Take what is typed in its turn, and nothing any more once the person has left."""
        if isinstance(event, events.InputEvent) and self.return_code is not None:
            return
        if (
            isinstance(event, events.Key | events.Paste)
            and not event.is_forwarded
            and not self._keyboard.lets_in(event)
        ):
            return
        if isinstance(event, events.MouseDown | events.MouseMove) and self._under_is_gone(event):
            # Textual looks for the parent of what is under the pointer, also where it has none.
            return
        await super().on_event(event)

    def _under_is_gone(self, event: events.MouseEvent) -> bool:
        """Whether the pointer is on something drawn that has been taken away since."""
        if event.is_forwarded:
            return False
        try:
            widget, _ = self.screen.get_widget_at(event.x, event.y)
        except NoWidget:
            return False
        return widget.parent is None

    def on_notify(self, event: Notify) -> None:
        """Keep the toasts few."""
        make_room(self, event)

    @on(NotTaken)
    def _say_not_taken(self, event: NotTaken) -> None:
        toast(self, event.why, "warning")

    @on(Failed)
    def _say_failed(self, event: Failed) -> None:
        if isinstance(event.error, McpmuxError):
            toast_error(self, event.error)
        elif self._watching is not None and self._watching.done() and not self._door.ended:
            # Rows that no longer follow their servers are worse than no screen.
            raise event.error
        else:
            toast(self, describe(event.error, self.state), "error")

    async def _copy(self, text: str) -> str:
        native = await copy_natively(text)
        if not native or in_tmux():
            self.copy_to_clipboard(text)
        return "copied" if native else "copied (if your terminal allows)"

    def action_command_palette(self) -> None:
        """Show every action and server by name."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

    def action_suspend_process(self) -> None:
        """Give the terminal back to the shell until `fg`; the servers run on."""
        if self._driver is not None and self._driver.can_suspend and shell_waits():
            super().action_suspend_process()
        else:
            toast(self, "No shell is behind this window to go to.", "warning")

    @on(TerminalDriver.SignalResume)
    def _draw_again(self) -> None:
        self.refresh(layout=True)

    def action_choose_theme(self) -> None:
        """Choose a theme; it is remembered."""
        if self.screen.check_action("choose_theme", ()):

            def picked(name: str | None) -> None:
                if name is not None:
                    self._use(UiChange(theme=name))

            self.push_screen(ThemeDialog(self._looks.glyphs), picked)

    @on(Choose)
    def _chosen(self, event: Choose) -> None:
        self._use(event.change)

    def _use(self, change: UiChange) -> None:
        self._looks.choose(change)
        if self._door.snapshot is not None:
            self._show(self._door.snapshot)
        self._looks.changed.publish(None)
        self._work.start(self._remember(change))

    async def _remember(self, change: UiChange) -> None:
        try:
            await self._door.engine.change_ui(change)
        except McpmuxError as error:
            toast(self, f"This counts until you quit: {error.message} {error.hint}", "warning")

    async def action_quit(self) -> None:
        """Quit; ask first where clients would lose their servers."""
        snapshot = self._door.snapshot
        clients = snapshot.proxy.clients if snapshot is not None else 0
        asked = isinstance(self.screen, QuitDialog)
        if self._door.ended:
            self.exit(return_code=1)
        elif self._door.owner and clients and not asked:
            keep = None if snapshot is None or snapshot.demo else self._leave_it_running
            self.push_screen(QuitDialog(clients, keep), self._answered)
        else:
            self.exit()

    def _leave_it_running(self) -> None:
        self._work.start(self._let_go())

    async def _let_go(self) -> None:
        await self._door.engine.detach()
        self.detached = True
        self.exit()

    def _answered(self, quit_now: bool | None) -> None:
        if quit_now:
            self.exit()


def _freeze() -> None:
    # What the first screen is made of stays: later collections need not look at it.
    gc.collect()
    gc.freeze()


_NOTHING = EngineSnapshot(proxy=ProxySnapshot(pid=0))
