"""Work that goes on beside the keys: requests to the engine never hold up a handler."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from textual.dom import DOMNode
from textual.message import Message


@dataclass
class Failed(Message):
    """Work of this node ended with an error; the app says so."""

    error: BaseException


class Tasks:
    """The tasks of one node; they end with it."""

    def __init__(self, node: DOMNode) -> None:
        self._node = node
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work`; an error it raises is posted as Failed."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self) -> None:
        """Cancel all and wait for their end."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._node.post_message(Failed(error))
