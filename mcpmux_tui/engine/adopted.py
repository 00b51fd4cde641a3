"""As the first process of a container mcpmux inherits every orphan there, and has to reap it."""

from __future__ import annotations

import asyncio
import os
from typing import Final

_EVERY: Final = 2.0


async def reap_adopted(every: float = _EVERY) -> None:
    """Reap what nobody else waits for, until cancelled; at once over where that is init's task."""
    if os.getpid() != 1:
        return
    before: set[int] = set()
    while True:
        await asyncio.sleep(every)
        dead = await asyncio.to_thread(_zombies)
        # Children of our own are waited for elsewhere, and at once.
        for pid in dead & before:
            try:
                os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - it does not block
            except ChildProcessError:
                continue
        before = dead


def _zombies() -> set[int]:
    import psutil  # here: seldom is mcpmux the first process

    found = set()
    for child in psutil.Process().children():
        try:
            if child.status() == psutil.STATUS_ZOMBIE:
                found.add(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found
