from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from mcpmux_tui.engine.wake import wakes


@pytest.mark.behaviour("H13")
async def test_a_sleep_is_noticed_once_and_a_busy_moment_is_none() -> None:
    readings = iter([0.0, 5.0, 12.0, 90.0, 95.0, 94.0, 99.0, 200.0])
    taken: list[float] = []

    def clock() -> float:
        taken.append(next(readings))
        return taken[-1]

    async with asyncio.timeout(5), aclosing(wakes(clock, tick=0.0, gap=30.0)) as found:
        await anext(found)
        assert taken[-1] == 90.0
        await anext(found)
        assert taken[-1] == 200.0
