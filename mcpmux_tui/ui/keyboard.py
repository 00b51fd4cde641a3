"""What is typed, one key at a time: each waits until all that the one before began is done.

A piece of input may hold several keys. Textual sends each to what has the keyboard as it comes,
and acts on it, with what follows from that, only when it has come up through every parent: by
itself it would give the second key to the screen that the first one leaves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from textual import events
from textual.app import App

from mcpmux_tui.ui.tasks import Tasks

_PATIENCE: Final = 3.0
"""Seconds after which a screen that never comes to rest gets its key all the same."""


class Keyboard:
    """Lets keys and pastes into the app in their turn."""

    def __init__(self, app: App[int], work: Tasks) -> None:
        self._app = app
        self._work = work
        self._waiting: deque[events.Key | events.Paste] = deque()
        self._next: events.Key | events.Paste | None = None
        self._letting_in: asyncio.Task[None] | None = None

    def is_turn_of(self, event: events.Key | events.Paste) -> bool:
        """Whether it is this one's turn; if not, the app gets it again when it is."""
        if event is self._next:
            self._next = None
            return True
        if self._letting_in is None and self._at_rest:
            return True
        self._waiting.append(event)
        if self._letting_in is None:
            self._letting_in = self._work.start(self._let_in())
        return False

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
