"""`6`: how mcpmux is set up, what of the screen can be chosen, and every key with its id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from mcpmux_tui.control.protocol import Keeping
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import EngineSnapshot
from mcpmux_tui.model.settings import GlyphChoice, UiChange
from mcpmux_tui.paths import shown as shown_path
from mcpmux_tui.ui.content import fit, line
from mcpmux_tui.ui.dialogs.entry import EntryDialog
from mcpmux_tui.ui.door import Door
from mcpmux_tui.ui.keymap import Bound, contexts, display, settable, shown
from mcpmux_tui.ui.keys import CHANGE, COPY, TOP_LEVEL, Context, Key, layered
from mcpmux_tui.ui.screens.page import Page
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.choices import Choices
from mcpmux_tui.ui.widgets.filter_bar import matches

_NAME, _ID, _KEY = 12, 22, 14
_NEXT: dict[GlyphChoice, GlyphChoice] = {"auto": "unicode", "unicode": "ascii", "ascii": "auto"}
_GLYPHS: dict[GlyphChoice, str] = {
    "auto": "what the terminal can draw",
    "unicode": "always",
    "ascii": "always",
}


@dataclass
class Choose(Message):
    """Use this from now on, and remember it."""

    change: UiChange


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what it is, how it stands, and what enter does about it."""

    name: str
    """Bold where there is nothing else: what stands below."""
    value: str = ""
    note: str = ""
    copies: str = ""
    """What enter puts into the clipboard."""
    choice: str = ""
    """What enter changes: "theme", "glyphs" or "animations"."""
    width: int = _NAME

    @property
    def text(self) -> str:
        """What a filter looks at."""
        return f"{self.name}\n{self.value}\n{self.note}"

    @property
    def option(self) -> Option:
        """The line as it is drawn."""
        if not self.value:
            note = Content.assemble("  ", (self.note, "$muted")) if self.note else ""
            above = "\n" if self.note else ""
            head = Content.assemble(above, (self.name, "bold $primary"), note)
            return Option(head, disabled=True)
        value = line(self.value, "bold" if self.choice else "")
        space = " " * max(2, _KEY - value.cell_length)
        note = Content.assemble(space, line(self.note, "$muted")) if self.note else ""
        return Option(Content.assemble(fit(self.name, self.width), value, note))


class SettingsRows(Choices):
    """The lines."""


class SettingsScreen(Page):
    """Looks them through; enter changes what can be chosen, and copies the rest."""

    NAME = "settings"
    HINT = "part of a line; !text shows the others"
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in (CHANGE, COPY, *TOP_LEVEL)]
    LAYERS = (layered((CHANGE, COPY), TOP_LEVEL),)

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._keeping: Keeping | str = ""
        self._query = ""
        self._rows: list[Row] = []

    def body(self) -> Iterable[Widget]:
        yield SettingsRows(markup=False)

    @property
    def keys(self) -> tuple[Key, ...]:
        return self.LAYERS[0]

    @property
    def context(self) -> Context:
        return self.base_context()

    @property
    def home(self) -> Widget:
        return self.query_one(SettingsRows)

    def filter(self, text: str) -> None:
        self._query = text
        self._draw()

    def on_mount(self) -> None:
        """Show them, and ask what is not known here."""
        super().on_mount()
        self.door.looks.changed.subscribe(self, lambda _: self._draw())
        self._draw()
        self.work.start(self._ask())

    async def _ask(self) -> None:
        try:
            self._keeping = await self.door.engine.keeping()
        except McpmuxError as error:
            self._keeping = error.message
        self._draw()

    def _draw(self) -> None:
        rows = self.query_one(SettingsRows)
        lines = [
            row
            for row in self._lines(shown(self).get(COPY.id, COPY.shown))
            if not self._query or (row.value and matches(row.text, self._query))
        ]
        if lines == self._rows:
            return
        place = rows.highlighted
        self._rows = lines
        rows.clear_options()
        rows.add_options(row.option for row in lines)
        rows.highlighted = min(place or 1, len(lines) - 1) if lines else None

    def _lines(self, copy: str) -> Iterator[Row]:
        if (snapshot := self.door.snapshot) is not None:
            yield Row("mcpmux")
            yield from self._engine_lines(snapshot, copy)
        yield Row("Screen", note="kept under [ui] in the config")
        yield from self._screen_lines()
        yield Row("Keys", note="enter copies the line to change, for [keys] in the config")
        for bound in sorted(settable(contexts(self.app)).values(), key=lambda each: each.id):
            yield self._key_line(bound)

    def _engine_lines(self, snapshot: EngineSnapshot, copy: str) -> Iterator[Row]:
        proxy = snapshot.proxy
        change = "by port in [proxy], or --port"
        if proxy.url:
            yield Row("Address", proxy.url, change, copies=proxy.url)
        else:
            yield Row("Address", "none: it does not listen", change)
        token = f"{copy} copies a client's entry with it" if proxy.auth else "--no-auth is on"
        yield Row("Token", "needed" if proxy.auth else "not needed", token)
        yield Row("Config", shown_path(Path(snapshot.config_path)), copies=snapshot.config_path)
        yield Row("State", shown_path(self.door.state), copies=str(self.door.state))
        match self._keeping:
            case str() as trouble:
                yield Row("Secrets", trouble or f"looking{self.door.glyphs.ellipsis}")
            case Keeping(keeps=keeps) if keeps:
                yield Row("Secrets", keeps, "by backend in [vault]")
            case Keeping(passing=why):
                yield Row("Secrets", "not kept", why or "for this session only")
        yield Row("Version", snapshot.version or "unknown")

    def _screen_lines(self) -> Iterator[Row]:
        looks = self.door.looks
        yield Row("Theme", self.app.theme, "enter shows them all", choice="theme")
        glyphs = looks.glyph_choice
        yield Row("Glyphs", glyphs, _GLYPHS[glyphs], choice="glyphs")
        if looks.motionless:
            yield Row("Animations", "off", "by TEXTUAL_ANIMATIONS")
        else:
            yield Row("Animations", "on" if looks.animations else "off", choice="animations")

    def _key_line(self, bound: Bound) -> Row:
        set_anew = self.app._keymap.get(bound.id, "")
        keys = tuple(set_anew.split(",")) if set_anew else bound.keys
        pressed = " ".join(map(display, keys))
        entry = f"{json.dumps(bound.id)} = {json.dumps(display(keys[0]))}"
        return Row(bound.id, pressed, bound.label, copies=entry, width=_ID)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_change()

    def action_change(self) -> None:
        """Change what can be chosen, and copy the rest."""
        place = self.query_one(SettingsRows).highlighted
        row = self._rows[place] if place is not None else Row("")
        looks = self.door.looks
        match row:
            case Row(choice="theme"):
                self.call_later(self.run_action, "app.choose_theme")
            case Row(choice="glyphs"):
                self.post_message(Choose(UiChange(glyphs=_NEXT[looks.glyph_choice])))
            case Row(choice="animations"):
                self.post_message(Choose(UiChange(animations=not looks.animations)))
            case Row(copies=text) if text:
                self.copy(text, text)
            case _:
                toast(self, "Nothing can be changed here.", "warning")

    def action_copy_entry(self) -> None:
        """Pick a client and copy its entry."""
        if not self.refused(COPY):
            self.app.push_screen(EntryDialog(self.door.engine, self.door.copy, self.door.glyphs))
