"""What all screens share: the first lines, the filter, the keys, and the way between screens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from mcpmux_tui.control.protocol import ItemLine
from mcpmux_tui.model.server import EngineSnapshot, ProxySnapshot, ServerSnapshot
from mcpmux_tui.ui.commands import Commands
from mcpmux_tui.ui.dialogs.answer import AnswerDialog
from mcpmux_tui.ui.dialogs.help import HelpDialog
from mcpmux_tui.ui.dialogs.secrets import SecretsDialog
from mcpmux_tui.ui.door import Door
from mcpmux_tui.ui.keymap import shown
from mcpmux_tui.ui.keys import ANSWER, COPY_URL, FILTER, SECRETS, Context, Key, refusal
from mcpmux_tui.ui.tasks import Tasks
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.banner import Banner
from mcpmux_tui.ui.widgets.filter_bar import FilterBar
from mcpmux_tui.ui.widgets.header import Header
from mcpmux_tui.ui.widgets.key_bar import KeyBar
from mcpmux_tui.ui.widgets.tab_strip import Tab, TabStrip

SCREENS = (
    Tab("servers", "Servers", "1"),
    Tab("tools", "Tools", "2"),
    Tab("logs", "Logs", "4"),
    Tab("settings", "Settings", "6"),
)
"""The screens that digits lead to; other digits are those of screens to come."""


@dataclass
class Go(Message):
    """Show another screen."""

    screen: str


@dataclass
class GoToServer(Message):
    """Put the cursor on a server at home, once there is a row of it."""

    server: str


@dataclass
class OpenServer(Message):
    """Show one server closely."""

    server: str
    tab: str


class Page(Screen[None]):
    """One screen of the program."""

    NAME: ClassVar[str]
    """Which of SCREENS it is, or belongs to."""
    LAYERS: ClassVar[tuple[tuple[Key, ...], ...]] = ()
    """The keys that mean something together, one after another."""
    HINT: ClassVar[str] = "part of a line; !text shows the others"
    COMMANDS = {Commands}  # noqa: RUF012 - Textual types it
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (9, "-low"), (20, "-high")]  # noqa: RUF012

    def __init__(self, door: Door) -> None:
        super().__init__()
        self.door = door
        self.work = Tasks(self)

    def compose(self) -> ComposeResult:
        yield Header(self.door.glyphs)
        strip = TabStrip(id="screens")
        strip.tabs, strip.chosen = SCREENS, self.NAME
        yield strip
        yield Banner()
        yield from self.body()
        yield FilterBar(self.HINT)
        yield KeyBar()
        yield Static(
            "This window is too small: mcpmux needs 60 columns and 9 lines. q quits.",
            id="too-small",
            markup=False,
        )

    def body(self) -> Iterable[Widget]:
        """What is between the first lines and the last."""
        raise NotImplementedError

    @property
    def keys(self) -> tuple[Key, ...]:
        """Those that mean something now, innermost first."""
        raise NotImplementedError

    @property
    def context(self) -> Context:
        """What decides about keys now."""
        raise NotImplementedError

    @property
    def home(self) -> Widget:
        """What has the keyboard when nothing else wants it."""
        raise NotImplementedError

    def filter(self, text: str) -> None:
        """Show what matches."""
        raise NotImplementedError

    def target(self, key: Key) -> DOMNode:
        """What does what a key means."""
        return self

    def on_mount(self) -> None:
        """Begin with the keyboard at home, and what is known."""
        self.set_focus(self.home)
        if self.door.snapshot is not None:
            self.show(self.door.snapshot)

    async def on_unmount(self) -> None:
        """Stop asking the engine."""
        await self.work.stop()

    def show(self, snapshot: EngineSnapshot) -> None:
        """Show what the engine says now."""
        ended = self.door.ended
        self.query_one(Header).show(_without_counts(snapshot) if ended else snapshot)
        self.query_one(Banner).show(snapshot, ended=ended)
        self.show_keys()

    def base_context(
        self,
        server: ServerSnapshot | None = None,
        item: ItemLine | None = None,
        *,
        following: bool = True,
    ) -> Context:
        """What decides about keys on any screen."""
        snapshot = self.door.snapshot
        return Context(
            server,
            item,
            engine=not self.door.ended,
            any_server=bool(self.door.servers),
            typing=isinstance(self.focused, Input),
            owner=self.door.owner,
            leftovers=snapshot is not None and bool(snapshot.leftovers),
            questions=snapshot is not None and bool(snapshot.questions),
            address=snapshot is not None and snapshot.proxy.url is not None,
            following=following,
            set_anew=shown(self),
            matching=bool(self.query_one(FilterBar).text),
        )

    def show_keys(self) -> None:
        """Show what the keys mean now."""
        self.query_one(KeyBar).shown = (self.keys, self.context)

    def on_descendant_focus(self) -> None:
        """A field for text takes the keys to itself."""
        self.show_keys()

    def on_descendant_blur(self) -> None:
        """A field for text gives the keys back."""
        self.show_keys()

    def on_resize(self) -> None:
        """Take the keyboard from what a small window hides, and give it back."""
        self.call_after_refresh(self._keep_focus)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key acts on what is not seen; quitting is the app's."""
        return not self._too_small

    @property
    def _too_small(self) -> bool:
        return self.has_class("-tiny") or self.has_class("-flat")

    def _keep_focus(self) -> None:
        if self._too_small:
            self.set_focus(None)
        elif self.focused is None:
            self.set_focus(self.home)

    def refused(self, key: Key) -> bool:
        """Whether a key does nothing now; then it is said why."""
        if why := refusal(key, self.context):
            toast(self, why, "warning")
        return bool(why)

    def do(self, key: Key) -> None:
        """Do what a key does."""
        target = self.target(key)

        async def act() -> None:
            await self.app.run_action(key.action, target)

        target.call_later(act)

    @on(KeyBar.Pressed)
    def _pressed(self, event: KeyBar.Pressed) -> None:
        event.stop()
        self.do(event.key)

    @on(Header.AddressClicked)
    def _address_clicked(self, event: Header.AddressClicked) -> None:
        event.stop()
        self.action_copy_url()

    @on(TabStrip.Picked, "#screens")
    def _picked(self, event: TabStrip.Picked) -> None:
        event.stop()
        self.action_go(event.id)

    def go_to(self, server: str) -> None:
        """Show a server."""
        self.post_message(OpenServer(server, "overview"))

    def action_go(self, screen: str) -> None:
        """Show another screen."""
        self.post_message(Go(screen))

    def action_filter(self) -> None:
        """Type what to show."""
        if not self.refused(FILTER):
            self.query_one(FilterBar).open()

    def action_keep_filter(self) -> None:
        """Leave the filter as it is."""
        self.query_one(FilterBar).keep()

    @on(FilterBar.Changed)
    def _filter(self, event: FilterBar.Changed) -> None:
        event.stop()
        self.filter(event.text)
        self.show_keys()

    @on(FilterBar.Left)
    def _left_filter(self, event: FilterBar.Left) -> None:
        event.stop()
        self.set_focus(self.home)

    def action_back(self) -> None:
        """Clear the filter, else go home."""
        bar = self.query_one(FilterBar)
        if isinstance(self.focused, Input) or bar.text:
            bar.clear()
            self.set_focus(self.home)
        else:
            self.post_message(Go("servers"))

    def action_maximise(self) -> None:
        """Give the focused pane all the room, or show everything again."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(HelpDialog(self.keys, self.context))

    def action_secrets(self) -> None:
        """Show the kept values."""
        if not self.refused(SECRETS):
            self.app.push_screen(SecretsDialog(self.door.engine))

    def action_answer(self) -> None:
        """Answer what a server asks: that under the cursor, else the one that waits longest."""
        snapshot, selected = self.door.snapshot, self.context.server
        if self.refused(ANSWER) or snapshot is None:
            return
        questions = sorted(
            snapshot.questions,
            key=lambda each: (selected is None or each.server != selected.name, each.since),
        )
        self.app.push_screen(AnswerDialog(self.door.engine, questions[0], self.door.copy))

    def action_copy_url(self) -> None:
        """Copy the proxy's address."""
        if self.refused(COPY_URL) or self.door.snapshot is None:
            return
        self.copy(self.door.snapshot.proxy.url or "", "The proxy's address")

    def copy(self, text: str, what: str) -> None:
        """Copy a text and say so."""
        self.work.start(self._copy(text, what))

    async def _copy(self, text: str, what: str) -> None:
        toast(self, f"{what} is {await self.door.copy(text)}.")


def _without_counts(snapshot: EngineSnapshot) -> EngineSnapshot:
    gone = ProxySnapshot(pid=snapshot.proxy.pid)
    return snapshot.model_copy(update={"servers": (), "proxy": gone})
