"""Where a person types or pastes: what acts or hides is not taken, and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from textual import events
from textual.message import Message
from textual.widgets import Input, TextArea

from mcpmux_tui.text import acting

LIMIT: Final = 64 * 1024
"""Characters of one paste."""


@dataclass
class NotTaken(Message):
    """What was pasted into a field is not in it; `why` is a sentence."""

    why: str


def _problem(text: str) -> str:
    if len(text) > LIMIT:
        return f"Not taken: it is longer than {LIMIT // 1024} KiB."
    if escaped := acting(text):
        return f"Not taken: it holds a character that acts or hides, {escaped}."
    return ""


class PlainInput(Input):
    """One line; what stands in it is not replaced by the first key."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text, select_on_focus=False)

    def _on_paste(self, event: events.Paste) -> None:
        if why := _problem(_lines(event.text).partition("\n")[0]):
            event.prevent_default()
            event.stop()
            self.post_message(NotTaken(why))


class PlainArea(TextArea):
    """Several lines, as many as there are; in one with `once`, enter goes on to the next field."""

    def __init__(self, text: str = "", *, once: bool = False, placeholder: str = "") -> None:
        super().__init__(text, compact=True, highlight_cursor_line=False, placeholder=placeholder)
        self.once = once

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = _lines(event.text)
        if why := _problem(text):
            self.post_message(NotTaken(why))
        else:
            self.move_cursor(self.replace(text, *self.selection).end_location)


def _lines(text: str) -> str:
    # Terminals send a line break as the key that makes one.
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
