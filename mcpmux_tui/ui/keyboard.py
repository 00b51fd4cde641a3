"""What is typed and pasted. One key at a time: each waits until all the one before began is done.

A piece of input may hold several keys. Textual sends each to what has the keyboard as it comes,
and acts on it, with what follows from that, only when it has come up through every parent: by
itself it would give the second key to the screen that the first one leaves.

Fields draw what stands in them as it is: a paste that acts or hides is not taken, and said.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from textual import events
from textual.app import App
from textual.message import Message

from mcpmux_tui.text import acting
from mcpmux_tui.ui.tasks import Tasks

_PATIENCE: Final = 3.0
"""Seconds after which a screen that never comes to rest gets its key all the same."""


LIMIT: Final = 64 * 1024
"""Characters of one paste."""


@dataclass
class NotTaken(Message):
    """What was pasted is nowhere; `why` is a sentence."""

    why: str


def lines(text: str) -> str:
    """A paste with line breaks as they should be: terminals send the key that makes one."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def problem(text: str) -> str:
    """Why a paste is not taken, a sentence; empty where it is."""
    if len(text) > LIMIT:
        return f"Not taken: it is longer than {LIMIT // 1024} KiB."
    if escaped := acting(lines(text)):
        return f"Not taken: it holds a character that acts or hides, {escaped}."
    return ""


class Keyboard:
    """Lets keys and pastes into the app in their turn."""

    def __init__(self, app: App[int], work: Tasks) -> None:
        self._app = app
        self._work = work
        self._waiting: deque[events.Key | events.Paste] = deque()
        self._next: events.Key | events.Paste | None = None
        self._letting_in: asyncio.Task[None] | None = None

    def lets_in(self, event: events.Key | events.Paste) -> bool:
        """Whether this one goes on now; before its turn it does not, and comes again."""
        if event is self._next:
            self._next = None
        elif self._letting_in is not None or not self._at_rest:
            self._waiting.append(event)
            if self._letting_in is None:
                self._letting_in = self._work.start(self._let_in())
            return False
        if isinstance(event, events.Paste) and (why := problem(event.text)):
            (self._app.focused or self._app.screen).post_message(NotTaken(why))
            return False
        return True

    async def _let_in(self) -> None:
        try:
            while self._waiting:
                await self._rest()
                self._next = self._waiting.popleft()
                self._app.post_message(self._next)
        finally:
            self._letting_in = None

    async def _rest(self) -> None:
        now = asyncio.get_running_loop().time
        end = now() + _PATIENCE
        while not self._at_rest and now() < end:  # noqa: ASYNC110 - Nobody tells of an empty queue.
            await asyncio.sleep(0)

    @property
    def _at_rest(self) -> bool:
        """Whether no message is on its way in the app and on the screen."""
        nodes = (self._app, *self._app.screen.walk_children(with_self=True))
        return not any(node.message_queue_size for node in nodes)
