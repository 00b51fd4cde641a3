"""Questions of servers that no client's call accounts for: the person answers them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from mcpmux_tui.model.channel import Client
from mcpmux_tui.model.errors import ControlError, RpcError
from mcpmux_tui.proxy.limits import DEFAULTS
from mcpmux_tui.proxy.questions import Questions
from tests.proxy.fakes import (
    FakeUpstream,
    Received,
    http_client,
    open_session,
    rpc,
    running,
    url_of,
)

ELICIT = "elicitation/create"


def form(message: str = "Which?") -> bytes:
    schema = {"properties": {"city": {"type": "string"}}, "required": ["city"]}
    return json.dumps({"message": message, "requestedSchema": schema}).encode()


class Asked:
    """The questions of a proxy, and a wait for one."""

    def __init__(self, seconds: float = 600.0) -> None:
        self.questions = Questions(self._changed, replace(DEFAULTS, question=seconds))
        self._moved = asyncio.Event()

    def _changed(self) -> None:
        self._moved.set()

    async def until(self, count: int) -> None:
        """Wait until so many wait."""
        async with asyncio.timeout(5):
            while len(self.questions.pending) != count:
                self._moved.clear()
                await self._moved.wait()


async def test_an_answer_reaches_the_server_once_it_fits() -> None:
    asked = Asked()
    answer = asyncio.create_task(asked.questions.ask("s", ELICIT, form()))
    await asked.until(1)
    (question,) = asked.questions.pending
    assert (question.server, question.message) == ("s", "Which?")
    with pytest.raises(ControlError, match="city is missing"):
        asked.questions.answer(question.id, "accept", {})
    asked.questions.answer(question.id, "accept", {"city": "Ulm"})
    assert json.loads(await answer) == {"action": "accept", "content": {"city": "Ulm"}}
    with pytest.raises(ControlError, match="does not wait"):
        asked.questions.answer(question.id, "decline", {})


async def test_a_question_that_nobody_answers_is_cancelled_and_one_taken_back_is_gone() -> None:
    asked = Asked(seconds=0.01)
    assert json.loads(await asked.questions.ask("s", ELICIT, form())) == {"action": "cancel"}
    asked = Asked()
    waiting = asyncio.create_task(asked.questions.ask("s", ELICIT, form()))
    await asked.until(1)
    waiting.cancel()
    await asked.until(0)


@pytest.mark.behaviour("C24")
async def test_a_server_that_asks_too_often_is_refused() -> None:
    asked = Asked()
    same = [asyncio.create_task(asked.questions.ask("s", ELICIT, form())) for _ in range(100)]
    await asked.until(1)
    await asyncio.wait(same, return_when=asyncio.FIRST_COMPLETED)
    refused = [each for each in same if each.done()]
    assert len(refused) == 99
    with pytest.raises(RpcError, match="Too many questions"):
        refused[0].result()
    others = [asyncio.create_task(asked.questions.ask("s", ELICIT, form(f"{n}"))) for n in range(9)]
    elsewhere = asyncio.create_task(asked.questions.ask("t", ELICIT, form()))
    await asked.until(DEFAULTS.questions + 1)
    for task in (*same, *others, elsewhere):
        task.cancel()
    await asyncio.gather(*same, *others, elsewhere, return_exceptions=True)


async def test_only_elicitation_is_for_people() -> None:
    asked = Asked()
    for method in ("sampling/createMessage", "roots/list"):
        with pytest.raises(RpcError, match="No client of this call takes"):
            await asked.questions.ask("s", method, b"{}")
    with pytest.raises(RpcError, match="The person was not asked"):
        await asked.questions.ask("s", ELICIT, b'{"message":"m","mode":"url","url":"data:,x"}')
    assert asked.questions.pending == ()


async def test_a_client_takes_only_the_modes_it_declared() -> None:
    taken: list[bool] = []

    async def look(request: Received) -> bytes:
        client: Client | None = request.client
        assert client is not None
        taken.extend(client.takes(ELICIT, params) for params in (form(), b'{"mode":"url"}'))
        return b"{}"

    either: list[dict[str, object]] = [
        {},
        {"elicitation": {}},
        {"elicitation": {"form": {}, "url": {}}},
    ]
    for declared in either:
        server = FakeUpstream("s", answer=look)
        async with running(server) as proxy, http_client() as client:
            session = await open_session(client, url_of(proxy), capabilities=declared)
            call = rpc("tools/call", {"name": "s__echo"})
            accept = {"accept": "application/json, text/event-stream"}
            await client.post(url_of(proxy), json=call, headers=session | accept)
    assert taken == [False, False, True, False, True, True]
