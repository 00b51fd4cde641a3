from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.model.retry_after import asked_pause
from mcpmux_tui.model.server import Health
from mcpmux_tui.model.spec import HttpLaunch
from tests.fixtures.raw_http import RawHttp
from tests.upstream.rig import QUICK, running


@pytest.mark.behaviour("H3")
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("86400", 600.0), ("9" * 400, 600.0), ("", None), ("soon", None),
     ("-3", None), ("\u0661", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_a_pause_is_read_in_both_forms_and_capped(header: str, seconds: float | None) -> None:
    assert asked_pause(header) == seconds


@pytest.mark.behaviour("H3")
def test_a_pause_until_a_date_is_counted_from_now() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    found = asked_pause(date)
    assert found is not None
    assert 98 < found <= 100


@pytest.mark.behaviour("H3")
async def test_a_server_that_asks_for_a_pause_at_the_start_is_left_alone() -> None:
    async with (
        RawHttp.open("--status", "503", "--retry-after", "7") as http,
        running(HttpLaunch(http.url)) as rig,
    ):
        down = await rig.reach(Health.RECONNECTING)
        assert down.retry_at is not None
        assert down.since is not None
        assert 6.5 < down.retry_at - down.since <= 7.0
        assert "retry in 7 s" in down.detail
        # One probe; the `initialize` that would follow it was held back.
        assert http.counts["POST"] == 1


@pytest.mark.behaviour("H3", "H4")
@pytest.mark.parametrize("status", [429, 503])
async def test_during_a_pause_calls_fail_at_once_and_nothing_is_sent(status: int) -> None:
    async with (
        RawHttp.open("--legacy-only", "--no-get", "--retry-after", "7") as http,
        running(HttpLaunch(http.url)) as rig,
    ):
        await rig.reach(Health.CONNECTED)
        http.refuse = [status] * 100
        with pytest.raises(ConnectionLost, match=rf"HTTP {status} .* retry in 7 s") as caught:
            await rig.call("echo")
        assert (caught.value.status, caught.value.retry_after) == (status, 7.0)
        paused = await rig.reach(Health.DEGRADED)
        assert paused.summary.startswith("asks for a pause until ")
        sent = http.counts["POST"]
        calls = [asyncio.create_task(rig.call("echo")) for _ in range(100)]
        failed = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in failed} == {ConnectionLost}
        assert http.counts["POST"] == sent


@pytest.mark.behaviour("H3", "H4")
async def test_after_the_pause_the_server_is_as_before() -> None:
    async with (
        RawHttp.open("--legacy-only", "--no-get", "--retry-after", "1") as http,
        running(HttpLaunch(http.url)) as rig,
    ):
        await rig.reach(Health.CONNECTED)
        http.refuse = [429]
        with pytest.raises(ConnectionLost):
            await rig.call("echo")
        await rig.reach(Health.DEGRADED)
        await rig.reach(Health.CONNECTED)
        await rig.call("echo")
        assert rig.states == ["connecting", "connected", "degraded", "connected"]


@pytest.mark.behaviour("LIB-L05")
async def test_lists_that_could_not_be_had_are_asked_for_again() -> None:
    limits = replace(QUICK, retry_first=0.02)
    async with (
        RawHttp.open("--legacy-only") as http,
        running(HttpLaunch(http.url), limits=limits) as rig,
    ):
        before = await rig.reach(Health.CONNECTED)
        await http.until(lambda: http.streams)
        http.refuse_lists = [500, 502]
        http.server.grow()
        degraded = await rig.reach(Health.DEGRADED)
        assert degraded.tools == before.tools
        healed = await rig.reach(Health.CONNECTED)
        assert healed.tools == before.tools + 1
