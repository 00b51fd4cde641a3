"""The last line: what the keys do for the server under the cursor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from mcpmux_tui.ui.keys import (
    CONNECT,
    COPY,
    FILTER,
    FOOTER,
    IMPORT,
    LOG_OUT,
    PALETTE,
    QUIT,
    RESTART,
    TOGGLE,
    TYPING,
    Context,
    Key,
    label,
    refusal,
)

_GAP = 2
_GIVE_WAY = (PALETTE, IMPORT, LOG_OUT, FILTER, QUIT, COPY, TOGGLE, RESTART, CONNECT)


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


def hints(context: Context, width: int) -> tuple[Hint, ...]:
    """The keys that fit: shorter labels first, then fewer, grey ones first; never without `?`."""
    pressed = context.pressed
    if context.typing:
        return tuple(Hint(k, pressed(k), k.label, True) for k in TYPING)
    full = [Hint(k, pressed(k), label(k, context), not refusal(k, context)) for k in FOOTER]
    chosen = full
    if _width(chosen) > width:
        chosen = [replace(hint, label=hint.key.short or hint.label) for hint in full]
    for spare in sorted(_GIVE_WAY, key=lambda k: not refusal(k, context)):
        if _width(chosen) > width:
            chosen = [hint for hint in chosen if hint.key is not spare]
    return tuple(chosen)


def _width(chosen: list[Hint]) -> int:
    return sum(hint.width + _GAP for hint in chosen)


class KeyBar(Widget):
    """Keys with labels that follow the row; each can be clicked."""

    ALLOW_SELECT = False

    context: reactive[Context] = reactive(Context(None))

    def render(self) -> Content:
        parts: list[Content] = []
        for hint in hints(self.context, self.size.width):
            key_style, label_style = ("bold $primary", "") if hint.enabled else ("$muted", "$muted")
            parts.append(
                Content.assemble((f" {hint.shown} ", key_style), (hint.label + " ", label_style))
            )
        return Content("").join(parts)

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        event.stop()
        start = 0
        for hint in hints(self.context, self.size.width):
            end = start + hint.width + _GAP
            if start <= event.x < end:
                await self.screen.run_action(hint.key.action)
                return
            start = end
