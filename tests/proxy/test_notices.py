from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping

import pytest

from mcpmux_tui.model.channel import Item, Kind
from mcpmux_tui.model.ports import Upstream
from mcpmux_tui.proxy.notices import LiveCatalog
from tests.fixtures.clock import Clock, settled
from tests.proxy.fakes import FakeUpstream, by_name, tool

INTERVAL = 1000.0


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.taken(monkeypatch)


class Heard:
    """What was told, and when."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self.endpoints: list[str | None] = []
        self.times: list[float] = []
        self.catalog = LiveCatalog(self._tell, INTERVAL)
        self.catalog.replace(upstreams)

    def _tell(self, endpoint: str | None, capability: str) -> None:
        self.endpoints.append(endpoint)
        self.times.append(asyncio.get_running_loop().time())

    async def settle(self, clock: Clock) -> list[str | None]:
        await settled()
        await clock.after(INTERVAL * 1.5)
        heard, self.endpoints = self.endpoints, []
        return heard


async def test_only_endpoints_whose_list_changed_are_told(clock: Clock) -> None:
    one, two = FakeUpstream("one"), FakeUpstream("two")
    heard = Heard(by_name(one, two))
    await heard.settle(clock)
    two.tools += (tool("more"),)
    heard.catalog.changed()
    assert await heard.settle(clock) == [None, "two"]
    one.prefix = "uno"
    heard.catalog.changed()
    assert await heard.settle(clock) == [None]
    heard.catalog.changed()
    assert await heard.settle(clock) == []


@pytest.mark.behaviour("X11", "MUX-T15", "MUX-T16")
async def test_a_storm_is_told_at_once_then_once_an_interval_and_the_last_is_not_lost(
    clock: Clock,
) -> None:
    upstream = FakeUpstream("s")
    heard = Heard(by_name(upstream))
    await heard.settle(clock)
    heard.times.clear()
    began = clock()
    for _ in range(250):
        upstream.tools += (tool(f"t{len(upstream.tools)}"),)
        heard.catalog.changed()
        await clock.after(INTERVAL / 100)
    last = len(upstream.tools)
    await heard.settle(clock)
    merged = heard.times[::2]
    assert merged[0] - began < INTERVAL / 2
    assert all(later - sooner > INTERVAL * 0.9 for sooner, later in itertools.pairwise(merged))
    assert len(merged) == 4
    assert len(heard.catalog.current.servers["s"].tools) == last


async def test_a_change_taken_back_is_not_worth_a_word(clock: Clock) -> None:
    upstream = FakeUpstream("s")
    heard = Heard(by_name(upstream))
    await heard.settle(clock)
    before = upstream.tools
    upstream.tools = ()
    heard.catalog.changed()
    assert heard.catalog.current.merged.lists[Kind.TOOLS] == b"[]"
    upstream.tools = before
    heard.catalog.changed()
    assert await heard.settle(clock) == []
    assert b"s__echo" in heard.catalog.current.merged.lists[Kind.TOOLS]


async def test_readers_see_a_change_at_once_and_the_same_catalog_until_the_next() -> None:
    upstream = FakeUpstream("s")
    heard = Heard(by_name(upstream))
    first = heard.catalog.current
    assert heard.catalog.current is first
    upstream.tools += (tool("more"),)
    heard.catalog.changed()
    second = heard.catalog.current
    assert set(second.merged.tools) == {"s__echo", "s__more"}
    assert set(first.merged.tools) == {"s__echo"}
    assert second.public[Kind.TOOLS] == {"s": {"echo": "s__echo", "more": "s__more"}}
    heard.catalog.close()


async def test_of_two_tools_with_one_name_the_first_counts() -> None:
    twins = (tool("x", first=True), tool("x", first=False), tool("X"))
    heard = Heard(by_name(FakeUpstream("s", twins, prefix="")))
    catalog = heard.catalog.current
    assert list(catalog.merged.tools) == ["x", "X"]
    assert b'"first":true' in catalog.merged.lists[Kind.TOOLS]
    assert b'"first":false' not in catalog.merged.lists[Kind.TOOLS]
    heard.catalog.close()


async def test_a_definition_that_cannot_be_renamed_costs_no_other_tool() -> None:
    twice = Item("twice", b'{"name":"twice","title":"x","title":"y"}')
    heard = Heard(by_name(FakeUpstream("s", (twice, tool("x"))), FakeUpstream("t")))
    catalog = heard.catalog.current
    assert set(catalog.merged.tools) == {"s__x", "t__echo"}
    assert b"twice" not in catalog.merged.lists[Kind.TOOLS]
    heard.catalog.close()


async def test_a_catalog_that_could_not_be_made_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = Heard(by_name(FakeUpstream("s")))
    with monkeypatch.context() as broken:
        broken.setattr(FakeUpstream, "lists", None)
        with pytest.raises(AttributeError):
            _ = heard.catalog.current
    assert set(heard.catalog.current.merged.tools) == {"s__echo"}
    heard.catalog.close()
