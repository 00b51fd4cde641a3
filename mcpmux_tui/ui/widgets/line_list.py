"""A long list of lines, of which only those in view are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from mcpmux_tui.ui.keys import MOVES
from mcpmux_tui.ui.status import Glyphs

T = TypeVar("T")
Draw = Callable[[T, int], Content]
"""Draws one item in so many cells."""


_UPRIGHT = Style(reverse=False)


@lru_cache(4_096)
def _placed(style: Style, x: int) -> RichStyle:
    """The style of a piece of text, with where it begins: what is selected is found by that.

    As `Visual.to_strips` has it, but the same for all lines: their escape codes are made once.
    """
    return style.rich_style_with_offset(x, 0)


class LineList(ScrollView, Generic[T], can_focus=True):
    """Items of one line each, with a cursor on one of them."""

    ALLOW_MAXIMIZE = True
    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-list--line", "line-list--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [key.binding for key in MOVES]

    @dataclass
    class Moved(Message):
        """The cursor is on another item; `by_person`: it was moved there, not the list."""

        by_person: bool

    @dataclass
    class Chosen(Message):
        """The item under the cursor was double-clicked."""

        index: int

    def __init__(self, draw: Draw[T], glyphs: Glyphs, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._draw = draw
        self._glyphs = glyphs
        self._items: Sequence[T] = ()
        self._cursor = 0

    @property
    def items(self) -> Sequence[T]:
        """What is listed."""
        return self._items

    @property
    def cursor(self) -> int:
        """The place of the cursor."""
        return self._cursor

    @property
    def selected(self) -> T | None:
        """The item under the cursor."""
        return self._items[self._cursor] if self._cursor < len(self._items) else None

    @property
    def at_end(self) -> bool:
        """Whether the cursor is on the last item."""
        return self._cursor >= len(self._items) - 1

    @property
    def line_width(self) -> int:
        """The cells of one item, beside the cursor's sign."""
        return max(0, self.scrollable_content_region.width - 1)

    @property
    def in_view(self) -> range:
        """The places of the items that are seen."""
        top = self.scroll_offset.y
        return range(top, min(top + self.size.height, len(self._items)))

    def show(self, items: Sequence[T], cursor: int) -> None:
        """List these, the cursor on the item of this place."""
        self._items = items
        self.virtual_size = Size(0, len(items))
        self._cursor = max(0, min(cursor, len(items) - 1))
        self.refresh()
        self._keep_in_view()
        self.post_message(self.Moved(False))

    def move_to(self, index: int) -> None:
        """Put the cursor on the item of this place."""
        if not self._items:
            self._cursor = max(0, index)  # For what is still to come.
            return
        index = max(0, min(index, len(self._items) - 1))
        if index != self._cursor:
            before, self._cursor = self._cursor, index
            self.refresh_line(before)
            self.refresh_line(index)
            self._keep_in_view()
            self.post_message(self.Moved(True))

    def replace(self, items: Sequence[T]) -> None:
        """List these instead of as many others; what looks different is to be drawn anew."""
        self._items = items

    def redraw(self) -> None:
        """Draw what is in view anew."""
        self.refresh()

    def _keep_in_view(self) -> None:
        if self._items:
            self.scroll_to_region(Region(0, self._cursor, 1, 1), animate=False, x_axis=False)

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self.call_after_refresh(self._keep_in_view)

    def render_line(self, y: int) -> Strip:
        """One line of the view."""
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        style = self.get_visual_style(*self.parts(y))
        if index >= len(self._items):
            return Strip.blank(width, style.background_style.rich_style)
        sign = self._glyphs.cursor if index == self._cursor else " "
        drawn = self._draw(self._items[index], max(0, width - 1))
        whole = Content.assemble((sign, "$primary"), drawn)
        content = whole.split()[0].expand_tabs().truncate(width, ellipsis=True)
        segments, x = [], 0
        for text, own in content.render(style, end=""):
            segments.append(Segment(text, _placed(own, x)))
            x += len(text)
        return Strip(segments).extend_cell_length(width, (style + _UPRIGHT).rich_style)

    def parts(self, y: int) -> Sequence[str]:
        """The component classes of a line of the view."""
        if self._items and y + self.scroll_offset.y == self._cursor:
            return ("line-list--line", "line-list--cursor")
        return ("line-list--line",)

    def action_down(self) -> None:
        """Move to the next item."""
        self.move_to(self._cursor + 1)

    def action_up(self) -> None:
        """Move to the item before."""
        self.move_to(self._cursor - 1)

    def action_first(self) -> None:
        """Move to the first item."""
        self.move_to(0)

    def action_last(self) -> None:
        """Move to the last item."""
        self.move_to(len(self._items) - 1)

    def action_page_down(self) -> None:
        """Move half a page on."""
        self.move_to(self._cursor + max(1, self.size.height // 2))

    def action_page_up(self) -> None:
        """Move half a page back."""
        self.move_to(self._cursor - max(1, self.size.height // 2))

    def on_click(self, event: events.Click) -> None:
        """Take the keyboard."""
        index = event.y + self.scroll_offset.y
        if index < len(self._items):
            event.stop()
            self.focus()
            self.clicked(index, event)

    def clicked(self, index: int, event: events.Click) -> None:
        """Move the cursor here; a second click chooses the item."""
        self.move_to(index)
        if event.chain > 1:
            self.post_message(self.Chosen(index))
