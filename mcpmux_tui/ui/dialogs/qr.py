"""An address as a picture for a camera (ISO/IEC 18004)."""

from __future__ import annotations

from itertools import zip_longest

import segno
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.status import Glyphs

_QUIET = 2
"""Light modules around; the standard wants 4, cameras take 2."""
_INK = "#000000 on #ffffff"
_HALVES = {(1, 1): "\u2588", (1, 0): "\u2580", (0, 1): "\u2584", (0, 0): " "}


class QrDialog(Dialog[None]):
    """Shows the picture, or how large the window would have to be."""

    def __init__(self, address: str, glyphs: Glyphs) -> None:
        super().__init__()
        self._picture = picture(address, ascii_only=glyphs.ascii)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Scan it"
            box.border_subtitle = self.pressed("esc Back")
            yield Static("", id="picture", markup=False)

    def on_mount(self) -> None:
        """Draw it."""
        self._draw()

    def on_resize(self) -> None:
        """Draw it anew: it may fit now, or no longer."""
        self._draw()

    def _draw(self) -> None:
        lines = self._picture.plain.split("\n")
        # The box takes a line above and below, and two cells at either side.
        width, height = len(lines[0]) + 4, len(lines) + 2
        window = self.app.size
        fits = width <= window.width and height <= window.height
        self.query_one("#picture", Static).update(
            self._picture
            if fits
            else Content(
                f"The picture needs {width} columns and {height} lines;\n"
                f"this window has {window.width} and {window.height}."
            )
        )


def picture(address: str, *, ascii_only: bool) -> Content:
    """The address in dark and light cells: two modules a cell, or two cells a module."""
    rows = [
        list(row)
        for row in segno.make_qr(address, error="l", boost_error=False).matrix_iter(border=_QUIET)
    ]
    if ascii_only:
        return Content("\n").join(
            Content.assemble(*(("  ", "on #000000" if dark else "on #ffffff") for dark in row))
            for row in rows
        )
    light = [0] * len(rows[0])
    lines = (
        "".join(_HALVES[min(upper, 1), min(lower, 1)] for upper, lower in zip(*pair, strict=True))
        for pair in zip_longest(rows[::2], rows[1::2], fillvalue=light)
    )
    return Content("\n").join(Content.styled(each, _INK) for each in lines)
