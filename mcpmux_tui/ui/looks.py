"""Applies what the person chose about the screen: theme, signs, motion, keys."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import replace

from textual.app import App
from textual.filter import Monochrome, NoColor
from textual.signal import Signal

from mcpmux_tui.model.settings import GlyphChoice, UiChange, UiSettings
from mcpmux_tui.text import one_line
from mcpmux_tui.ui.keymap import checked
from mcpmux_tui.ui.status import ASCII, UNICODE, Glyphs, glyphs_for_terminal
from mcpmux_tui.ui.theme import THEMES, chosen

_NAME = 40


class Looks:
    """What is in use; `tell` follows the config, `choose` a key that was pressed just now.

    `theme`, `glyphs` and `animated` are what is used unless the person says otherwise; None: what
    fits the terminal.
    """

    def __init__(
        self, app: App[int], *, theme: str | None, glyphs: Glyphs | None, animated: bool | None
    ) -> None:
        self._app = app
        self._told = UiSettings()
        self._fitting_theme = theme
        self._fitting_glyphs = glyphs or glyphs_for_terminal()
        self._motion = "none" if animated is False else app.animation_level
        self._unknown_theme = ""
        self._about_keys: tuple[str, ...] = ()
        self.glyphs = replace(self._fitting_glyphs)
        """The signs in use; the object stays the same when others are chosen."""
        self.glyph_choice: GlyphChoice = "auto"
        self.animations = True
        self.changed: Signal[None] = Signal(app, "looks")
        app.set_class(app.no_color, "-no-color")
        for each in THEMES:
            app.register_theme(each)
        self._use_theme("")
        self._use_glyphs("auto")
        self._use_animations(True)

    @property
    def motionless(self) -> bool:
        """Whether nothing moves whatever is chosen here."""
        return self._motion == "none"

    @property
    def problems(self) -> tuple[str, ...]:
        """What of the config cannot be done, a sentence each."""
        return (*filter(None, (self._unknown_theme,)), *self._about_keys)

    def tell(self, settings: UiSettings) -> None:
        """Apply what changed in the config; what was chosen since, and not there, stays."""
        before, self._told = self._told, settings
        if settings.theme != before.theme:
            self._use_theme(settings.theme)
        if settings.glyphs != before.glyphs:
            self._use_glyphs(settings.glyphs)
        if settings.animations != before.animations:
            self._use_animations(settings.animations)
        if settings.keys != before.keys:
            keymap, self._about_keys = checked(settings.keys, self._app)
            self._app.set_keymap(keymap)

    def choose(self, change: UiChange) -> None:
        """Apply what a person has just chosen."""
        if change.theme is not None:
            self._use_theme(change.theme)
        if change.glyphs is not None:
            self._use_glyphs(change.glyphs)
        if change.animations is not None:
            self._use_animations(change.animations)

    def _use_theme(self, wish: str) -> None:
        app = self._app
        known = app.available_themes
        colours = app.console.color_system
        self._unknown_theme = _unknown(wish, known) if wish and wish not in known else ""
        if wish not in known and self._fitting_theme:
            wish = self._fitting_theme
        app.theme = chosen(wish, known, colours, os.environ)

    def _use_glyphs(self, choice: GlyphChoice) -> None:
        self.glyph_choice = choice
        fitting = {"unicode": UNICODE, "ascii": ASCII}.get(choice, self._fitting_glyphs)
        self.glyphs.become(fitting)
        self._app.set_class(fitting.ascii, "-ascii")
        for screen in self._app.screen_stack if self._app.is_running else ():
            for node in screen.query("*"):
                node.refresh(layout=True)

    def _use_animations(self, wanted: bool) -> None:
        self.animations = wanted
        self._app.animation_level = self._motion if wanted else "none"


def _unknown(theme: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(theme[:_NAME], known, 1)
    hint = f"did you mean `{near[0]}`?" if near else "ctrl+t shows those there are."
    return f"There is no theme `{one_line(theme, _NAME)}`; {hint}"


def filter_colours(app: App[int]) -> None:
    """Under NO_COLOR: greys where the colours are ours, none where they are the terminal's."""
    if app.no_color:
        kept = [each for each in app._filters if not isinstance(each, (Monochrome, NoColor))]
        app._filters = [*kept, NoColor() if app.native_ansi_color else Monochrome()]
