"""Turns: how many calls one server works on at once."""

from __future__ import annotations

import asyncio

import pytest

from mcpmux_tui.model.errors import NotConnected
from mcpmux_tui.upstream.calls import Turns


class Order:
    """Calls that take turns, and the order in which they got them."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.came: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str) -> None:
        self.tasks[name] = asyncio.create_task(self._take(name))

    async def _take(self, name: str) -> None:
        await self.turns.come()
        self.came.append(name)

    async def settle(self) -> list[str]:
        for _ in range(3):
            await asyncio.sleep(0)
        return self.came


@pytest.mark.behaviour("X14")
async def test_turns_are_given_in_the_order_of_asking_and_too_many_are_refused() -> None:
    order = Order(Turns(1, 2))
    for name in "abc":
        order.start(name)
    assert await order.settle() == ["a"]
    with pytest.raises(NotConnected, match="is busy: 1 calls are under way and 2 wait"):
        await order.turns.come()
    order.turns.leave()
    assert await order.settle() == ["a", "b"]
    order.turns.leave()
    assert await order.settle() == ["a", "b", "c"]


@pytest.mark.behaviour("X14")
@pytest.mark.parametrize("just_come", [False, True], ids=["waiting", "just come"])
async def test_a_call_given_up_costs_nobody_a_turn(*, just_come: bool) -> None:
    order = Order(Turns(1, 2))
    for name in "abc":
        order.start(name)
    await order.settle()
    if just_come:
        order.turns.leave()
    order.tasks["b"].cancel()
    if not just_come:
        order.turns.leave()
    assert await order.settle() == ["a", "c"]
    order.turns.leave()
    order.start("d")
    assert await order.settle() == ["a", "c", "d"]
    # Whoever gave up does not stand in the queue any more either.
    for name in "ef":
        order.start(name)
    assert await order.settle() == ["a", "c", "d"]
    with pytest.raises(NotConnected):
        await order.turns.come()
    order.turns.leave()
    order.turns.leave()
    assert await order.settle() == ["a", "c", "d", "e", "f"]


async def test_one_that_waits_and_gives_up_leaves_its_place() -> None:
    order = Order(Turns(1, 1))
    order.start("a")
    order.start("b")
    await order.settle()
    order.tasks["b"].cancel()
    await order.settle()
    order.start("c")
    await order.settle()
    order.turns.leave()
    assert await order.settle() == ["a", "c"]
