"""Asks before a server goes; where somebody is signed in, for its name."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from mcpmux_tui.model.server import ServerSnapshot
from mcpmux_tui.ui.content import line, plain
from mcpmux_tui.ui.dialogs.confirm import ConfirmDialog
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.widgets.plain_input import PlainInput

_VALUES = "Values in the keyring stay: other servers may use them; S shows who does."


class DeleteDialog(ConfirmDialog):
    """Names what goes."""

    def __init__(self, server: ServerSnapshot) -> None:
        sign_in = "" if server.transport == "stdio" else " What is kept of a sign-in goes too."
        super().__init__(
            f"Delete {server.name}?",
            f"Its entry goes from the config, with the comments in it.{sign_in} {_VALUES}",
            key="delete",
            yes="Delete",
            no="Keep it",
        )


class DeleteByNameDialog(Dialog[bool]):
    """Names what goes, and takes the name as the yes: a sign-in cannot be put back."""

    def __init__(self, server: ServerSnapshot) -> None:
        super().__init__()
        self._server = server

    def compose(self) -> ComposeResult:
        server = self._server
        who = f" of {server.account}" if server.account else ""
        with Vertical(classes="box") as box:
            box.border_title = line(f"Delete {server.name}?")
            box.border_subtitle = self.pressed("enter Delete  esc Keep it")
            yield Static(
                plain(
                    "Its entry goes from the config, with the comments in it. The sign-in"
                    f"{who} ends: the tokens are revoked and deleted. {_VALUES}\n\n"
                    "Type its name to delete it:"
                ),
                markup=False,
            )
            yield PlainInput()
            wrong = Static("", id="wrong", markup=False)
            wrong.display = False
            yield wrong

    def on_mount(self) -> None:
        """Begin where the name is typed."""
        self.query_one(PlainInput).focus()

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip() == self._server.name:
            self.dismiss(True)
            return
        wrong = self.query_one("#wrong", Static)
        wrong.update(plain(f"That is not {self._server.name}. Nothing was deleted.", "$error"))
        wrong.display = True
