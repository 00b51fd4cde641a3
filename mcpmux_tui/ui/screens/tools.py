"""The tools of all servers, in one list that can be searched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.widget import Widget

from mcpmux_tui.model.server import EngineSnapshot
from mcpmux_tui.ui.keys import ITEM_KEYS, TOP_LEVEL, Context, Key, layered
from mcpmux_tui.ui.screens.page import Page
from mcpmux_tui.ui.widgets.catalog import Catalog


class ToolsScreen(Page):
    """Find a tool wherever it is, try it, hide it from clients."""

    NAME = "tools"
    HINT = "part of a server, a name or a description; !text shows the others"
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in TOP_LEVEL]
    LAYERS = (layered(ITEM_KEYS, TOP_LEVEL),)

    def body(self) -> Iterable[Widget]:
        yield Catalog(self.door)

    @property
    def keys(self) -> tuple[Key, ...]:
        return self.LAYERS[0]

    @property
    def context(self) -> Context:
        item = self.query_one(Catalog).selected
        server = None if item is None else self.door.server(item.server)
        return self.base_context(server, item)

    @property
    def home(self) -> Widget:
        return self.query_one(Catalog).lines

    def target(self, key: Key) -> DOMNode:
        return self.query_one(Catalog) if key in ITEM_KEYS else self

    def filter(self, text: str) -> None:
        self.query_one(Catalog).filter(text)

    def show(self, snapshot: EngineSnapshot) -> None:
        self.query_one(Catalog).show()
        super().show(snapshot)

    @on(Catalog.Moved)
    def _moved(self, event: Catalog.Moved) -> None:
        event.stop()
        self.show_keys()
