"""The last line: what the keys do for what is under the cursor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from mcpmux_tui.ui.keys import HELP, TYPING, WHERE_IT_APPLIES, Context, Key, label, refusal

_GAP = 2


@dataclass(frozen=True, slots=True)
class Hint:
    """One key as the line shows it."""

    key: Key
    shown: str
    label: str
    enabled: bool

    @property
    def width(self) -> int:
        """Cells it takes."""
        return len(self.shown) + 1 + len(self.label)


def hints(keys: Iterable[Key], context: Context, width: int) -> tuple[Hint, ...]:
    """The keys that fit: shorter labels first, then fewer, grey ones first; never without `?`."""
    pressed = context.pressed
    if context.typing:
        return tuple(Hint(key, pressed(key), key.label, True) for key in TYPING)
    placed = sorted((key for key in keys if key.footer is not None), key=lambda k: k.footer or 0)
    chosen = [
        Hint(key, pressed(key), label(key, context), enabled)
        for key in placed
        if (enabled := not refusal(key, context)) or key not in WHERE_IT_APPLIES
    ]
    if _width(chosen) > width:
        chosen = [replace(hint, label=hint.key.short or hint.label) for hint in chosen]
    for spare in sorted(chosen, key=lambda hint: (hint.enabled, hint.key.keep)):
        if _width(chosen) > width and spare.key is not HELP:
            chosen.remove(spare)
    return tuple(chosen)


def _width(chosen: list[Hint]) -> int:
    return sum(hint.width + _GAP for hint in chosen)


Shown = tuple[tuple[Key, ...], Context]


class KeyBar(Widget):
    """Keys with labels that follow the cursor; each can be clicked."""

    ALLOW_SELECT = False

    shown: reactive[Shown] = reactive(((), Context()), repaint=False)
    """The keys of the screen, and what decides about them."""

    def watch_shown(self, before: Shown, now: Shown) -> None:
        """Draw anew where the line says otherwise: a call of a server changes none of it."""
        width = self.size.width
        if hints(*before, width) != hints(*now, width):
            self.refresh()

    def render(self) -> Content:
        parts: list[Content] = []
        for hint in hints(*self.shown, self.size.width):
            key_style, label_style = ("bold $primary", "") if hint.enabled else ("$muted", "$muted")
            parts.append(
                Content.assemble((f" {hint.shown} ", key_style), (hint.label + " ", label_style))
            )
        return Content("").join(parts)

    @dataclass
    class Pressed(Message):
        """This key was clicked."""

        key: Key

    def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        event.stop()
        start = 0
        for hint in hints(*self.shown, self.size.width):
            end = start + hint.width + _GAP
            if start <= event.x < end:
                self.post_message(self.Pressed(hint.key))
                return
            start = end
