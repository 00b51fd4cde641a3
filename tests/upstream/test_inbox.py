"""Whom a server's own messages belong to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine

import pytest

from mcpmux_tui.model import rawjson
from mcpmux_tui.model.errors import RpcError
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.upstream.calls import Call, Calls
from mcpmux_tui.upstream.inbox import Inbox
from mcpmux_tui.upstream.limits import Limits

ELICIT = "elicitation/create"
LOG = "notifications/message"


class Listener:
    """A client that answers with its own name, once it may."""

    owner = None

    def __init__(self, name: str, *, takes: bool = True) -> None:
        self.name = name
        self.heard: list[str] = []
        self.asked_at_all = asyncio.Event()
        self.may = asyncio.Event()
        self.may.set()
        self._takes = takes

    def notified(self, method: str, params: bytes) -> None:
        self.heard.append(method)

    def takes(self, method: str, params: bytes) -> bool:
        return self._takes

    async def asked(self, method: str, params: bytes) -> bytes:
        self.asked_at_all.set()
        await self.may.wait()
        if params == b'{"refuse":1}':
            raise RpcError(b'{"code":-1,"message":"no"}', -1, "no")
        return b'{"by":%b}' % rawjson.dumps(self.name)


class Room:
    """An inbox, the calls under way, and what was answered."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.calls = Calls(lambda: None)
        self.person = Listener("person")
        self.answers: list[dict[str, object]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.inbox = Inbox(
            self.calls,
            self.person,
            reply=self._reply,
            spawn=self._spawn,
            limits=limits or Limits(),
        )

    async def _reply(self, message: bytes) -> None:
        self.answers.append(json.loads(message))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks.append(task)
        return task

    async def ask(self, number: int, of: bytes | None = None, params: bytes = b"{}") -> str:
        """Who answers a question."""
        self.inbox.asked(Message(b"%d" % number, ELICIT, params), of)
        await asyncio.gather(*self.tasks)
        answer = self.answers[-1]
        assert answer["id"] == number
        result = answer["result"]
        assert isinstance(result, dict)
        by: str = result["by"]
        return by


async def test_a_question_goes_to_the_only_call_to_the_named_one_or_to_the_person() -> None:
    room, ada, bob = Room(), Listener("ada"), Listener("bob")
    assert await room.ask(1) == "person"
    with room.calls.begin("tools/call", None, None, None, ada) as first:
        assert await room.ask(2) == "ada"
        with room.calls.begin("tools/call", None, None, None, bob):
            assert await room.ask(3) == "person"
            assert await room.ask(4, of=first.id) == "ada"
            assert await room.ask(5, of=b"77") == "person"
        # Two calls of one client are no question of whom.
        with room.calls.begin("tools/call", None, None, None, ada):
            assert await room.ask(6) == "ada"
    with room.calls.begin("tools/call", None, None, None, Listener("deaf", takes=False)):
        assert await room.ask(7) == "person"
    room.inbox.owner = bob
    assert await room.ask(8) == "bob"


async def test_log_messages_are_for_one_client_or_for_all_and_never_for_another() -> None:
    room, ada, bob = Room(), Listener("ada"), Listener("bob")
    room.inbox.notified(LOG, b"{}", None)
    assert room.person.heard == [LOG]
    with room.calls.begin("tools/call", None, None, None, ada):
        room.inbox.notified(LOG, b"{}", None)
        with room.calls.begin("tools/call", None, None, None, bob) as second:
            room.inbox.notified(LOG, b"{}", None)
            room.inbox.notified(LOG, b"{}", second.id)
            room.inbox.notified("notifications/resources/updated", b"{}", None)
    assert (len(ada.heard), len(bob.heard)) == (1, 1)
    assert room.person.heard == [LOG, "notifications/resources/updated"]


async def test_a_question_taken_back_is_not_answered_and_the_call_waits_meanwhile() -> None:
    room, ada = Room(), Listener("ada")
    ada.may.clear()
    with room.calls.begin("tools/call", 0.05, 5.0, None, ada) as waiting:
        room.inbox.asked(Message(b'"q"', ELICIT, b"{}"), None)
        await ada.asked_at_all.wait()
        assert _silence_counts(waiting) is False
        room.inbox.notified("notifications/cancelled", b'{"requestId":"q"}', None)
        await asyncio.gather(*room.tasks, return_exceptions=True)
        assert room.tasks[0].cancelled()
        assert _silence_counts(waiting) is True
    assert room.answers == []


def _silence_counts(call: Call) -> bool:
    return call.questions == 0


async def test_refusals_pings_and_unknown_requests_are_answered() -> None:
    room, ada = Room(), Listener("ada")
    with room.calls.begin("tools/call", None, None, None, ada):
        room.inbox.asked(Message(b"1", ELICIT, b'{"refuse":1}'), None)
        room.inbox.asked(Message(b"2", "ping"), None)
        room.inbox.asked(Message(b"3", "tasks/dance"), None)
        await asyncio.gather(*room.tasks)
    by_id = {answer["id"]: answer for answer in room.answers}
    assert by_id[1]["error"] == {"code": -1, "message": "no"}
    assert by_id[2]["result"] == {}
    assert by_id[3]["error"] == {
        "code": -32601, "message": "mcpmux does not offer tasks/dance",
    }  # fmt: skip


@pytest.mark.behaviour("C24")
async def test_a_flood_of_questions_is_dropped_beyond_a_limit() -> None:
    room, ada = Room(Limits(answers=3)), Listener("ada")
    ada.may.clear()
    with room.calls.begin("tools/call", None, None, None, ada):
        for number in range(100):
            room.inbox.asked(Message(b"%d" % number, ELICIT, b"{}"), None)
        ada.may.set()
        await asyncio.gather(*room.tasks)
    assert len(room.answers) == len(room.tasks) == 3
