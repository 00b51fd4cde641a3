"""`6`: how mcpmux is set up, what of the screen can be chosen, and every key with its id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mcpmux_tui.control.protocol import Keeping
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import EngineSnapshot
from mcpmux_tui.model.settings import GlyphChoice, UiChange
from mcpmux_tui.paths import shown as shown_path
from mcpmux_tui.ui.content import fit, line
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.dialogs.entry import Copy, EntryDialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.keymap import Bound, contexts, display, settable, shown
from mcpmux_tui.ui.looks import Looks
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.choices import Choices

_NAME, _ID, _KEY = 12, 22, 14
_NEXT: dict[GlyphChoice, GlyphChoice] = {"auto": "unicode", "unicode": "ascii", "ascii": "auto"}
_GLYPHS: dict[GlyphChoice, str] = {
    "auto": "what the terminal can draw",
    "unicode": "always",
    "ascii": "always",
}


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
    def option(self) -> Option:
        """The line as it is drawn."""
        if not self.value:
            note = Content.assemble("  ", (self.note, "$muted")) if self.note else ""
            return Option(Content.assemble((self.name, "bold $primary"), note), disabled=True)
        value = line(self.value, "bold" if self.choice else "")
        space = " " * max(2, _KEY - value.cell_length)
        note = Content.assemble(space, line(self.note, "$muted")) if self.note else ""
        return Option(Content.assemble(fit(self.name, self.width), value, note))


class SettingsRows(Choices):
    """The lines."""


class SettingsDialog(Dialog[None]):
    """Looks them through; enter changes what can be chosen, and copies the rest."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "entry", "Copy entry", id="copy.item"),
        Binding("6", "back", "Back", show=False, id="go.settings"),
    ]

    def __init__(
        self,
        engine: Engine,
        looks: Looks,
        *,
        state: Path,
        copy: Copy,
        snapshot: Callable[[], EngineSnapshot | None],
        choose: Callable[[UiChange], None],
        pick_theme: Callable[[], object],
    ) -> None:
        super().__init__()
        self._engine = engine
        self._looks = looks
        self._state = state
        self._copy = copy
        self._snapshot = snapshot
        self._choose = choose
        self._pick_theme = pick_theme
        self._keeping: Keeping | str = ""
        self._rows: list[Row] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Settings"
            yield Static("", id="said", markup=False)
            yield SettingsRows(markup=False)

    def on_mount(self) -> None:
        """Show them, and ask what is not known here."""
        self.query_one(SettingsRows).focus()
        self._looks.changed.subscribe(self, lambda _: self._show())
        self._show()
        self.tasks.start(self._ask())

    async def _ask(self) -> None:
        try:
            self._keeping = await self._engine.keeping()
        except McpmuxError as error:
            self._keeping = error.message
        self._show()

    def _show(self) -> None:
        keys = "enter Change or copy  y Copy entry  esc Back"
        self.query_one(".box").border_subtitle = self.pressed(keys)
        self._say_problems()
        rows = self.query_one(SettingsRows)
        lines = list(self._lines(shown(self).get("copy.item", "y")))
        if lines == self._rows:
            return
        place = rows.highlighted
        self._rows = lines
        rows.clear_options()
        rows.add_options(row.option for row in lines)
        rows.highlighted = place or 1

    def _say_problems(self) -> None:
        snapshot = self._snapshot()
        problems = snapshot.warnings if snapshot is not None else ()
        said = self.query_one("#said", Static)
        said.update(Content("\n").join(line(each, "$warning") for each in problems))
        said.display = bool(problems)

    def _lines(self, copy: str) -> Iterator[Row]:
        snapshot = self._snapshot()
        if snapshot is not None:
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
        yield Row("State", shown_path(self._state), copies=str(self._state))
        match self._keeping:
            case str() as trouble:
                yield Row("Secrets", trouble or f"looking{self._looks.glyphs.ellipsis}")
            case Keeping(keeps=keeps) if keeps:
                yield Row("Secrets", keeps, "by backend in [vault]")
            case Keeping(passing=why):
                yield Row("Secrets", "not kept", why or "for this session only")
        yield Row("Version", snapshot.version or "unknown")

    def _screen_lines(self) -> Iterator[Row]:
        looks = self._looks
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
    async def _act(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        row = self._rows[event.option_index]
        looks = self._looks
        match row:
            case Row(choice="theme"):
                self._pick_theme()
            case Row(choice="glyphs"):
                self._choose(UiChange(glyphs=_NEXT[looks.glyph_choice]))
            case Row(choice="animations"):
                self._choose(UiChange(animations=not looks.animations))
            case Row(copies=text) if text:
                toast(self, f"{text} is {await self._copy(text)}.")

    def action_entry(self) -> None:
        """Pick a client and copy its entry."""
        self.app.push_screen(EntryDialog(self._engine, self._copy, self._looks.glyphs))
