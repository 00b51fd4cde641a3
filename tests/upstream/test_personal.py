"""Sessions of their own for clients that a 2025 server may ask something."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any, cast

import psutil
import pytest

from mcpmux_tui.model.channel import Caller, Wishes
from mcpmux_tui.model.errors import ConnectionLost, NotConnected
from mcpmux_tui.model.server import Health
from mcpmux_tui.model.spec import HttpLaunch, ServerSpec
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.personal import PersonalSessions
from mcpmux_tui.upstream.session import Session
from tests.fixtures.raw_http import RawHttp
from tests.upstream.rig import QUICK, Rig, raw, running

CAPABILITIES = b'{"elicitation":{"form":{}}}'


ADA = Caller(b'{"name":"ada","version":"1"}', CAPABILITIES, askable=True)
"""A 2025 client that can be asked."""


async def seen(rig: Rig, key: str, caller: Caller = ADA) -> dict[str, Any]:
    """What the server has seen, told to a client."""
    caller = replace(caller, key=key)
    channel = await rig.channel()
    params = b'{"name":"seen","arguments":{}}'
    result = await channel.request("tools/call", params, caller=caller, name="seen")
    found: dict[str, Any] = json.loads(json.loads(result)["content"][0]["text"])
    return found


async def test_a_server_of_2026_only_is_tried_once_and_told_the_caller_s_capabilities() -> None:
    async with RawHttp.open("--modern-only") as http, running(HttpLaunch(http.url)) as rig:
        await seen(rig, "a")
        report = await seen(rig, "b")
        declared = report["meta"]["io.modelcontextprotocol/clientCapabilities"]
        assert declared == {"elicitation": {"form": {}}}
        assert report["methods"].get("initialize", 0) <= 1


@pytest.mark.behaviour("B14")
async def test_each_client_has_one_session_at_a_2025_server_for_all_its_calls() -> None:
    async with RawHttp.open("--legacy-only") as http, running(HttpLaunch(http.url)) as rig:
        for key in ("a", "b", "a", "b"):
            report = await seen(rig, key)
        # One is mcpmux's own.
        assert report["methods"]["initialize"] == 3
        assert len(http.sessions) == 3
        rig.supervisor.forget_client("a")
        await http.until(lambda: len(http.sessions) == 2)


@pytest.mark.behaviour("D15")
async def test_older_clients_share_a_second_process_where_the_first_speaks_2026() -> None:
    newer = Caller(key="n", modern=True, askable=True)
    async with running(raw()) as rig:
        first = (await rig.reach(Health.CONNECTED)).pid
        older = [await seen(rig, key) for key in ("a", "b")]
        assert older[0]["pid"] == older[1]["pid"] != first
        assert older[1]["methods"]["initialize"] == 1
        for caller in (newer, Caller(), Caller(b"{}")):
            assert (await seen(rig, "c", caller))["pid"] == first
        assert rig.snapshot.pid == first
    assert not psutil.pid_exists(older[0]["pid"])


@pytest.mark.behaviour("D15")
async def test_a_second_process_that_cannot_come_about_is_tried_once() -> None:
    async with running(raw("--modern-only")) as rig:
        first = (await rig.reach(Health.CONNECTED)).pid
        assert [(await seen(rig, key))["pid"] for key in ("a", "b")] == [first, first]
        refused = [line for line in rig.journal.of("mcpmux") if "older era" in line]
        assert len(refused) == 1


@pytest.mark.behaviour("D15")
@pytest.mark.parametrize("flags", [(), ("--legacy-only",), ("--modern-only",)])
async def test_per_client_each_client_has_a_process_that_ends_with_it(
    flags: tuple[str, ...],
) -> None:
    caller = Caller(key="c", modern=True, askable=True)
    spec = ServerSpec("fixture", raw(*flags), per_client=True)
    async with running(None, spec=spec) as rig:
        shared = (await rig.reach(Health.CONNECTED)).pid
        pids = {key: (await seen(rig, key, caller))["pid"] for key in ("a", "b")}
        assert len({shared, *pids.values()}) == 3
        assert (await seen(rig, "a", caller))["pid"] == pids["a"]
        rig.supervisor.forget_client("a")
        gone = psutil.Process(pids["a"])
        await asyncio.to_thread(gone.wait, 10)
        assert psutil.pid_exists(pids["b"])
    assert not psutil.pid_exists(pids["b"])


@pytest.mark.behaviour("D15")
async def test_a_client_s_process_that_crashed_is_started_anew_at_its_next_call() -> None:
    spec = ServerSpec("fixture", raw(), per_client=True)
    async with running(None, spec=spec) as rig:
        before = await seen(rig, "a")
        channel = await rig.channel()
        crash = b'{"name":"crash"}'
        with pytest.raises(ConnectionLost, match="exited with code 3"):
            await channel.request("tools/call", crash, caller=replace(ADA, key="a"))
        after = await seen(rig, "a")
        assert after["pid"] != before["pid"]
        assert rig.snapshot.state is Health.CONNECTED


async def test_an_idle_session_is_let_go_and_a_full_house_is_a_sentence() -> None:
    limits = replace(QUICK, personal=2, personal_idle=0.3, ping=0.1)
    spec = ServerSpec("fixture", raw(), per_client=True)
    async with running(None, spec=spec, limits=limits) as rig:
        idle = psutil.Process((await seen(rig, "a"))["pid"])
        channel = await rig.channel()
        slow = b'{"name":"slow","arguments":{}}'
        calls = [
            asyncio.create_task(
                channel.request("tools/call", slow, caller=replace(ADA, key=key), name="slow")
            )
            for key in ("b", "c")
        ]
        await asyncio.to_thread(idle.wait, 10)
        with pytest.raises(ConnectionLost, match="serves 2 clients already"):
            await seen(rig, "d")
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)


@pytest.mark.behaviour("X14")
@pytest.mark.parametrize("per_client", [False, True])
async def test_a_server_works_on_so_many_calls_at_once_and_too_many_are_refused(
    per_client: bool,
) -> None:
    limits = replace(QUICK, queue=3)
    spec = ServerSpec("fixture", raw(), concurrency=2, per_client=per_client)
    async with running(None, spec=spec, limits=limits) as rig:
        channel = await rig.channel()

        async def call(number: int) -> object:
            key = f"{number % 2}"
            params = b'{"name":"slow","arguments":{"key":"k","n":%d}}' % number
            return await channel.request(
                "tools/call", params, caller=replace(ADA, key=key), name="slow"
            )

        if per_client:
            await asyncio.gather(*(seen(rig, key) for key in "01"))
        calls = [asyncio.create_task(call(number)) for number in range(6)]
        (refused, *_), waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert len(waiting) == 5
        with pytest.raises(NotConnected, match=r"fixture: is busy: 2 calls are under way and 3"):
            refused.result()
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)
        assert (await seen(rig, "0"))["methods"]["tools/call"] < 6


@pytest.mark.behaviour("X14")
async def test_a_thousand_calls_at_once_get_each_its_own_answer() -> None:
    limits = replace(QUICK, queue=1_000)
    async with running(raw(), limits=limits) as rig:
        results = await asyncio.gather(*(rig.call("echo", f'{{"n":{n}}}') for n in range(1_000)))
        for number, result in enumerate(results):
            assert json.loads(result)["content"][0]["text"] == f'{{"n":{number}}}'


class NeverOpen:
    """A session at a server that does not answer."""

    def __init__(self) -> None:
        self.opening = asyncio.Event()
        self.lost_with: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def wish(self, wishes: Wishes) -> None: ...

    async def open_alone(self) -> None:
        self.opening.set()
        await asyncio.Event().wait()

    async def close(self, farewell: ConnectionLost) -> None:
        self.lost_with.set_result(farewell)


async def test_a_stop_while_a_session_is_being_opened_is_an_error_and_no_cancel() -> None:
    silent = NeverOpen()
    sessions = PersonalSessions(lambda caller: cast("Session", silent), Limits())
    waiting = asyncio.create_task(sessions.of(Caller(key="a")))
    await silent.opening.wait()
    await sessions.close()
    with pytest.raises(ConnectionLost, match="was stopped"):
        await waiting
    assert silent.lost_with.done()
