"""Answering one request, and taking back a call that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class TakenBack(Exception):
    """The client no longer wants the answer."""


class revocable:
    """Gives its block a function that cancels this task's block, which then raises TakenBack.

    The task itself lives on: it may still have to answer.
    """

    __slots__ = ("_asked", "_inside", "_loop", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop

    def __enter__(self) -> Callable[[], None]:
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a call needs a task")
        self._task = task
        self._inside, self._asked = True, False
        return self._take_back

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._inside = False
        # Somebody else may have cancelled the task as well: that one counts.
        cancelled = kind is not None and issubclass(kind, asyncio.CancelledError)
        if cancelled and self._asked and self._task.uncancel() == 0:
            raise TakenBack from None

    def _take_back(self) -> None:
        if self._inside and not self._asked:
            self._asked = True
            self._task.cancel()
