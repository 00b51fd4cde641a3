"""`m`: a server's secrets in plain text, moved from the config to the keyring."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import ServerSnapshot
from mcpmux_tui.ui.content import line, plain
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.engine import Engine


class SecureDialog(Dialog[None]):
    """Says what would be moved, moves it, and undoes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "move", "Move", show=False),
        Binding("u", "undo", "Undo", id="secure.undo"),
    ]

    def __init__(self, engine: Engine, server: ServerSnapshot) -> None:
        super().__init__()
        self._engine = engine
        self._server = server
        self._moving = False
        self._moved = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = line(f"Secrets of {self._server.name}")
            box.border_subtitle = self.pressed("enter Move  esc Back")
            yield Static(self._question(), id="said", markup=False)

    def _question(self) -> Content:
        found = [warning for warning in self._server.warnings if "in plain text" in warning]
        return Content("\n\n").join(
            [
                *(plain(each.partition(";")[0] + ".") for each in found),
                plain(
                    "They are kept in the keyring, and the config refers to them by name. Its"
                    " comments stay. Other copies of the file hold them still."
                ),
            ]
        )

    def action_move(self) -> None:
        """Move them."""
        if not self._moving:
            self._moving = True
            self.tasks.start(self._move())

    async def _move(self) -> None:
        try:
            names = (await self._engine.secure(self._server.name)).names
        except McpmuxError as error:
            self._moving = False
            self._say(plain(str(error), "$error"), "enter Try again  esc Back")
            return
        self._moved = True
        said = f"Moved: {', '.join(names)}. The config says ${{secret:{names[0]}}} now."
        self._say(plain(said, "$success"), "u Undo  esc Done")

    def action_undo(self) -> None:
        """Put them back."""
        if self._moved:
            self._moved = False
            self.tasks.start(self._undo())

    async def _undo(self) -> None:
        try:
            await self._engine.undo_secure()
        except McpmuxError as error:
            self._say(plain(str(error), "$error"), "esc Back")
            return
        self._say(Content("The config is as it was before."), "esc Back")

    def _say(self, content: Content, keys: str) -> None:
        self.query_one("#said", Static).update(content)
        self.query_one(".box", Vertical).border_subtitle = self.pressed(keys)
