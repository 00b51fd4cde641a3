"""Asks before clients lose their servers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class QuitDialog(ModalScreen[bool]):
    """True: quit now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "answer(True)", "Quit now"),
        Binding("escape", "answer(False)", "Stay"),
    ]

    def __init__(self, clients: int) -> None:
        super().__init__()
        self._clients = clients

    def compose(self) -> ComposeResult:
        are = "1 client is" if self._clients == 1 else f"{self._clients} clients are"
        with Vertical(classes="box") as box:
            box.border_title = "Quit mcpmux?"
            yield Static(Content(f"{are} connected."), markup=False)
            yield Static(
                Content.assemble(
                    ("q", "bold $primary"), " Quit now   ", ("esc", "bold $primary"), " Stay"
                ),
                classes="keys",
                markup=False,
            )

    def action_answer(self, quit_now: bool) -> None:
        """Close with an answer."""
        self.dismiss(quit_now)
