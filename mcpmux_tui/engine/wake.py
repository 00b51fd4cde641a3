"""Notice that this machine, or the engine alone, was asleep: connections may be dead by now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final

TICK: Final = 5.0
GAP: Final = 30.0
"""Seconds that must be missing between two ticks."""


def _clock() -> float:
    """Seconds that go on while the machine sleeps, whatever is done to the date, where there are
    such."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if boot is None else time.clock_gettime(boot)


async def wakes(
    clock: Callable[[], float] = _clock, tick: float = TICK, gap: float = GAP
) -> AsyncGenerator[None]:
    """Yield after each sleep, until cancelled."""
    before = clock()
    while True:
        await asyncio.sleep(tick)
        now = clock()
        if now - before > tick + gap:
            yield
        before = now
