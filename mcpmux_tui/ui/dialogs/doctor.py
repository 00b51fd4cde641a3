"""`w`: why a server is red, checked in order, with the one key that mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.control.protocol import Check
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.server import ServerSnapshot
from mcpmux_tui.ui.content import fit, line, plain
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.keys import CONNECT, EDIT, EDITOR, VALUES
from mcpmux_tui.ui.status import Glyphs
from mcpmux_tui.ui.widgets.scrolled import Scrolled

_MARK, _NAME = 6, 14
_MENDS = (CONNECT, VALUES, EDIT, EDITOR)


class DoctorDialog(Dialog[None]):
    """Looks, and says what it found; the key it names mends that, as it does on the row."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(replace(key.binding, action=f"mend('{key.id}')") for key in _MENDS),
        Binding("r", "again", "Again", id="doctor.again"),
    ]

    def __init__(
        self,
        engine: Engine,
        server: ServerSnapshot,
        glyphs: Glyphs,
        *,
        mend: Callable[[Mend | None], None],
    ) -> None:
        """`mend` is told what to do; None: what the row suggests."""
        super().__init__()
        self._engine = engine
        self._server = server
        self._glyphs = glyphs
        self._mend = mend
        self._offered: Mend | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = line(f"Why is {self._server.name} {self._server.state.word}?")
            box.border_subtitle = self.pressed(self._keys())
            with Scrolled(id="fields"):
                yield Static("", id="text", markup=False)

    def _keys(self) -> str:
        """What can be pressed; what mends the check that failed comes first."""
        action = self._server.action
        labels = {CONNECT.id: action.label} if action is not None else {}
        if self._server.transport is not None:
            labels[EDIT.id] = EDIT.label
        if self._offered is not None:
            labels[self._offered.key] = self._offered.label
        first = self._offered.key if self._offered is not None else CONNECT.id
        keys = sorted((key for key in _MENDS if key.id in labels), key=lambda key: key.id != first)
        mends = "".join(f"{key.shown} {labels[key.id]}  " for key in keys)
        return f"{mends}r Again  esc Back"

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
        self._offered = next((each.mend for each in found.checks if each.mend), None)
        self.query_one(".box", Vertical).border_subtitle = self.pressed(self._keys())

    def action_mend(self, key: str) -> None:
        """Leave, and do what a key says."""
        if self._offered is not None and self._offered.key == key:
            mend: Mend | None = self._offered
        elif key == CONNECT.id and self._server.action is not None:
            mend = None
        elif key == EDIT.id:
            mend = Mend.EDIT
        else:
            return
        self.dismiss(None)
        self.app.call_later(self._mend, mend)


def _told(check: Check) -> Content:
    mark, style = ("ok  ", "$success") if check.ok else ("FAIL", "bold $error")
    head = Content.assemble(
        (mark, style), "  ", (fit(check.name, _NAME), "bold"), plain(check.said)
    )
    if not check.fix:
        return head
    fix = (Content(" " * _MARK) + row for row in plain(check.fix, "$warning").split())
    return Content("\n").join([head, *fix])
