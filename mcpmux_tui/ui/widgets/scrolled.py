"""Text that is longer than its place, with the keys of the list to scroll it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll

from mcpmux_tui.ui.keys import MOVES


class Scrolled(VerticalScroll, can_focus=True):
    """Scrolls with the keys that move the cursor in the list."""

    ALLOW_MAXIMIZE = True
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in MOVES]

    def action_down(self) -> None:
        """Scroll a line on."""
        self.scroll_down(animate=False)

    def action_up(self) -> None:
        """Scroll a line back."""
        self.scroll_up(animate=False)

    def action_first(self) -> None:
        """Scroll to the top."""
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        """Scroll to the end."""
        self.scroll_end(animate=False)

    def action_page_down(self) -> None:
        """Scroll half a page on."""
        self.scroll_relative(y=self.size.height // 2, animate=False)

    def action_page_up(self) -> None:
        """Scroll half a page back."""
        self.scroll_relative(y=-(self.size.height // 2), animate=False)
