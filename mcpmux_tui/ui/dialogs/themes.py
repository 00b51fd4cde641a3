"""`ctrl+t`: the themes; the screen shows the one under the cursor."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mcpmux_tui.model.server import Health
from mcpmux_tui.ui.content import fit
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.status import STYLES, Glyphs
from mcpmux_tui.ui.theme import THEMES
from mcpmux_tui.ui.widgets.choices import Choices

_NOTES = {
    "mcpmux-dark": "the default",
    "mcpmux-light": "for light rooms",
    "mcpmux-cb-dark": "blue and orange, no red or green",
    "mcpmux-cb-light": "the same, light",
    "ansi-dark": "the terminal's own colours",
    "ansi-light": "the same, on a light terminal",
}
_NAME = 24
_SETTLE = 0.06
"""A key that is held down passes themes by: with many servers each takes its time."""
_SAMPLE = (Health.CONNECTED, Health.CONNECTING, Health.NEEDS_SIGN_IN, Health.FAILED, Health.IDLE)


class ThemeNames(Choices):
    """The names."""


class ThemeDialog(Dialog[str]):
    """Ends with the name of a theme; esc brings the former one back."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._before = ""
        self._looking: Timer | None = None
        self._names: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        self._before = self.app.theme
        own = [*(theme.name for theme in THEMES), "ansi-dark", "ansi-light"]
        others = sorted(name for name in self.app.available_themes if name not in own)
        self._names = (*own, *others)
        with Vertical(classes="box") as box:
            box.border_title = "Theme"
            box.border_subtitle = self.pressed("enter Use it  esc Back")
            yield Static(self._sample(), markup=False)
            yield ThemeNames(*(Option(_told(name)) for name in self._names), markup=False)

    def on_mount(self) -> None:
        """Begin with the one in use."""
        names = self.query_one(ThemeNames)
        names.highlighted = self._names.index(self._before)
        names.focus()

    def _sample(self) -> Content:
        states = [
            Content.styled(f"{self._glyphs.state(state)} {state.word}", STYLES[state])
            for state in _SAMPLE
        ]
        return Content("  ").join(states)

    @on(OptionList.OptionHighlighted)
    def _look(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._look_no_more()
        name = self._names[event.option_index]
        self._looking = self.set_timer(_SETTLE, lambda: self._show(name))

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.stop()

    def _show(self, name: str) -> None:
        self.app.theme = name

    @on(OptionList.OptionSelected)
    def _use(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self._names[event.option_index])

    def action_back(self) -> None:
        """Leave all as it was."""
        self._look_no_more()
        self.app.theme = self._before
        self.dismiss(None)


def _told(name: str) -> Content:
    return Content.assemble(fit(name, _NAME), (_NOTES.get(name, ""), "$muted"))
