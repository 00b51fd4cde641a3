"""Which rights to ask for, of those a server offers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection

from mcpmux_tui.ui.content import line
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.choices import Choices


class ScopeList(SelectionList[str], Choices):
    """Scopes; space picks, enter goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.use", "Ask for these", show=False),
    ]


class ScopesDialog(Dialog[tuple[str, ...]]):
    """The scopes to ask for."""

    def __init__(self, offered: tuple[str, ...], asked: tuple[str, ...]) -> None:
        super().__init__()
        self._offered = offered
        self._asked = asked

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Scopes"
            box.border_subtitle = self.pressed("space Pick  enter Ask for these  esc Back")
            yield Static("What may mcpmux do in your name?", markup=False)
            yield ScopeList(
                *(Selection(line(scope), scope, scope in self._asked) for scope in self._offered)
            )

    def on_mount(self) -> None:
        """Begin with the keyboard on the list."""
        self.query_one(ScopeList).focus()

    def action_use(self) -> None:
        """Ask for what is picked."""
        picked = self.query_one(ScopeList).selected
        if not picked:
            toast(self, "Pick at least one: a sign-in has to ask for something.", "warning")
            return
        self.dismiss(tuple(scope for scope in self._offered if scope in picked))
