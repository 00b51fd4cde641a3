"""A line of names, one of them chosen; each can be clicked."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class Tab:
    """One name of the line."""

    id: str
    label: str
    key: str = ""
    """Shown before the label."""

    @property
    def text(self) -> str:
        """As it is drawn."""
        return f" {self.key} {self.label} " if self.key else f" {self.label} "


class TabStrip(Widget):
    """Screens, or the parts of one."""

    ALLOW_SELECT = False

    tabs: reactive[tuple[Tab, ...]] = reactive(())
    chosen: reactive[str] = reactive("")

    @dataclass
    class Picked(Message):
        """This tab was clicked."""

        strip: TabStrip
        id: str

        @property
        def control(self) -> TabStrip:
            """What selectors of handlers mean."""
            return self.strip

    def render(self) -> Content:
        return Content("").join(
            Content.styled(tab.text, "bold $primary reverse")
            if tab.id == self.chosen
            else Content.styled(tab.text, "$muted")
            for tab in self.tabs
        )

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        event.stop()
        start = 0
        for tab in self.tabs:
            end = start + cell_len(tab.text)
            if start <= event.x < end:
                self.post_message(self.Picked(self, tab.id))
                return
            start = end
