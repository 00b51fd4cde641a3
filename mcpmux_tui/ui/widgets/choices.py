"""A list to choose from, with the keys of the servers' list to move in it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import OptionList

from mcpmux_tui.ui.keys import MOVES


class Choices(OptionList):
    """Options; the keys that move the cursor elsewhere move it here too."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in MOVES]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Not by pages before the list is laid out: that is a KeyError in Textual."""
        if action in ("page_down", "page_up") and not self.scrollable_content_region:
            return False
        return super().check_action(action, parameters)

    def action_down(self) -> None:
        """Move to the next option."""
        self.action_cursor_down()

    def action_up(self) -> None:
        """Move to the option before."""
        self.action_cursor_up()
