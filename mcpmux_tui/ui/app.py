"""The terminal UI: joins an engine, the screen and the terminal."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.command import Provider
from textual.notifications import Notify

from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import EngineSnapshot, ProxySnapshot
from mcpmux_tui.model.settings import UiChange
from mcpmux_tui.ui.clipboard import copy_natively, in_tmux
from mcpmux_tui.ui.crash import CrashGuard, describe
from mcpmux_tui.ui.dialogs.confirm import QuitDialog
from mcpmux_tui.ui.dialogs.settings import SettingsDialog
from mcpmux_tui.ui.dialogs.themes import ThemeDialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.looks import Looks, filter_colours
from mcpmux_tui.ui.screens.servers import ServersScreen
from mcpmux_tui.ui.status import Glyphs
from mcpmux_tui.ui.tasks import Failed, Tasks
from mcpmux_tui.ui.terminal import TerminalDriver
from mcpmux_tui.ui.theme import inks
from mcpmux_tui.ui.toasts import make_room, toast, toast_error


async def run(engine: Engine, *, owner: bool, state: Path) -> int:
    """Show `engine` until the person leaves, and return the exit code.

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
    return app.return_code or 0


class McpmuxApp(CrashGuard):
    """One engine on a terminal."""

    TITLE = "mcpmux"
    CSS_PATH = ["styles/servers.tcss", "styles/dialogs.tcss"]  # noqa: RUF012 - Textual types it
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
        self._engine = engine
        self._owner = owner
        self._snapshot: EngineSnapshot | None = None
        self._ended = False
        self._work = Tasks(self)
        self._watching: asyncio.Task[None] | None = None
        self._looks = Looks(self, theme=theme, glyphs=glyphs, animated=animated)
        self._servers = ServersScreen(
            engine,
            owner=owner,
            copy=self._copy,
            glyphs=self._looks.glyphs,
            clock=clock,
        )

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
        return self._servers

    def on_ready(self) -> None:
        """Begin to watch the engine."""
        self._watching = self._work.start(self._watch())

    async def on_unmount(self) -> None:
        """Stop watching."""
        await self._work.stop()

    async def _watch(self) -> None:
        try:
            async for snapshot in self._engine.watch():
                first = self._snapshot is None
                self._looks.tell(snapshot.ui)
                warnings = (*snapshot.warnings, *self._looks.problems)
                self._snapshot = snapshot.model_copy(update={"warnings": warnings})
                self._servers.show(self._snapshot)
                self._looks.changed.publish(None)
                if first:
                    self.call_after_refresh(_freeze)
        except McpmuxError as error:
            toast_error(self, error)
        self._ended = True
        self._servers.show(self._snapshot or _NOTHING, ended=True)

    def on_notify(self, event: Notify) -> None:
        """Keep the toasts few."""
        make_room(self, event)

    @on(Failed)
    def _say_failed(self, event: Failed) -> None:
        if isinstance(event.error, McpmuxError):
            toast_error(self, event.error)
        elif self._watching is not None and self._watching.done() and not self._ended:
            # Rows that no longer follow their servers are worse than no screen.
            raise event.error
        else:
            toast(self, describe(event.error, self.state), "error")

    async def _copy(self, text: str) -> str:
        native = await copy_natively(text)
        if not native or in_tmux():
            self.copy_to_clipboard(text)
        return "copied" if native else "copied (if your terminal allows)"

    def action_choose_theme(self) -> None:
        """Choose a theme; it is remembered."""
        if self.screen.check_action("choose_theme", ()):

            def picked(name: str | None) -> None:
                if name is not None:
                    self._choose(UiChange(theme=name))

            self.push_screen(ThemeDialog(self._looks.glyphs), picked)

    def action_settings(self) -> None:
        """Show how mcpmux is set up."""
        if self.screen.check_action("settings", ()):
            self.push_screen(
                SettingsDialog(
                    self._engine,
                    self._looks,
                    state=self.state,
                    copy=self._copy,
                    snapshot=lambda: self._snapshot,
                    choose=self._choose,
                    pick_theme=self.action_choose_theme,
                )
            )

    def _choose(self, change: UiChange) -> None:
        self._looks.choose(change)
        if self._snapshot is not None:
            self._servers.show(self._snapshot, ended=self._ended)
        self._looks.changed.publish(None)
        self._work.start(self._remember(change))

    async def _remember(self, change: UiChange) -> None:
        try:
            await self._engine.change_ui(change)
        except McpmuxError as error:
            toast(self, f"This counts until you quit: {error.message} {error.hint}", "warning")

    async def action_quit(self) -> None:
        """Quit; ask first where clients would lose their servers."""
        clients = self._snapshot.proxy.clients if self._snapshot is not None else 0
        asked = isinstance(self.screen, QuitDialog)
        if self._ended:
            self.exit(return_code=1)
        elif self._owner and clients and not asked:
            self.push_screen(QuitDialog(clients), self._answered)
        else:
            self.exit()

    def _answered(self, quit_now: bool | None) -> None:
        if quit_now:
            self.exit()


def _freeze() -> None:
    # What the first screen is made of stays: later collections need not look at it.
    gc.collect()
    gc.freeze()


_NOTHING = EngineSnapshot(proxy=ProxySnapshot(pid=0))
