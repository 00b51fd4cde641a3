"""Servers that stop answering, and what a sleep of the machine leaves of connections."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import psutil
import pytest

from mcpmux_tui.model.errors import ConnectionLost, RequestTimeout, UpstreamError
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.liveness import Liveness
from tests.fixtures.blackhole import Blackhole
from tests.fixtures.clock import Clock
from tests.fixtures.raw_http import RawHttp, parse
from tests.upstream.rig import DEADLINE, QUICK, Ears, Rig, raw, running

WATCHFUL = replace(QUICK, ping_after=0.1, ping=0.2, wake_ping=0.2)
ASLEEP = replace(QUICK, ping_after=60.0, ping=0.2, wake_ping=0.2)
ANSWERED = replace(WATCHFUL, ping=DEADLINE)
"""For a server that answers every ping, in its own time."""
ERAS = pytest.mark.parametrize("era", ["--legacy-only", "--modern-only"])
CAP = 36_000.0
SILENCE = 0.4 * CAP
PATIENT = replace(QUICK, ping_after=10 * CAP, call_cap=CAP)
"""For a clock in a test's hand."""
PINGS = {"--legacy-only": "ping", "--modern-only": "server/discover"}


@asynccontextmanager
async def swallowable(
    http: RawHttp, limits: Limits, silence: float = 300.0
) -> AsyncIterator[tuple[Blackhole, Rig]]:
    """A connected server, with a forwarder between that can swallow everything."""
    async with (
        Blackhole.before(http.url) as (hole, url),
        running(HttpLaunch(url), limits=limits, silence=silence) as rig,
    ):
        await rig.reach(Health.CONNECTED)
        yield hole, rig


@pytest.mark.behaviour("LUN-W01")
@ERAS
async def test_an_idle_server_is_pinged_and_its_answer_keeps_it(era: str) -> None:
    async with RawHttp.open(era) as http, running(HttpLaunch(http.url), limits=ANSWERED) as rig:
        await rig.reach(Health.CONNECTED)
        first = http.server.seen[PINGS[era]]
        await http.until(lambda: http.server.seen[PINGS[era]] >= first + 3)
        assert rig.states == ["connecting", "connected"]


async def test_nothing_watches_a_session_that_is_closed() -> None:
    async with RawHttp.open() as http, running(HttpLaunch(http.url), limits=WATCHFUL) as rig:
        await rig.reach(Health.CONNECTED)
        rig.supervisor.post(Action.DISCONNECT)
        await rig.reach(Health.IDLE)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert {"fixture-supervisor"} == {each for each in names if "fixture" in each}


@pytest.mark.behaviour("LUN-W02")
async def test_who_knows_no_ping_is_alive_and_not_asked_again() -> None:
    flags = ("--legacy-only", "--no-ping", "--no-get")
    async with RawHttp.open(*flags) as http, running(HttpLaunch(http.url), limits=ANSWERED) as rig:
        await rig.reach(Health.CONNECTED)
        await http.until(lambda: http.server.seen["ping"])
        # Long enough for several more.
        await asyncio.sleep(5 * ANSWERED.ping_after)
        assert http.server.seen["ping"] == 1
        assert any("knows no ping" in line for line in rig.journal.of("mcpmux"))
        await rig.call("echo")
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("P4", "P3", "LUN-W03")
async def test_a_stopped_child_is_found_by_pings_killed_and_started_again() -> None:
    async with running(raw(), limits=WATCHFUL) as rig:
        first = (await rig.reach(Health.CONNECTED)).pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        await rig.reach(Health.RECONNECTING)
        again = await rig.reach(Health.CONNECTED)
        assert again.pid != first
        assert not psutil.pid_exists(first)
        assert any("stopped answering" in line for line in rig.journal.of("mcpmux"))


@pytest.mark.behaviour("P3")
async def test_a_server_that_hangs_in_a_call_is_started_again_once_the_call_has_failed() -> None:
    async with running(raw(), limits=ASLEEP, silence=0.5) as rig:
        first = (await rig.reach(Health.CONNECTED)).pid
        with pytest.raises(RequestTimeout, match=r"within 0\.5 s"):
            await rig.call("hang", '{"seconds":60}')
        await rig.reach(Health.RECONNECTING)
        assert (await rig.reach(Health.CONNECTED)).pid != first
        await rig.call("echo")


async def test_a_server_that_does_one_thing_at_a_time_may_take_its_time() -> None:
    async with running(raw(), limits=WATCHFUL) as rig:
        first = (await rig.reach(Health.CONNECTED)).pid
        # Far longer than all pings of an idle server may take.
        await rig.call("hang", '{"seconds":1.2}')
        assert (await rig.reach(Health.CONNECTED)).pid == first
        assert rig.states == ["connecting", "connected"]


class Mute:
    """A watch over a session that answers no ping, with calls that a test makes up."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.pings = 0
        self.missed_two = asyncio.Event()
        self.lost: asyncio.Future[UpstreamError] = asyncio.get_running_loop().create_future()

    async def ping(self, patience: float) -> None:
        self.pings += 1
        if self.pings == 2:
            self.calls.append("begun between")
            self.missed_two.set()
        raise RequestTimeout("no answer")

    @classmethod
    @asynccontextmanager
    async def watched(cls, *calls: str) -> AsyncIterator[tuple[Mute, Liveness]]:
        """The session, and the watch over it while it runs."""
        mute = cls()
        mute.calls += calls
        liveness = Liveness(
            mute.ping,
            busy=lambda: bool(mute.calls),
            late=lambda: None,
            lost=mute.lost.set_result,
            note=lambda text: None,
            limits=replace(QUICK, ping_after=0.01),
        )
        task = asyncio.create_task(liveness.run())
        try:
            async with asyncio.timeout(DEADLINE):
                yield mute, liveness
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.mark.behaviour("P3")
async def test_a_call_that_begins_before_a_ping_is_missed_is_given_its_time() -> None:
    async with Mute.watched() as (mute, _):
        await mute.missed_two.wait()
        mute.calls.clear()
        await mute.lost
        assert mute.pings == 4


@pytest.mark.behaviour("P3")
async def test_a_call_that_was_silent_to_its_limit_makes_pings_count_for_all() -> None:
    async with Mute.watched("another") as (mute, liveness):
        liveness.doubt()
        await mute.lost
        assert mute.pings == 2


@pytest.mark.parametrize("transport", ["stdio", "sse"])
async def test_a_slow_answer_is_an_answer(transport: str) -> None:
    flags = ("--legacy-only", "--slow-ping", "0.3")
    async with RawHttp.open("--old-sse", *flags) as http:
        launch = raw(*flags) if transport == "stdio" else HttpLaunch(http.url, transport="sse")
        async with running(launch, limits=WATCHFUL) as rig:
            await rig.reach(Health.CONNECTED)
            # Far longer than all pings of a server that answers nothing may take.
            await asyncio.sleep(5 * WATCHFUL.ping)
            assert '\\"ping\\":' in (await rig.call("seen")).decode()
            assert rig.states == ["connecting", "connected"]


async def test_bytes_of_one_answer_are_life_while_another_call_is_in_doubt() -> None:
    async with RawHttp.open() as http, swallowable(http, ASLEEP, silence=0.3) as (hole, rig):
        http.drip = 0.001
        big = asyncio.create_task(rig.call("big", '{"size":1000}'))
        slow = asyncio.create_task(rig.call("slow"))
        await http.until(lambda: http.server.seen["tools/call"] == 2)
        # The ping needs a new connection.
        hole.swallows_new = True
        with pytest.raises(RequestTimeout):
            await slow
        assert b"xxx" in await big
        assert rig.states == ["connecting", "connected"]


async def test_a_silent_call_of_a_server_that_answers_otherwise_costs_nothing_else() -> None:
    async with RawHttp.open("--legacy-only") as http:
        launch = HttpLaunch(http.url)
        async with running(launch, limits=ASLEEP, silence=0.2) as rig:
            await rig.reach(Health.CONNECTED)
            with pytest.raises(RequestTimeout):
                await rig.call("slow")
            await http.until(lambda: http.server.seen["ping"])
            await rig.call("echo")
            assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("H15")
@ERAS
async def test_connections_that_died_without_a_word_are_found_and_replaced(era: str) -> None:
    # Each idle connection costs one ping until a new one is opened.
    limits = replace(WATCHFUL, ping_misses=5)
    async with RawHttp.open(era) as http, swallowable(http, limits) as (hole, rig):
        before = rig.snapshot.tools
        await http.until(lambda: http.server.seen["tools/list"] == 2)
        await rig.call("echo")
        hole.swallow()
        # The server hears of no end, so the old stream is still there; the new one tells.
        await http.until(lambda: len(http.streams) > 1)
        http.server.grow()
        await rig.until(lambda snapshot: snapshot.tools == before + 1)
        await rig.call("echo")
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("H15")
@ERAS
async def test_a_server_that_went_silent_is_found_and_connected_again(era: str) -> None:
    async with RawHttp.open(era) as http, swallowable(http, WATCHFUL) as (hole, rig):
        hole.swallows_new = True
        hole.swallow()
        await rig.reach(Health.RECONNECTING)
        hole.swallows_new = False
        await rig.reach(Health.CONNECTED)
        await rig.call("echo")


@pytest.mark.behaviour("H15")
async def test_a_call_on_a_dead_connection_ends_at_its_silence_limit() -> None:
    async with RawHttp.open() as http, swallowable(http, ASLEEP, silence=0.5) as (hole, rig):
        slow = asyncio.create_task(rig.call("slow"))
        await http.until(lambda: http.server.seen["tools/call"])
        hole.swallow()
        with pytest.raises(RequestTimeout, match=r"within 0\.5 s"):
            await slow


@pytest.mark.behaviour("H13")
async def test_after_a_sleep_a_busy_child_may_take_its_time() -> None:
    async with running(raw(), limits=ASLEEP) as rig:
        first = (await rig.reach(Health.CONNECTED)).pid
        call = asyncio.create_task(rig.call("hang", '{"seconds":1.0}'))
        # Until it hangs, which no one can tell.
        assert not (await asyncio.wait({call}, timeout=0.1))[0]
        rig.supervisor.wake()
        await call
        assert rig.snapshot.pid == first
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("H13", "P4")
async def test_after_a_sleep_an_idle_child_that_does_not_answer_is_found() -> None:
    async with running(raw(), limits=ASLEEP) as rig:
        first = (await rig.reach(Health.CONNECTED)).pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        rig.supervisor.wake()
        await rig.reach(Health.RECONNECTING)
        assert (await rig.reach(Health.CONNECTED)).pid != first


@pytest.mark.behaviour("H13")
@ERAS
async def test_after_a_sleep_a_dead_server_is_found_at_once_and_its_calls_fail(era: str) -> None:
    # It is the short ping that finds it.
    limits = replace(ASLEEP, ping=60.0)
    async with RawHttp.open(era) as http, swallowable(http, limits) as (hole, rig):
        slow = asyncio.create_task(rig.call("slow"))
        await http.until(lambda: http.server.seen["tools/call"])
        hole.swallows_new = True
        hole.swallow()
        rig.supervisor.wake()
        with pytest.raises(ConnectionLost, match="fixture: "):
            await slow
        await rig.reach(Health.RECONNECTING)
        hole.swallows_new = False
        await rig.reach(Health.CONNECTED)
        await rig.call("echo")


@pytest.mark.behaviour("H13")
async def test_after_a_sleep_a_live_server_stays_and_its_stream_of_changes_is_new() -> None:
    async with (
        RawHttp.open("--legacy-only") as http,
        running(HttpLaunch(http.url), limits=ASLEEP) as rig,
    ):
        before = (await rig.reach(Health.CONNECTED)).tools
        await http.until(lambda: http.streams)
        http.server.grow()
        await rig.until(lambda snapshot: snapshot.tools == before + 1)
        opened = http.counts["GET"]
        http.server.grown += 1
        rig.supervisor.wake()
        await http.until(lambda: http.counts["GET"] == opened + 1)
        await rig.until(lambda snapshot: snapshot.tools == before + 2)
        await http.until(lambda: http.server.seen["ping"])
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("H13", "H14")
async def test_after_a_sleep_nobody_waits_for_the_end_of_a_back_off() -> None:
    http = RawHttp(parse(("--legacy-only",)))
    listener = await http.listen()
    await http.close(listener)
    limits = replace(ASLEEP, retry_first=60.0, retry_most=60.0)
    async with running(HttpLaunch(http.url), limits=limits) as rig:
        await rig.reach(Health.RECONNECTING)
        listener = await http.listen(httpx2.URL(http.url).port or 0)
        rig.supervisor.wake()
        await rig.reach(Health.CONNECTED)
    await http.close(listener)


@pytest.mark.behaviour("H14")
async def test_an_absent_server_is_tried_more_often_than_one_that_answers_wrongly() -> None:
    http = RawHttp(parse(("--status", "503")))
    listener = await http.listen()
    limits = replace(ASLEEP, retry_first=0.02, retry_most=0.02, retry_most_remote=60.0)
    async with running(HttpLaunch(http.url), limits=limits) as rig:
        wrong = await rig.until(lambda s: s.state is Health.RECONNECTING and s.attempt == 5)
        await http.close(listener)
        absent = await rig.until(lambda s: s.state is Health.RECONNECTING and s.attempt > 5)
    assert "503" in wrong.detail
    assert "refused" in absent.detail
    waits = [(each.retry_at or 0.0) - (each.since or 0.0) for each in (wrong, absent)]
    assert waits[0] > 0.3
    assert waits[1] < 0.1


@pytest.mark.behaviour("H19", "H20")
@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_a_lively_call_ends_at_its_hard_cap(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawHttp.open() as http:
        launch = raw() if transport == "stdio" else HttpLaunch(http.url)
        async with running(launch, limits=PATIENT, silence=SILENCE) as rig:
            await rig.reach(Health.CONNECTED)
            clock, ears = Clock.taken(monkeypatch), Ears()
            arguments = f'{{"seconds":{10 * CAP},"progress":0.01}}'
            call = asyncio.create_task(rig.call("slow", arguments, client=ears, progressToken=7))
            for _ in range(3):
                await ears.hears_more()
                await clock.after(0.3 * CAP)
                assert not call.done()
            await ears.hears_more()
            await clock.after(0.2 * CAP)
            with pytest.raises(RequestTimeout, match=r"tools/call did not end within 36000 s"):
                await call


@pytest.mark.behaviour("H20")
async def test_a_drip_counts_as_life_until_the_hard_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        RawHttp.open() as http,
        running(HttpLaunch(http.url), limits=PATIENT, silence=SILENCE) as rig,
    ):
        await rig.reach(Health.CONNECTED)
        clock = Clock.taken(monkeypatch)
        http.drip = 0.001
        call = asyncio.create_task(rig.call("big", '{"size":100000}'))
        for _ in range(3):
            dripped = http.dripped
            await http.until(lambda: http.dripped > dripped + 10)  # noqa: B023 - awaited here
            await clock.after(0.3 * CAP)
            assert not call.done()
        dripped = http.dripped
        await http.until(lambda: http.dripped > dripped + 10)
        await clock.after(0.2 * CAP)
        with pytest.raises(RequestTimeout, match=r"did not end within 36000 s"):
            await call
        http.drip = None
        await rig.call("echo")


@pytest.mark.behaviour("H19")
async def test_an_entry_may_take_the_silence_limit_away() -> None:
    async with RawHttp.open() as http, running(HttpLaunch(http.url), silence=0) as rig:
        await rig.call("slow", '{"seconds":0.3}')
