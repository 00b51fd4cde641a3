"""Answering one request, and taking back a call that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TakenBack(Exception):
    """The client no longer wants the answer."""


@contextmanager
def revocable() -> Iterator[Callable[[], None]]:
    """Yield a function that cancels this task's block, which then raises TakenBack.

    The task itself lives on: it may still have to answer.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call needs a task")
    state = {"inside": True, "asked": False}

    def take_back() -> None:
        if state["inside"] and not state["asked"]:
            state["asked"] = True
            task.cancel()

    try:
        yield take_back
    except asyncio.CancelledError:
        # Somebody else may have cancelled the task as well: that one counts.
        if state["asked"] and task.uncancel() == 0:
            raise TakenBack from None
        raise
    finally:
        state["inside"] = False
