"""`w`: why a server is red, checked in order, with the one key that mends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.control.protocol import Check
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import ServerSnapshot
from mcpmux_tui.ui.content import fit, line, plain
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.status import Glyphs
from mcpmux_tui.ui.widgets.scrolled import Scrolled

_MARK, _NAME = 6, 12


class DoctorDialog(Dialog[None]):
    """Looks, and says what it found; `c` does what the row suggests."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "suggested", "Mend", id="doctor.suggested"),
        Binding("e", "edit", "Edit", id="doctor.edit"),
        Binding("r", "again", "Again", id="doctor.again"),
    ]

    def __init__(
        self,
        engine: Engine,
        server: ServerSnapshot,
        glyphs: Glyphs,
        *,
        suggested: Callable[[], None],
        edit: Callable[[], None],
    ) -> None:
        super().__init__()
        self._engine = engine
        self._server = server
        self._glyphs = glyphs
        self._suggested = suggested
        self._edit = edit

    def compose(self) -> ComposeResult:
        action = self._server.action
        with Vertical(classes="box") as box:
            box.border_title = line(f"Why is {self._server.name} {self._server.state.word}?")
            key = f"c {action.label}  " if action is not None else ""
            box.border_subtitle = self.pressed(f"{key}e Edit  r Again  esc Back")
            with Scrolled(id="fields"):
                yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        """Look."""
        self.query_one("#fields").focus()
        self.action_again()

    def action_again(self) -> None:
        """Look once more."""
        self.query_one("#text", Static).update(line(f"Looking{self._glyphs.ellipsis}", "$muted"))
        self.tasks.start(self._look())

    async def _look(self) -> None:
        text = self.query_one("#text", Static)
        try:
            found = await self._engine.doctor(self._server.name)
        except McpmuxError as error:
            text.update(plain(str(error), "$error"))
            return
        text.update(Content("\n").join(map(_told, found.checks)))

    def action_suggested(self) -> None:
        """Leave, and do what the row suggests."""
        if self._server.action is not None:
            self.dismiss(None)
            self.app.call_later(self._suggested)

    def action_edit(self) -> None:
        """Leave, and edit the entry."""
        self.dismiss(None)
        self.app.call_later(self._edit)


def _told(check: Check) -> Content:
    mark, style = ("ok  ", "$success") if check.ok else ("FAIL", "bold $error")
    head = Content.assemble(
        (mark, style), "  ", (fit(check.name, _NAME), "bold"), plain(check.said)
    )
    if not check.fix:
        return head
    fix = (Content(" " * _MARK) + row for row in plain(check.fix, "$warning").split())
    return Content("\n").join([head, *fix])
