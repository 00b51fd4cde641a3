"""The keys, by group; those that would do nothing now are grey and say why."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.text import one_line
from mcpmux_tui.ui.content import fit
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.keys import LEFTOVERS, MOVES, Context, Key, explanation, label, refusal
from mcpmux_tui.ui.widgets.scrolled import Scrolled

_GROUPS = ("Find", "mcpmux", "Item", "Log", "Server", "Servers", "Set up", "Screens")
_GROUP, _KEY, _LABEL = 9, 7, 15
_LEAST = 20
"""Cells; keys that were set anew may need more."""


class HelpDialog(Dialog[None]):
    """What every key does here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "back", "Help", show=False, id="app.help"),
    ]

    def __init__(self, keys: tuple[Key, ...], context: Context) -> None:
        super().__init__()
        self._keys = keys
        self._keys_for = context
        longest = max((len(context.pressed(key)) for key in keys), default=0)
        self._key = max(_KEY, longest + 1)
        self._left = _LEAST

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Keys"
            box.border_subtitle = self.pressed("esc Back")
            with Scrolled():
                yield Static("", id="keys", markup=False)

    def on_resize(self) -> None:
        """Wrap to the width there is."""
        self.once_laid_out(self._draw)

    def _draw(self) -> None:
        self._left = self.query_one("#keys").size.width - _GROUP - self._key - _LABEL
        self.query_one("#keys", Static).update(self._text())

    def _text(self) -> Content:
        note = Content.styled(
            "Arrows, home, end and page keys move too; tab goes to the other pane.", "$muted"
        )
        return Content("\n").join([*self._moves(), *self._rows(), Content(), note])

    def _rows(self) -> list[Content]:
        rows: list[Content] = []
        for group in _GROUPS:
            shown = [key for key in self._keys if key.group == group]
            if not self._keys_for.leftovers and LEFTOVERS in shown:
                # There hardly ever are any; the banner names the key when there are.
                shown.remove(LEFTOVERS)
            for place, key in enumerate(shown):
                rows.append(self._row(group if place == 0 else "", key))
        return rows

    def _row(self, group: str, key: Key) -> Content:
        why = refusal(key, self._keys_for)
        about = one_line(why or explanation(key, self._keys_for))
        rows = textwrap.wrap(about, max(_LEAST, self._left))
        indent = " " * (_GROUP + self._key + _LABEL)
        return Content.assemble(
            (fit(group, _GROUP), "bold"),
            (fit(self._keys_for.pressed(key), self._key), "$muted" if why else "bold $primary"),
            (fit(label(key, self._keys_for), _LABEL), "$muted" if why else ""),
            (f"\n{indent}".join(rows), "$muted"),
        )

    def _moves(self) -> list[Content]:
        pressed = self._keys_for.pressed
        pairs = zip(MOVES[::2], MOVES[1::2], strict=True)
        return [
            Content.assemble(
                (fit("Move" if place == 0 else "", _GROUP), "bold"),
                (fit(f"{pressed(one)} {pressed(other)}", self._key + _LABEL), "bold $primary"),
                (f"{one.help}, {other.help}", "$muted"),
            )
            for place, (one, other) in enumerate(pairs)
        ]
