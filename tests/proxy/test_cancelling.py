from __future__ import annotations

import asyncio

import pytest

from mcpmux_tui.proxy.calls import TakenBack, revocable


async def test_a_call_taken_back_leaves_its_task_alive() -> None:
    with pytest.raises(TakenBack), revocable() as take_back:
        asyncio.get_running_loop().call_soon(take_back)
        await asyncio.Event().wait()
    take_back()
    await asyncio.sleep(0)


async def test_a_call_that_ended_is_not_taken_back() -> None:
    with revocable() as take_back:
        await asyncio.sleep(0)
    take_back()
    await asyncio.sleep(0)


async def test_a_cancelled_task_ends_even_if_its_call_was_taken_back_as_well() -> None:
    started = asyncio.Event()

    async def call() -> None:
        with revocable() as take_back:
            asyncio.get_running_loop().call_soon(take_back)
            asyncio.get_running_loop().call_soon(task.cancel)
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await started.wait()
    with pytest.raises(asyncio.CancelledError):
        await task
