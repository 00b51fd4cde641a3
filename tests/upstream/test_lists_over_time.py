"""The lists of a server that is connected, changes, goes away and comes back."""

from __future__ import annotations

import pytest

from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.spec import HttpLaunch
from tests.fixtures import raw_server
from tests.fixtures.raw_http import RawHttp
from tests.upstream.rig import raw, running

ERAS = pytest.mark.parametrize("era", ["--legacy-only", "--modern-only"])


@pytest.mark.behaviour("LIB-L01")
@ERAS
async def test_a_change_during_a_fetch_brings_one_more_fetch(era: str) -> None:
    async with RawHttp.open(era) as http, running(HttpLaunch(http.url)) as rig:
        before = (await rig.reach(Health.CONNECTED)).tools
        await http.until(lambda: http.streams)
        asked = http.server.seen["tools/list"]
        http.server.list_gate.clear()
        http.server.grow()
        await http.until(lambda: http.server.seen["tools/list"] == asked + 1)
        for _ in range(5):
            http.server.grow()
        http.server.list_gate.set()
        await rig.until(lambda snapshot: snapshot.tools == before + 6)


@pytest.mark.behaviour("LIB-L02")
async def test_a_list_that_comes_after_a_disconnect_counts_for_nothing() -> None:
    async with RawHttp.open("--legacy-only") as http, running(HttpLaunch(http.url)) as rig:
        before = (await rig.reach(Health.CONNECTED)).tools
        await http.until(lambda: http.streams)
        asked = http.server.seen["tools/list"]
        http.server.list_gate.clear()
        http.server.grow()
        await http.until(lambda: http.server.seen["tools/list"] == asked + 1)
        rig.supervisor.post(Action.DISCONNECT)
        await rig.reach(Health.IDLE)
        http.server.list_gate.set()
        assert rig.snapshot.tools == before


@pytest.mark.behaviour("LIB-L03", "LUN-S09")
async def test_after_a_reconnect_the_list_is_fetched_again() -> None:
    async with RawHttp.open("--legacy-only") as http, running(HttpLaunch(http.url)) as rig:
        before = (await rig.reach(Health.CONNECTED)).tools
        rig.supervisor.post(Action.DISCONNECT)
        await rig.reach(Health.IDLE)
        http.server.grown += 1
        rig.supervisor.post(Action.CONNECT)
        assert (await rig.reach(Health.CONNECTED)).tools == before + 1
        assert rig.listings == 2


@pytest.mark.behaviour("LIB-L04", "MUX-C07")
async def test_a_server_that_offers_no_tools_any_more_is_not_asked_for_them() -> None:
    async with RawHttp.open("--legacy-only") as http, running(HttpLaunch(http.url)) as rig:
        await rig.reach(Health.CONNECTED)
        rig.supervisor.post(Action.DISCONNECT)
        await rig.reach(Health.IDLE)
        asked = http.server.seen["tools/list"]
        http.options.no_tools = True
        rig.supervisor.post(Action.CONNECT)
        connected = await rig.reach(Health.CONNECTED)
        assert (connected.tools, connected.summary) == (0, "no tools")
        assert rig.supervisor.lists.tools == ()
        assert http.server.seen["tools/list"] == asked


@pytest.mark.behaviour("H24")
@pytest.mark.parametrize(
    ("flags", "era"),
    [
        (("--legacy-only", "--version", "2024-11-05"), "2024-11-05"),
        (("--legacy-only", "--version", "2025-03-26"), "2025-03-26"),
        (("--modern-only",), "2026-07-28"),
        ((), "2026-07-28"),
    ],
)
async def test_the_era_that_was_agreed_on_is_shown(flags: tuple[str, ...], era: str) -> None:
    async with running(raw(*flags)) as rig:
        assert (await rig.reach(Health.CONNECTED)).era == era
        await rig.call("echo")
    async with RawHttp.open(*flags) as http, running(HttpLaunch(http.url)) as rig:
        assert (await rig.reach(Health.CONNECTED)).era == era
        await rig.call("echo")


@pytest.mark.behaviour("H24")
async def test_a_version_that_mcpmux_does_not_speak_is_named() -> None:
    async with running(raw("--legacy-only", "--version", "1999-12-31")) as rig:
        failed = await rig.reach(Health.FAILED)
        assert failed.summary == "speaks MCP 1999-12-31, mcpmux speaks 2024-11-05 to 2026-07-28"


@pytest.mark.behaviour("LIB-L01")
@ERAS
async def test_what_changes_before_its_stream_is_open_is_not_missed(era: str) -> None:
    async with RawHttp.open(era) as http:
        http.server.list_gate.clear()
        async with running(HttpLaunch(http.url)) as rig:
            await http.until(lambda: http.server.seen["tools/list"] == 1)
            # The list is on its way, and nobody is there yet to hear of this.
            assert not http.streams
            http.server.grow()
            http.server.list_gate.set()
            await rig.reach(Health.CONNECTED)
            await rig.until(lambda snapshot: snapshot.tools == len(raw_server.NAMES) + 1)
