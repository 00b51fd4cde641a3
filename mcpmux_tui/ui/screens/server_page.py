"""What a person can do to one server, on whatever screen it is seen."""

from __future__ import annotations

import os
from functools import partial

from mcpmux_tui.control.protocol import DraftKept
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.server import Action, EngineSnapshot, Health, ServerSnapshot
from mcpmux_tui.ui import editor
from mcpmux_tui.ui.dialogs.confirm import LogOutDialog
from mcpmux_tui.ui.dialogs.delete import DeleteByNameDialog, DeleteDialog
from mcpmux_tui.ui.dialogs.doctor import DoctorDialog
from mcpmux_tui.ui.dialogs.edit import EditDialog
from mcpmux_tui.ui.dialogs.secure import SecureDialog
from mcpmux_tui.ui.dialogs.sign_in import SignInDialog
from mcpmux_tui.ui.dialogs.values import ValuesDialog
from mcpmux_tui.ui.door import Door
from mcpmux_tui.ui.keys import (
    CONNECT,
    DELETE,
    DOCTOR,
    DUPLICATE,
    EDIT,
    EDITOR,
    LOG_OUT,
    MOVE,
    RESTART,
    TOGGLE,
    VALUES,
    toggle,
)
from mcpmux_tui.ui.screens.page import GoToServer, Page
from mcpmux_tui.ui.toasts import toast, toast_error

_STUCK = frozenset({Health.FAILED, Health.NEEDS_INPUT, Health.NEEDS_SIGN_IN, Health.DEGRADED})
_UNDER_WAY = frozenset({Health.CONNECTING, Health.STOPPING})


class ServerPage(Page):
    """A screen with one server under the cursor."""

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._asked: set[tuple[str, Action]] = set()
        self._stuck: dict[str, ServerSnapshot] = {}

    @property
    def selected(self) -> ServerSnapshot | None:
        """The server that keys act on."""
        raise NotImplementedError

    def asked(self, server: str, action: Action | None) -> None:
        """A key has asked this of a server; None: it was answered."""

    def show(self, snapshot: EngineSnapshot) -> None:
        """Say which key changed nothing."""
        self._say_what_stuck(snapshot)
        super().show(snapshot)

    def action_suggested(self) -> None:
        """Do what the footer says for `c`."""
        server = self.selected
        if self.refused(CONNECT) or server is None or server.action is None:
            return
        if server.action is Action.SIGN_IN:
            self.app.push_screen(self.sign_in_dialog(server.name))
        elif server.action is Action.ENTER_VALUES:
            self.action_enter_values()
        else:
            self.act(server, server.action)

    def sign_in_dialog(self, server: str) -> SignInDialog:
        """The sign-in to a server."""
        door = self.door
        return SignInDialog(
            door.engine, server, copy=door.copy, glyphs=door.glyphs, clock=door.clock
        )

    def action_enter_values(self) -> None:
        """Enter or change the values the server needs."""
        if not self.refused(VALUES) and (server := self.selected) is not None:
            self.app.push_screen(ValuesDialog(self.door.engine, server.name))

    def action_doctor(self) -> None:
        """Check the server in order."""
        if not self.refused(DOCTOR) and (server := self.selected) is not None:
            engine, glyphs = self.door.engine, self.door.glyphs
            self.app.push_screen(DoctorDialog(engine, server, glyphs, mend=self._mend))

    def _mend(self, mend: Mend | None) -> None:
        match mend:
            case Mend.SIGN_IN if (server := self.selected) is not None:
                self.app.push_screen(self.sign_in_dialog(server.name))
            case Mend.VALUES:
                self.action_enter_values()
            case Mend.EDIT:
                self.action_edit()
            case Mend.EDITOR:
                self.action_editor()
            case _:
                self.action_suggested()

    def action_move_secrets(self) -> None:
        """Move the server's plain secrets to the keyring, after a yes."""
        if not self.refused(MOVE) and (server := self.selected) is not None:
            self.app.push_screen(SecureDialog(self.door.engine, server))

    def action_log_out(self) -> None:
        """Log out of the server, after a yes."""
        if not self.refused(LOG_OUT) and (server := self.selected) is not None:

            def answered(yes: bool | None) -> None:
                if yes:
                    self.work.start(self._log_out(server.name))

            self.app.push_screen(LogOutDialog(server.name, server.account), answered)

    async def _log_out(self, server: str) -> None:
        try:
            out = await self.door.engine.logout(server, reset=False)
        except McpmuxError as error:
            toast_error(self, error)
            return
        told = "" if out.told else " Its authorization server was not told."
        toast(self, f"Logged out of {server}.{told}")

    def action_edit(self) -> None:
        """Edit the server's entry."""
        if not self.refused(EDIT) and (server := self.selected) is not None:
            self.work.start(self._edit(server.name, copy_of=False))

    def action_duplicate(self) -> None:
        """Add a server like this one."""
        if not self.refused(DUPLICATE) and (server := self.selected) is not None:
            self.work.start(self._edit(server.name, copy_of=True))

    async def _edit(self, server: str, *, copy_of: bool) -> None:
        try:
            form = await self.door.engine.entry_form(server, copy_of=copy_of)
        except McpmuxError as error:
            toast_error(self, error)
            return
        what = "Added" if copy_of else "Saved"
        if self.is_current:
            self.app.push_screen(EditDialog(self.door.engine, form), partial(self.kept, what))

    def kept(self, what: str, kept: DraftKept | None) -> None:
        """Say what a dialog has put into the config, and show it."""
        if kept is None or not kept.names:
            return
        moved = f" In the keyring: {', '.join(kept.secrets)}." if kept.secrets else ""
        demo = self.door.snapshot is not None and self.door.snapshot.demo
        where = " in this demo; your own config stays as it is" if demo else ""
        toast(self, f"{what} {', '.join(kept.names)}{where}.{moved}")
        self.post_message(GoToServer(kept.names[0]))

    def action_editor(self) -> None:
        """Open the config in the person's editor."""
        if not self.refused(EDITOR):
            server = self.selected
            self.work.start(self._open_editor("" if server is None else server.name))

    async def _open_editor(self, server: str) -> None:
        engine = self.door.engine
        try:
            editor.edit(self.app, editor.command(os.environ, await engine.place(server)))
            await engine.reload()
        except McpmuxError as error:
            toast_error(self, error)

    def action_delete(self) -> None:
        """Delete the server, after a yes."""
        if not self.refused(DELETE) and (server := self.selected) is not None:

            def answered(yes: bool | None) -> None:
                if yes:
                    self.work.start(self._delete(server.name))

            ask = DeleteByNameDialog if server.signed_in else DeleteDialog
            self.app.push_screen(ask(server), answered)

    async def _delete(self, server: str) -> None:
        try:
            gone = await self.door.engine.delete_server(server)
        except McpmuxError as error:
            toast_error(self, error)
            return
        kept = f" Still in the keyring: {', '.join(gone.secrets)}." if gone.secrets else ""
        toast(self, f"Deleted {server}.{kept}")

    def action_restart(self) -> None:
        """Restart the server."""
        if not self.refused(RESTART) and (server := self.selected) is not None:
            self.act(server, Action.RESTART)

    def action_toggle_enabled(self) -> None:
        """Enable or disable the server."""
        if not self.refused(TOGGLE) and (server := self.selected) is not None:
            self.act(server, toggle(server))

    def act(self, server: ServerSnapshot, action: Action) -> None:
        """Ask this of a server; a key that repeats meanwhile asks for nothing more."""
        if (server.name, action) not in self._asked:
            self._asked.add((server.name, action))
            if server.state in _STUCK:
                self._stuck[server.name] = server
            self.asked(server.name, action)
            self.work.start(self._send(server.name, action))

    async def _send(self, server: str, action: Action) -> None:
        try:
            await self.door.engine.act(server, action)
        except McpmuxError as error:
            self._stuck.pop(server, None)
            toast_error(self, error)
        finally:
            self._asked.discard((server, action))
            if self.is_attached:
                self.asked(server, None)

    def _say_what_stuck(self, snapshot: EngineSnapshot) -> None:
        """A key that changed nothing is answered, where its row looks as before."""
        for now in snapshot.servers:
            before = self._stuck.get(now.name)
            if before is None or now.since == before.since or now.state in _UNDER_WAY:
                continue
            del self._stuck[now.name]
            if (now.state, now.summary) == (before.state, before.summary):
                toast(self, still(now), "warning")


def still(server: ServerSnapshot) -> str:
    """Why an action left a server as it was, one sentence."""
    if server.missing:
        return f"{server.name} still waits for {', '.join(server.missing)}."
    if server.transport is None:
        return f"{server.name} has a fault in the config; correct it there."
    return f"{server.name} is still {server.state.word}: {server.summary}".rstrip(": ") + "."
