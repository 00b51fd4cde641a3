from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.model.server import Health
from mcpmux_tui.model.spec import HttpLaunch
from tests.fixtures.raw_http import RawHttp
from tests.upstream.rig import QUICK, running

EAGER = replace(QUICK, resume_first=0.02, resume_most=0.1)
IDS = ("--legacy-only", "--sse", "--event-ids")
ENDS = pytest.mark.parametrize("breaks", [False, True], ids=["ends", "breaks"])


@pytest.mark.behaviour("H16")
@ENDS
async def test_an_answer_whose_stream_is_cut_arrives_by_resumption(breaks: bool) -> None:
    async with RawHttp.open(*IDS) as http, running(HttpLaunch(http.url), limits=EAGER) as rig:
        await rig.reach(Health.CONNECTED)
        http.break_streams = breaks
        http.cut_streams = 3
        assert b"1.0" in await rig.call("echo", '{"n":1.0}')
        assert http.counts["resumed"] == 3
        assert http.server.seen["tools/call"] == 1


@pytest.mark.behaviour("H16")
@ENDS
async def test_a_stream_that_resumption_does_not_bring_on_is_given_up(breaks: bool) -> None:
    flags = (*IDS, "--stream-retry", "0")
    async with RawHttp.open(*flags) as http, running(HttpLaunch(http.url), limits=EAGER) as rig:
        await rig.reach(Health.CONNECTED)
        http.break_streams = breaks
        http.cut_streams = 1000
        started = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionLost, match="ended its answer before the result came"):
            await rig.call("echo")
        assert http.counts["resumed"] == EAGER.resumes
        # 0.02, 0.04, 0.08, 0.1 and 0.1 s, although the server asks for none.
        assert asyncio.get_running_loop().time() - started > 0.3
        http.cut_streams = 0
        await rig.call("echo")
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("H16")
async def test_the_servers_own_pause_before_a_resumption_is_kept() -> None:
    flags = (*IDS, "--stream-retry", "400")
    async with RawHttp.open(*flags) as http, running(HttpLaunch(http.url), limits=EAGER) as rig:
        await rig.reach(Health.CONNECTED)
        http.cut_streams = 1
        started = asyncio.get_running_loop().time()
        await rig.call("echo")
        assert asyncio.get_running_loop().time() - started > 0.39


@pytest.mark.behaviour("H16")
@pytest.mark.parametrize(
    "flags", [("--legacy-only", "--sse"), ("--modern-only", "--sse", "--event-ids")]
)
@ENDS
async def test_a_cut_stream_that_cannot_be_resumed_fails_its_call_at_once(
    flags: tuple[str, ...], breaks: bool
) -> None:
    async with RawHttp.open(*flags) as http, running(HttpLaunch(http.url)) as rig:
        await http.until(lambda: http.streams)
        asked = http.counts["GET"]
        http.break_streams = breaks
        http.cut_streams = 1
        with pytest.raises(ConnectionLost):
            await rig.call("echo")
        assert http.counts["GET"] == asked
        await rig.call("echo")


@pytest.mark.behaviour("H16")
async def test_a_resumption_that_is_refused_ends_the_call() -> None:
    async with RawHttp.open(*IDS) as http, running(HttpLaunch(http.url), limits=EAGER) as rig:
        await rig.reach(Health.CONNECTED)
        http.options.no_get = True
        http.cut_streams = 1
        with pytest.raises(ConnectionLost, match="ended its answer before"):
            await rig.call("echo")


@pytest.mark.behaviour("H17")
async def test_a_stream_of_changes_that_keeps_ending_is_opened_ever_more_slowly() -> None:
    limits = replace(QUICK, retry_first=0.1, retry_most=60.0)
    flags = ("--legacy-only", "--stream-retry", "0")
    async with (
        RawHttp.open(*flags) as http,
        running(HttpLaunch(http.url), limits=limits) as rig,
    ):
        await rig.reach(Health.CONNECTED)
        started = asyncio.get_running_loop().time()
        for _ in range(4):
            await http.until(lambda: http.streams)
            http.close_streams()
            await http.until(lambda: not http.streams)
        await http.until(lambda: http.streams)
        assert http.counts["GET"] == 5
        # 0.1, 0.2, 0.4 and 0.8 s: with the real limits fewer than 30 a minute.
        assert asyncio.get_running_loop().time() - started > 1.49


@pytest.mark.behaviour("H17")
async def test_lists_of_a_server_without_a_stream_are_looked_at_now_and_then() -> None:
    limits = replace(QUICK, relist=0.1)
    async with (
        RawHttp.open("--legacy-only", "--no-get") as http,
        running(HttpLaunch(http.url), limits=limits) as rig,
    ):
        before = (await rig.reach(Health.CONNECTED)).tools
        http.server.grown += 1
        await rig.until(lambda snapshot: snapshot.tools == before + 1)
        assert http.counts["GET"] == 1


@pytest.mark.behaviour("H28")
async def test_a_stop_does_not_wait_for_the_end_of_a_session_that_hangs() -> None:
    limits = replace(QUICK, goodbye=0.2)
    async with RawHttp.open("--legacy-only", "--hang-on-delete") as http:
        async with running(HttpLaunch(http.url), limits=limits) as rig:
            await rig.reach(Health.CONNECTED)
            started = asyncio.get_running_loop().time()
            await rig.supervisor.close()
            assert asyncio.get_running_loop().time() - started < 2
        assert http.counts["DELETE"] == 1
