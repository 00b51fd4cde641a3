"""What all dialogs share: a titled box over the screen that esc leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget

from mcpmux_tui.ui.keymap import set_anew
from mcpmux_tui.ui.tasks import Tasks

T = TypeVar("T")
_FRAME = 6
"""Cells of a box's last line that are not for keys."""


def key_line(keys: str) -> Content:
    """Keys with what they do, such as "ctrl+s Save  esc Back", as the last line of a box."""
    parts = (part.partition(" ") for part in keys.split("  "))
    return Content("  ").join(
        Content.assemble((key, "bold $primary"), (f" {label}", "$foreground"))
        for key, _, label in parts
    )


class Leaving(ModalScreen[T]):
    """Leaves once, and only itself: Textual's `dismiss` takes away whatever is on top.

    A key may come twice, and an answer while another dialog is over this one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._result: T | None = None
        self._leaves = self._gone = False

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Leave with a result; under another dialog, as soon as that has left."""
        if not self._leaves:
            self._result, self._leaves = result, True
        if self._gone or not self.is_active:
            return AwaitComplete()
        self._gone = True
        return super().dismiss(self._result)

    def on_screen_resume(self) -> None:
        """Leave now if it was to be."""
        if self._leaves:
            self.dismiss()


class Dialog(Leaving[T]):
    """A box over the screen; esc and q leave it, and what it asked the engine ends with it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back", id="dialog.back"),
        # Before the field: what is typed right behind the key is for the next one.
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.tasks = Tasks(self)
        self._pressed = ""

    def pressed(self, keys: str) -> Content:
        """A line such as "ctrl+s Save  esc Back", with the keys that the person set anew.

        Where they do not fit, the first give way: what matters most comes last.
        """
        self._pressed = keys
        parts = set_anew(self, keys).split("  ")
        room = next((box.outer_size.width for box in self.query(".box")), 0) - _FRAME
        while room > 0 and len(parts) > 1 and len("  ".join(parts)) > room:
            del parts[0]
        return key_line("  ".join(parts))

    def on_resize(self) -> None:
        """Show the keys that fit now."""
        self.once_laid_out(self._fit_keys)

    def once_laid_out(self, draw: Callable[[], None]) -> None:
        """Draw when all has its size; not where another screen took the dialog's place by then."""
        self.call_after_refresh(lambda: draw() if self.is_active else None)

    def _fit_keys(self) -> None:
        for box in self.query(".box"):
            box.border_subtitle = self.pressed(self._pressed)

    def begin_in(self, row: Widget, editor: Widget) -> None:
        """Give the keyboard to a field, with its name in view once all is laid out."""
        editor.focus(scroll_visible=False)
        row.call_after_refresh(row.scroll_visible, animate=False)

    async def on_unmount(self) -> None:
        """Forget what is still asked."""
        await self.tasks.stop()

    def action_back(self) -> None:
        """Leave without a result."""
        self.dismiss(None)
