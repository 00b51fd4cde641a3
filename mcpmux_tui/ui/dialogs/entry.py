"""`y`: the entry one client needs, copied."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mcpmux_tui.control.protocol import ClientEntry
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.ui.content import line, mask, plain, whole
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.door import Copy
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.status import Glyphs
from mcpmux_tui.ui.widgets.choices import Choices
from mcpmux_tui.ui.widgets.scrolled import Scrolled

REVEAL = 10.0
"""Seconds a token stays in clear."""
_MARKS = "123456789"


class ClientList(Choices):
    """Clients by name; enter means one even before they are there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.copy", "Copy", show=False),
    ]


class EntryDialog(Dialog[None]):
    """Pick a client; its entry is copied and shown with the token hidden."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "reveal", "Show the token", id="entry.reveal"),
        *(Binding(mark, f"pick({place})", show=False) for place, mark in enumerate(_MARKS)),
    ]

    def __init__(self, engine: Engine, copy: Copy, glyphs: Glyphs) -> None:
        super().__init__()
        self._engine = engine
        self._copy = copy
        self._glyphs = glyphs
        self._clients: tuple[str, ...] = ()
        self._entry: ClientEntry | None = None
        self._hasty = False
        self._choosing = True
        self._revealed = False
        self._hiding: Timer | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Client entry"
            box.border_subtitle = self.pressed("enter Copy  esc Back")
            yield Static("Which client? Its entry is copied.", id="said", markup=False)
            yield ClientList(markup=False)
            with Scrolled(id="entry"):
                yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        """Ask which clients there are."""
        self.query_one("#entry").display = False
        self.tasks.start(self._offer())

    async def _offer(self) -> None:
        try:
            choices = (await self._engine.client_choices()).clients
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
            return
        options = self.query_one(OptionList)
        marks = _MARKS + " " * len(choices)
        options.add_options(
            Option(Content.assemble((f"{mark}  ", "$muted"), line(title)))
            for mark, (_, title) in zip(marks, choices, strict=False)
        )
        self._clients = tuple(key for key, _ in choices)
        options.highlighted = 0 if choices else None
        options.focus()
        if self._hasty:
            self.action_pick(0)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_pick(event.option_index)

    def action_copy(self) -> None:
        """Pick the client under the cursor; before there are any, the first."""
        place = self.query_one(OptionList).highlighted
        if place is None:
            self._hasty = True
        else:
            self.action_pick(place)

    def action_pick(self, place: int) -> None:
        """Pick by number."""
        if self._choosing and place < len(self._clients):
            self._choosing = False
            self.tasks.start(self._show(self._clients[place]))

    async def _show(self, client: str) -> None:
        try:
            entry = await self._engine.client_entry(client)
        except McpmuxError as error:
            self._choosing = True
            self._say(plain(str(error), "$error"))
            return
        self._entry = entry
        self.query_one(OptionList).display = False
        scroll = self.query_one("#entry", Scrolled)
        scroll.display = True
        scroll.focus()
        if self._masked(entry) != entry.text:
            self._set_revealed(False)
        else:
            self.query_one(".box").border_subtitle = self.pressed("esc Back")
            self._draw()
        said = await self._copy(entry.text)
        self._say(
            Content.assemble(
                line(entry.title, "bold"),
                (f": {said}.\n", "bold $success"),
                "It goes to ",
                line(entry.where, "$primary"),
            )
        )

    def _say(self, content: Content) -> None:
        self.query_one("#said", Static).update(content)

    def _draw(self) -> None:
        if self._entry is not None:
            shown = self._entry.text if self._revealed else self._masked(self._entry)
            self.query_one("#text", Static).update(whole(shown))

    def _masked(self, entry: ClientEntry) -> str:
        return mask(entry.text, self._glyphs.hidden)

    def action_reveal(self) -> None:
        """Show the token in clear for a while, or hide it again."""
        if self._entry is not None and self._masked(self._entry) != self._entry.text:
            self._set_revealed(not self._revealed)

    def _set_revealed(self, revealed: bool) -> None:
        self._revealed = revealed
        if self._hiding is not None:
            self._hiding.stop()
            self._hiding = None
        if revealed:
            self._hiding = self.set_timer(REVEAL, lambda: self._set_revealed(False))
        self.query_one(".box").border_subtitle = self.pressed(
            "s Hide the token  esc Back" if revealed else "s Show the token  esc Back"
        )
        self._draw()
