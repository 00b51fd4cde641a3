"""The logs of all servers, in one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.widget import Widget

from mcpmux_tui.ui.keys import LOG_KEYS, TOP_LEVEL, Context, Key, layered
from mcpmux_tui.ui.screens.page import Page
from mcpmux_tui.ui.widgets.log_view import LogView

HINT = "text to find: n next, N before; !text leaves out lines"


class LogsScreen(Page):
    """What every server wrote, and what mcpmux says of it, as it comes."""

    NAME = "logs"
    HINT = HINT
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in TOP_LEVEL]
    LAYERS = (layered(LOG_KEYS, TOP_LEVEL),)

    def body(self) -> Iterable[Widget]:
        yield LogView(self.door)

    @property
    def keys(self) -> tuple[Key, ...]:
        return self.LAYERS[0]

    @property
    def context(self) -> Context:
        return self.base_context(following=self.query_one(LogView).following)

    @property
    def home(self) -> Widget:
        return self.query_one(LogView).lines

    def target(self, key: Key) -> DOMNode:
        return self.query_one(LogView) if key in LOG_KEYS else self

    def filter(self, text: str) -> None:
        self.query_one(LogView).filter(text)

    @on(LogView.Moved)
    def _moved(self, event: LogView.Moved) -> None:
        event.stop()
        self.show_keys()
