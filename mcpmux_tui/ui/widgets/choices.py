"""A list to choose from, with the keys of the servers' list to move in it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import OptionList

from mcpmux_tui.ui.keys import MOVES


class Choices(OptionList):
    """Options; the keys that move the cursor elsewhere move it here too."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in MOVES]

    def action_down(self) -> None:
        """Move to the next option."""
        self.action_cursor_down()

    def action_up(self) -> None:
        """Move to the option before."""
        self.action_cursor_up()
