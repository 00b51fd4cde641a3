"""One server closely: what it is, what it offers, what it wrote, and its entry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.dom import DOMNode
from textual.widget import Widget
from textual.widgets import Static

from mcpmux_tui.control.protocol import Entry, LogSearch, ValueField
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import EngineSnapshot, ServerSnapshot
from mcpmux_tui.ui.content import clock_time, counted, fit, line, plain
from mcpmux_tui.ui.door import Door
from mcpmux_tui.ui.keys import ITEM_KEYS, LOG_KEYS, SERVER_PAGE, Context, Key, layered
from mcpmux_tui.ui.screens.logs import HINT
from mcpmux_tui.ui.screens.page import Go
from mcpmux_tui.ui.screens.server_page import ServerPage
from mcpmux_tui.ui.widgets.catalog import Catalog
from mcpmux_tui.ui.widgets.detail import Block
from mcpmux_tui.ui.widgets.facts import facts
from mcpmux_tui.ui.widgets.log_view import LogView
from mcpmux_tui.ui.widgets.scrolled import Scrolled
from mcpmux_tui.ui.widgets.tab_strip import Tab, TabStrip

_KINDS = {"tools": Kind.TOOLS, "prompts": Kind.PROMPTS, "resources": Kind.RESOURCES}
_TABS = ("overview", *_KINDS, "logs", "config")
_NAME = 32
_LAST = 12
"""Lines of the log on the first tab."""
_ORIGINS = {
    "environment": "from the environment",
    "stored": "kept",
    "default": "its default",
    "": "missing",
}


class ServerScreen(ServerPage):
    """Six tabs on one server."""

    NAME = "servers"
    HINT = HINT
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in SERVER_PAGE]
    LAYERS = tuple(layered(inner, SERVER_PAGE) for inner in ((), ITEM_KEYS, LOG_KEYS))

    def __init__(self, door: Door, server: str, tab: str) -> None:
        super().__init__(door)
        self._server = server
        self._tab = tab

    def body(self) -> Iterable[Widget]:
        yield Static("", id="server-title", markup=False)
        yield TabStrip(id="tabs")
        yield Scrolled(Block(id="facts"), Block(id="recent"), id="overview")
        yield Catalog(self.door, self._server)
        yield LogView(self.door, self._server)
        yield Scrolled(Block(id="entry"), Block(id="values"), id="config")

    def on_mount(self) -> None:
        """Show the tab that was asked for."""
        self._show_tab()
        super().on_mount()
        self.set_interval(1.0, self._show_facts)

    @property
    def keys(self) -> tuple[Key, ...]:
        return layered(self._inner, SERVER_PAGE)

    @property
    def _inner(self) -> tuple[Key, ...]:
        if self._tab in _KINDS:
            return ITEM_KEYS
        return LOG_KEYS if self._tab == "logs" else ()

    @property
    def context(self) -> Context:
        item = self.query_one(Catalog).selected if self._tab in _KINDS else None
        following = self.query_one(LogView).following
        return self.base_context(self.selected, item, following=following)

    @property
    def home(self) -> Widget:
        if self._tab in _KINDS:
            return self.query_one(Catalog).lines
        return self.query_one(LogView).lines if self._tab == "logs" else self._pane

    @property
    def selected(self) -> ServerSnapshot | None:
        return self.door.server(self._server)

    @property
    def _pane(self) -> Widget:
        """What the tab shows."""
        if self._tab in _KINDS:
            return self.query_one(Catalog)
        return self.query_one(LogView) if self._tab == "logs" else self.query_one(f"#{self._tab}")

    def target(self, key: Key) -> DOMNode:
        return self._pane if key in self._inner else self

    def filter(self, text: str) -> None:
        pane = self._pane
        if isinstance(pane, Catalog | LogView):
            pane.filter(text)

    def show(self, snapshot: EngineSnapshot) -> None:
        if self.selected is None and not self.door.ended:
            # It was removed from the config.
            self.post_message(Go("servers"))
            return
        self._show_tabs()
        self._show_facts()
        self.query_one(Catalog).show()
        super().show(snapshot)

    def _show_facts(self) -> None:
        if (server := self.selected) is None:
            return
        live = not self.door.ended
        shown = facts(self, server, self.door.glyphs, self.door.clock(), live=live)
        self.query_one("#server-title", Static).update(shown[0])
        proxy = self.door.snapshot.proxy.url if self.door.snapshot is not None else None
        if proxy and live:
            shown.append(
                line(f"clients get it alone, under its own names: {proxy}/{server.name}", "$muted")
            )
        if server.calls:
            shown.append(line(f"{counted(server.calls, 'call')} since it started", "$muted"))
        self.query_one("#facts", Block).show(Content("\n").join(shown[1:]))

    def _show_tabs(self) -> None:
        server = self.selected
        counts = {} if server is None else {
            "tools": server.tools, "prompts": server.prompts, "resources": server.resources
        }  # fmt: skip
        strip = self.query_one("#tabs", TabStrip)
        strip.tabs = tuple(
            Tab(
                name, f"{name.capitalize()} {counts[name]}" if name in counts else name.capitalize()
            )
            for name in _TABS
        )
        strip.chosen = self._tab

    def _show_tab(self) -> None:
        for pane in (self.query_one(Catalog), self.query_one(LogView)):
            pane.display = pane is self._pane
        for name in ("overview", "config"):
            self.query_one(f"#{name}").display = name == self._tab
        if self._tab in _KINDS:
            self.query_one(Catalog).show_kind(_KINDS[self._tab])
        elif self._tab == "overview":
            self.work.start(self._recent())
        elif self._tab == "config":
            self.work.start(self._config())
        self._show_tabs()
        self.show_keys()

    def open_tab(self, tab: str) -> None:
        """Show another tab."""
        self._tab = tab
        self._show_tab()
        self.set_focus(self.home)

    def action_tab(self, step: int) -> None:
        """Show the tab beside this one."""
        self.open_tab(_TABS[(_TABS.index(self._tab) + step) % len(_TABS)])

    @on(TabStrip.Picked, "#tabs")
    def _picked_tab(self, event: TabStrip.Picked) -> None:
        event.stop()
        self.open_tab(event.id)

    @on(Catalog.Moved)
    @on(LogView.Moved)
    def _moved(self, event: Catalog.Moved | LogView.Moved) -> None:
        event.stop()
        self.show_keys()

    async def _recent(self) -> None:
        """The last lines of the log."""
        try:
            search = LogSearch(server=self._server, limit=_LAST)
            found = (await self.door.engine.logs(search)).lines
        except McpmuxError as error:
            self.query_one("#recent", Block).show(plain(str(error), "$error"))
            return
        lines = [Content.assemble("\n", ("Last lines of its log", "bold $primary"))]
        lines += [
            Content.assemble((clock_time(each.time), "$muted"), "  ", line(each.text))
            for each in found
        ]
        self.query_one("#recent", Block).show(Content("\n").join(lines if found else []))

    async def _config(self) -> None:
        """The entry, and where its values come from."""
        engine = self.door.engine
        try:
            entry = await engine.entry(self._server)
            values = (await engine.values(self._server)).fields
        except McpmuxError as error:
            self.query_one("#entry", Block).show(plain(str(error), "$error"))
            return
        self.query_one("#entry", Block).show(_entry(entry))
        self.query_one("#values", Block).show(_values(values))


def _entry(entry: Entry) -> Content:
    where = f"{entry.path}, line {entry.line}" if entry.line is not None else entry.path
    return Content("\n").join([line(where, "$muted"), Content(), plain(entry.text.strip())])


def _values(fields: tuple[ValueField, ...]) -> Content:
    if not fields:
        return Content()
    lines = [Content.assemble("\n", ("Values", "bold $primary"), ("  n changes one", "$muted"))]
    width = min(_NAME, max(len(each.name) for each in fields))
    lines += [
        Content.assemble(
            (fit(each.name, width), "bold"),
            "  ",
            (_ORIGINS[each.origin], "$muted" if each.origin else "$warning"),
        )
        for each in fields
    ]
    return Content("\n").join(lines)
