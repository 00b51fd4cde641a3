"""Where a person types or pastes an entry."""

from __future__ import annotations

from textual import events
from textual.geometry import Offset
from textual.widgets import Input, TextArea

from mcpmux_tui.ui.keyboard import lines


class PlainInput(Input):
    """One line; what stands in it is not replaced by the first key."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text, select_on_focus=False)


class PlainArea(TextArea):
    """Several lines, as many as there are; in one with `once`, enter goes on to the next field."""

    def __init__(self, text: str = "", *, once: bool = False, placeholder: str = "") -> None:
        super().__init__(text, compact=True, highlight_cursor_line=False, placeholder=placeholder)
        self.once = once

    def scroll_cursor_visible(self, center: bool = False, animate: bool = False) -> Offset:
        """Scroll to the cursor, where there is a line of it.

        Textual looks for it also amid an undo, whose text is shorter than before.
        """
        if self.cursor_location[0] >= self.document.line_count:
            return Offset()
        return super().scroll_cursor_visible(center, animate)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self.move_cursor(self.replace(lines(event.text), *self.selection).end_location)
