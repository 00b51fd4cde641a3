"""What all dialogs share: a titled box over the screen that esc leaves."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen

from mcpmux_tui.ui.keymap import set_anew
from mcpmux_tui.ui.tasks import Tasks

T = TypeVar("T")


def key_line(keys: str) -> Content:
    """Keys with what they do, such as "ctrl+s Save  esc Back", as the last line of a box."""
    parts = (part.partition(" ") for part in keys.split("  "))
    return Content("  ").join(
        Content.assemble((key, "bold $primary"), (f" {label}", "$foreground"))
        for key, _, label in parts
    )


class Dialog(ModalScreen[T]):
    """A box over the screen; esc and q leave it, and what it asked the engine ends with it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back", id="dialog.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.tasks = Tasks(self)

    def pressed(self, keys: str) -> Content:
        """A line such as "ctrl+s Save  esc Back", with the keys that the person set anew."""
        return key_line(set_anew(self, keys))

    async def on_unmount(self) -> None:
        """Forget what is still asked."""
        await self.tasks.stop()

    def action_back(self) -> None:
        """Leave without a result."""
        self.dismiss(None)
