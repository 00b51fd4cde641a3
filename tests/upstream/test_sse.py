from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from mcpmux_tui.model.errors import ConnectionLost, RequestTimeout, RpcError
from mcpmux_tui.model.server import Health
from mcpmux_tui.model.spec import HttpLaunch
from tests.fixtures import raw_server
from tests.fixtures.raw_http import RawHttp
from tests.upstream.rig import QUICK, running

SLOW_RETRY = replace(QUICK, retry_first=60.0, retry_most=60.0)


def sse(url: str) -> HttpLaunch:
    return HttpLaunch(url, transport="sse")


@pytest.mark.behaviour("H23", "H24")
@pytest.mark.parametrize("transport", ["auto", "sse"])
async def test_a_server_of_the_old_transport_works_like_any_other(transport: str) -> None:
    async with RawHttp.open("--old-sse", "--legacy-only") as http:
        launch = HttpLaunch(http.url, transport="sse" if transport == "sse" else "auto")
        async with running(launch) as rig:
            connected = await rig.reach(Health.CONNECTED)
            assert (connected.transport, connected.era) == ("sse", "2025-11-25")
            assert await rig.call("hard") == raw_server.HARD.encode()
            with pytest.raises(RpcError) as caught:
                await rig.call("refuse")
            assert caught.value.raw == raw_server.ERROR.encode()
            results = await asyncio.gather(*(rig.call("echo", f'{{"n":{n}}}') for n in range(20)))
            texts = [json.loads(result)["content"][0]["text"] for result in results]
            assert texts == [f'{{"n":{n}}}' for n in range(20)]
            await rig.call("grow")
            await rig.until(lambda snapshot: snapshot.tools == connected.tools + 1)


@pytest.mark.behaviour("H23")
async def test_what_auto_found_out_is_remembered_until_it_is_wrong() -> None:
    async with (
        RawHttp.open("--old-sse", "--legacy-only") as http,
        running(HttpLaunch(http.url)) as rig,
    ):
        await rig.reach(Health.CONNECTED)
        asked = http.counts["POST"]
        http.close_streams()
        await rig.reach(Health.RECONNECTING)
        await rig.reach(Health.CONNECTED)
        assert http.counts["POST"] == asked
        # The server is replaced by a newer one at the same address.
        http.options.old_sse = False
        http.close_streams()
        await rig.reach(Health.RECONNECTING)
        assert (await rig.reach(Health.CONNECTED)).transport == "http"


@pytest.mark.behaviour("H23")
async def test_an_address_that_speaks_neither_says_what_it_answered_first() -> None:
    async with (
        RawHttp.open("--status", "405") as http,
        running(HttpLaunch(http.url)) as rig,
    ):
        failed = await rig.reach(Health.FAILED)
        assert failed.summary == "answered HTTP 405 Method Not Allowed"
        assert http.counts["GET"] == 1


@pytest.mark.behaviour("H23")
async def test_a_transport_that_was_named_is_not_guessed_at() -> None:
    async with (
        RawHttp.open("--old-sse") as http,
        running(HttpLaunch(http.url, transport="http")) as rig,
    ):
        failed = await rig.reach(Health.FAILED)
        assert failed.summary == "answered HTTP 405 Method Not Allowed"
        assert http.counts["GET"] == 0


@pytest.mark.behaviour("H30")
@pytest.mark.parametrize("status", [500, 429])
async def test_a_message_that_is_refused_fails_its_own_call(status: int) -> None:
    async with RawHttp.open("--old-sse", "--legacy-only") as http, running(sse(http.url)) as rig:
        sibling = asyncio.create_task(rig.call("slow", '{"key":"k"}'))
        await http.until(lambda: http.server.seen["tools/call"])
        http.refuse = [status]
        with pytest.raises(ConnectionLost, match=f"HTTP {status}"):
            await rig.call("echo")
        http.server.tell("k")
        await sibling
        await rig.call("echo")
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("H30")
async def test_the_end_of_the_stream_fails_what_waits_and_is_mended() -> None:
    async with RawHttp.open("--old-sse", "--legacy-only") as http, running(sse(http.url)) as rig:
        waiting = asyncio.create_task(rig.call("slow"))
        await http.until(lambda: http.server.seen["tools/call"])
        http.close_streams()
        with pytest.raises(ConnectionLost, match="ended its stream"):
            await waiting
        await rig.reach(Health.RECONNECTING)
        await rig.reach(Health.CONNECTED)
        await rig.call("echo")


@pytest.mark.behaviour("H30")
async def test_a_server_that_forgot_the_session_is_connected_anew() -> None:
    async with RawHttp.open("--old-sse", "--legacy-only") as http, running(sse(http.url)) as rig:
        await rig.reach(Health.CONNECTED)
        http.old_streams.clear()
        with pytest.raises(ConnectionLost):
            await rig.call("echo")
        await rig.reach(Health.RECONNECTING)
        await rig.reach(Health.CONNECTED)
        await rig.call("echo")


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:1/messages", "https://evil.example/", "//x/", "http://[::"]
)
async def test_messages_never_go_to_another_place_than_the_entrys(where: str) -> None:
    flags = ("--old-sse", "--endpoint", where)
    async with RawHttp.open(*flags) as http, running(sse(http.url)) as rig:
        failed = await rig.reach(Health.FAILED)
        assert failed.summary.startswith("wants its messages sent to another place")


async def test_a_stream_that_never_names_an_address_is_given_up() -> None:
    limits = replace(SLOW_RETRY, remote_start=0.3)
    async with (
        RawHttp.open("--old-sse", "--endpoint", "\n") as http,
        running(sse(http.url), limits=limits) as rig,
    ):
        down = await rig.reach(Health.RECONNECTING)
        assert down.detail.startswith("Not ready within 0.3 s.")


async def test_a_cancelled_call_is_cancelled_and_a_silent_one_ends() -> None:
    async with (
        RawHttp.open("--old-sse", "--legacy-only") as http,
        running(sse(http.url), silence=0.3) as rig,
    ):
        with pytest.raises(RequestTimeout):
            await rig.call("slow")
        await http.until(lambda: http.server.cancelled)
        slow = asyncio.create_task(rig.call("slow"))
        await http.until(lambda: http.server.seen["tools/call"] == 2)
        slow.cancel()
        await http.until(lambda: len(http.server.cancelled) == 2)


@pytest.mark.parametrize(("status", "state"), [(401, Health.NEEDS_SIGN_IN), (403, Health.FAILED)])
async def test_a_refused_stream_is_a_state_with_its_reason(status: int, state: Health) -> None:
    async with (
        RawHttp.open("--old-sse", "--get-status", str(status)) as http,
        running(sse(http.url)) as rig,
    ):
        refused = await rig.reach(state)
        assert f"HTTP {status}" in refused.detail
