"""Two clients at once on one server: each gets what is its own, and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from mcpmux_tui.engine.hub import Hub
from tests.fixtures.http_peer import MODERN, Json, Peer, Refused, peer
from tests.matrix.conftest import SERVERS

pytestmark = pytest.mark.asyncio(loop_scope="package")


def answers(home: str, city: str = "") -> dict[str, Json]:
    """What a client answers; without a city it only has folders."""
    given: dict[str, Json] = {"roots/list": {"roots": [{"uri": f"file:///{home}"}]}}
    if city:
        given["elicitation/create"] = {"action": "accept", "content": {"city": city}}
        text = {"type": "text", "text": f"{city}, a poem"}
        sampled = {"role": "assistant", "content": text, "model": "m"}
        given["sampling/createMessage"] = sampled
    return given


async def until_asked(hub: Hub) -> int:
    """Wait until the person is asked; the question's number."""
    changed = asyncio.Event()
    hub.publish = changed.set
    async with asyncio.timeout(10):
        while not hub.proxy.questions.pending:
            changed.clear()
            await changed.wait()
    return hub.proxy.questions.pending[0].id


async def pair(stack: AsyncExitStack, hub: Hub, server: str, version: str) -> tuple[Peer, Peer]:
    """Ada, who answers everything, and Bob, who has folders only."""
    url = f"{hub.proxy.url}/{server}"
    ada = peer(url, version, answers=answers("ada", "Ulm"), name="ada")
    bob = peer(url, version, answers=answers("bob"), name="bob")
    return await stack.enter_async_context(ada), await stack.enter_async_context(bob)


@pytest.mark.behaviour("B14", "1M-N01")
@pytest.mark.parametrize("version", ["2025-11-25", MODERN])
@pytest.mark.parametrize("server", ["http", "http-2025", "http-2026"])
async def test_over_http_both_are_asked_at_once_each_its_own(
    hub: Hub, server: str, version: str
) -> None:
    async with AsyncExitStack() as stack:
        ada, bob = await pair(stack, hub, server, version)
        for _ in range(5):
            texts = await asyncio.gather(
                *(ada.text("roots"), bob.text("roots"), ada.text("ask"), ada.text("sample"))
            )
            assert list(texts) == ["file:///ada", "file:///bob", "accept Ulm", "Ulm, a poem"]
        with pytest.raises(Refused, match="did not declare the form elicitation capability"):
            await bob.call("ask")
        assert {each["method"] for each in bob.questions} == {"roots/list"}
        assert len(ada.questions) == 15


@pytest.mark.behaviour("B14")
@pytest.mark.parametrize("server", ["stdio", "sse"])
async def test_on_a_shared_process_the_only_call_in_flight_is_asked_and_several_are_not(
    hub: Hub, server: str
) -> None:
    async with AsyncExitStack() as stack:
        ada, bob = await pair(stack, hub, server, "2025-11-25")
        assert await ada.text("roots") == "file:///ada"
        assert await bob.text("roots") == "file:///bob"
        assert await ada.text("ask") == "accept Ulm"
        # Bob cannot answer: the person is asked.
        asking = asyncio.create_task(bob.text("ask"))
        hub.proxy.questions.answer(await until_asked(hub), "accept", {"city": "Bonn"})
        assert await asking == "accept Bonn"
        # Two calls wait: nobody knows whose question the second one is.
        async with bob.cancelling("wait"):
            async with asyncio.timeout(10):
                while not await _waits(ada):
                    pass
            asking = asyncio.create_task(ada.text("ask"))
            hub.proxy.questions.answer(await until_asked(hub), "decline", {})
            assert await asking == "decline"
        assert len(ada.questions) == 2


async def _waits(client: Peer) -> bool:
    waiting, cancelled = (await client.text("waits")).split()
    return int(waiting) > int(cancelled)


@pytest.mark.behaviour("B14", "X15")
@pytest.mark.parametrize("server", SERVERS)
async def test_ids_progress_and_subscriptions_of_two_clients_never_meet(
    hub: Hub, server: str
) -> None:
    async with AsyncExitStack() as stack:
        ada, bob = await pair(stack, hub, server, "2025-11-25")
        # Both count their ids from 1, and use the same token.
        await asyncio.gather(
            *(client.text("steps", {"progressToken": "t"}) for client in (ada, bob))
        )
        for client in (ada, bob):
            steps = [each["params"]["progress"] for each in client.heard]
            assert steps == [1, 2]
        texts = await asyncio.gather(
            *(
                client.text("echo", text=f"{client.name} {number}")
                for number in range(100)
                for client in (ada, bob)
            )
        )
        assert texts == [f"{name} {number}" for number in range(100) for name in ("ada", "bob")]
        await ada.listen("memo://note")
        await bob.listen()
        method = "notifications/resources/updated"
        async with asyncio.timeout(10):
            while not any(each["method"] == method for each in ada.heard):
                await bob.text("touch")
        # What Bob hears comes in order: after a change of a list, an update would be there.
        grown = await bob.text("grow")
        assert grown.startswith("grown_")
        await bob.until(lambda each: each["method"] == "notifications/tools/list_changed")
        assert not any(each["method"] == method for each in bob.heard)
