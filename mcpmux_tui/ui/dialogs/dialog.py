"""What all dialogs share: a titled box over the screen that esc leaves."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen

from mcpmux_tui.ui.keymap import set_anew
from mcpmux_tui.ui.tasks import Tasks

T = TypeVar("T")


class Leaving(ModalScreen[T]):
    """Leaves once, and only itself: Textual's `dismiss` takes away whatever is on top.

    A key may come twice, and an answer while another dialog is over this one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._result: T | None = None
        self._leaves = self._left = False

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Leave with a result; under another dialog, as soon as that has left."""
        if not self._leaves:
            self._result, self._leaves = result, True
        if self._left or not self.is_active:
            return AwaitComplete()
        self._left = True
        return super().dismiss(self._result)

    def on_screen_resume(self) -> None:
        """Leave now if it was to be."""
        if self._leaves:
            self.dismiss()


class Dialog(Leaving[T]):
    """A box over the screen; esc and q leave it, and what it asked the engine ends with it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back", id="dialog.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.tasks = Tasks(self)

    def pressed(self, keys: str) -> Content:
        """A line such as "ctrl+s Save  esc Back", with the keys that the person set anew."""
        return Content(set_anew(self, keys))

    async def on_unmount(self) -> None:
        """Forget what is still asked."""
        await self.tasks.stop()

    def action_back(self) -> None:
        """Leave without a result."""
        self.dismiss(None)
