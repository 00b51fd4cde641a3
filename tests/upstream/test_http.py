from __future__ import annotations

import asyncio
import json
import socket
import sys
from dataclasses import replace

import pytest

from mcpmux_tui.model.errors import ConnectionLost, NotConnected, RequestTimeout, RpcError
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.spec import HttpLaunch
from tests.fixtures import raw_server
from tests.fixtures.raw_http import RawHttp
from tests.upstream.rig import FIXTURES, QUICK, running

ERAS = pytest.mark.parametrize("era", ["--legacy-only", "--modern-only"])
ANSWERS = pytest.mark.parametrize("answers", [(), ("--sse",)], ids=["json", "sse"])
SLOW_RETRY = replace(QUICK, retry_first=60.0, retry_most=60.0)


def text(result: bytes) -> str:
    """The text of a result's first content."""
    found: str = json.loads(result)["content"][0]["text"]
    return found


@ERAS
@ANSWERS
async def test_the_bytes_of_a_result_are_those_the_server_wrote(
    era: str, answers: tuple[str, ...]
) -> None:
    async with RawHttp.open(era, *answers) as http, running(HttpLaunch(http.url)) as rig:
        wanted = raw_server.HARD if era == "--legacy-only" else raw_server.HARD_MODERN
        assert await rig.call("hard") == wanted.encode()
        assert rig.snapshot.era == ("2025-11-25" if era == "--legacy-only" else "2026-07-28")
        assert rig.snapshot.server_info == "raw 1.0"


@ERAS
@ANSWERS
async def test_large_results_arrive_and_too_large_ones_fail_alone(
    era: str, answers: tuple[str, ...]
) -> None:
    limits = replace(QUICK, message=2_000_000)
    async with (
        RawHttp.open(era, *answers) as http,
        running(HttpLaunch(http.url), limits=limits) as rig,
    ):
        assert len(await rig.call("big", '{"size":1500000}')) > 1_500_000
        with pytest.raises(ConnectionLost, match="the answer is larger than"):
            await rig.call("big", '{"size":2500000}')
        assert text(await rig.call("echo", '{"n":1.0}')) == '{"n":1.0}'


@ERAS
async def test_an_error_answer_keeps_its_bytes(era: str) -> None:
    async with RawHttp.open(era) as http, running(HttpLaunch(http.url)) as rig:
        with pytest.raises(RpcError) as caught:
            await rig.call("refuse")
        assert caught.value.raw == raw_server.ERROR.encode()


async def test_an_error_with_a_status_is_the_servers_own_error() -> None:
    async with RawHttp.open("--modern-only") as http, running(HttpLaunch(http.url)) as rig:
        channel = await rig.channel()
        from mcpmux_tui.model.channel import Caller

        with pytest.raises(RpcError) as caught:
            await channel.request("no/such", b"{}", caller=Caller())
        assert caught.value.code == -32601


async def test_2026_headers_repeat_the_request() -> None:
    async with RawHttp.open("--modern-only") as http, running(HttpLaunch(http.url)) as rig:
        with pytest.raises(RpcError, match="no tool größe"):
            await rig.call("größe")
        assert http.last_headers["mcp-method"] == "tools/call"
        assert http.last_headers["mcp-name"].startswith("=?base64?")
        assert http.last_headers["mcp-protocol-version"] == "2026-07-28"
        assert "mcp-session-id" not in http.last_headers


async def test_annotated_arguments_are_repeated_as_headers() -> None:
    async with (
        RawHttp.open("--modern-only", "--param-header") as http,
        running(HttpLaunch(http.url)) as rig,
    ):
        assert text(await rig.call("region", '{"region":"Köln"}')) == "Köln"
        assert http.last_headers["mcp-param-region"].startswith("=?base64?")


async def test_declared_headers_go_with_every_request() -> None:
    async with RawHttp.open() as http:
        launch = HttpLaunch(http.url, headers={"Authorization": "Bearer abc"})
        async with running(launch) as rig:
            await rig.call("echo")
            assert http.last_headers["authorization"] == "Bearer abc"
            assert http.last_headers["user-agent"].startswith("mcpmux/")


@pytest.mark.behaviour("H2", "H3")
@pytest.mark.parametrize("fault", ["status", "cut"])
async def test_one_failed_response_fails_its_own_call(fault: str) -> None:
    async with RawHttp.open("--legacy-only") as http, running(HttpLaunch(http.url)) as rig:
        siblings = [asyncio.create_task(rig.call("slow", '{"key":"k"}')) for _ in range(4)]
        async with asyncio.timeout(5):
            while http.server.seen["tools/call"] < 4:
                await asyncio.sleep(0.01)
        if fault == "status":
            http.refuse = [503]
            with pytest.raises(ConnectionLost, match="fixture: answered HTTP 503 Service Unavail"):
                await rig.call("echo")
        else:
            http.cut = 1
            with pytest.raises(ConnectionLost, match=r"the connection to 127\.0\.0\.1 broke"):
                await rig.call("echo")
        session = set(http.sessions)
        http.server.tell("k")
        assert [text(result) for result in await asyncio.gather(*siblings)] == ["done"] * 4
        assert text(await rig.call("echo")) == "{}"
        assert http.sessions == session
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("H5")
async def test_an_expired_session_is_renewed_once_and_its_calls_run_once() -> None:
    async with RawHttp.open("--legacy-only") as http, running(HttpLaunch(http.url)) as rig:
        await rig.call("echo")
        http.drop_sessions()
        before = http.server.seen.copy()
        results = await asyncio.gather(*(rig.call("echo", f'{{"n":{n}}}') for n in range(10)))
        assert [text(result) for result in results] == [f'{{"n":{n}}}' for n in range(10)]
        assert http.server.seen["initialize"] - before["initialize"] == 1
        assert http.server.seen["tools/call"] - before["tools/call"] == 10
        assert rig.states == ["connecting", "connected"]


@ERAS
@ANSWERS
async def test_a_grown_tool_list_is_fetched_again(era: str, answers: tuple[str, ...]) -> None:
    async with RawHttp.open(era, *answers) as http, running(HttpLaunch(http.url)) as rig:
        before = (await rig.reach(Health.CONNECTED)).tools
        async with asyncio.timeout(5):
            while not http.streams:
                await asyncio.sleep(0.01)
        await rig.call("grow")
        await rig.until(lambda snapshot: snapshot.tools == before + 1)


@pytest.mark.behaviour("H17")
@ERAS
async def test_a_broken_stream_of_changes_is_opened_again_and_nothing_is_missed(era: str) -> None:
    async with RawHttp.open(era) as http, running(HttpLaunch(http.url)) as rig:
        before = (await rig.reach(Health.CONNECTED)).tools
        async with asyncio.timeout(5):
            while not http.streams:
                await asyncio.sleep(0.01)
            http.close_streams()
            while http.streams:
                await asyncio.sleep(0.01)
        http.server.grow()
        await rig.until(lambda snapshot: snapshot.tools == before + 1)


async def test_a_server_without_a_stream_is_asked_for_it_once() -> None:
    flags = ("--legacy-only", "--no-get")
    async with RawHttp.open(*flags) as http, running(HttpLaunch(http.url)) as rig:
        await rig.reach(Health.CONNECTED)
        await asyncio.sleep(0.3)
        assert http.counts["GET"] == 1


@ERAS
async def test_a_cancelled_call_is_cancelled_as_its_era_does(era: str) -> None:
    async with RawHttp.open(era) as http, running(HttpLaunch(http.url)) as rig:
        slow = asyncio.create_task(rig.call("slow", '{"key":"k"}'))
        async with asyncio.timeout(5):
            while not http.server.seen["tools/call"]:
                await asyncio.sleep(0.01)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            while not (http.server.cancelled or http.counts["closed"]):
                await asyncio.sleep(0.01)
        assert bool(http.server.cancelled) == (era == "--legacy-only")
        # In the older era the server works on: leaving is no cancel.
        http.server.tell("k")


async def test_a_silent_call_ends() -> None:
    async with RawHttp.open() as http, running(HttpLaunch(http.url), silence=0.2) as rig:
        with pytest.raises(RequestTimeout, match=r"within 0\.2 s"):
            await rig.call("slow")
        assert rig.snapshot.state is Health.CONNECTED


@pytest.mark.behaviour("H19")
async def test_progress_in_the_answers_stream_keeps_a_call_alive() -> None:
    async with RawHttp.open() as http, running(HttpLaunch(http.url), silence=0.4) as rig:
        arguments = '{"seconds":1.0,"progress":0.1}'
        assert text(await rig.call("slow", arguments, progressToken=7)) == "done"


async def test_the_session_is_deleted_at_the_end() -> None:
    async with RawHttp.open("--legacy-only") as http:
        async with running(HttpLaunch(http.url)) as rig:
            await rig.reach(Health.CONNECTED)
            assert len(http.sessions) == 1
        assert (http.counts["DELETE"], http.sessions) == (1, set())


async def test_a_call_in_flight_fails_when_the_server_is_disconnected() -> None:
    async with RawHttp.open() as http, running(HttpLaunch(http.url)) as rig:
        slow = asyncio.create_task(rig.call("slow"))
        async with asyncio.timeout(5):
            while not http.server.seen["tools/call"]:
                await asyncio.sleep(0.01)
        rig.supervisor.post(Action.DISCONNECT)
        with pytest.raises(ConnectionLost, match="fixture: was stopped"):
            await slow
        await rig.reach(Health.IDLE)


@pytest.mark.behaviour("H21")
async def test_a_web_page_is_named_and_not_asked_again() -> None:
    async with RawHttp.open("--html") as http, running(HttpLaunch(http.url)) as rig:
        failed = await rig.reach(Health.FAILED)
        assert failed.summary == 'this address answered a web page ("Sign in to Cafe")'
        assert "\x1b" not in failed.detail
        asked = http.counts["POST"]
        await asyncio.sleep(0.2)
        assert http.counts["POST"] == asked


@pytest.mark.behaviour("H22")
async def test_a_redirect_is_shown_and_not_followed() -> None:
    async with (
        RawHttp.open() as other,
        RawHttp.open("--redirect", other.url + "?token=secret") as http,
        running(HttpLaunch(http.url)) as rig,
    ):
        failed = await rig.reach(Health.FAILED)
        assert failed.summary == f"this address redirects to {other.url}"
        assert "Put that address in the config" in failed.detail
        assert other.counts["POST"] == 0


async def test_401_waits_for_a_person() -> None:
    async with RawHttp.open("--status", "401") as http, running(HttpLaunch(http.url)) as rig:
        snapshot = await rig.reach(Health.NEEDS_SIGN_IN)
        assert "`Authorization` header" in snapshot.detail
        assert snapshot.action is Action.RETRY
        asked = http.counts["POST"]
        with pytest.raises(NotConnected, match="waiting for a sign-in"):
            await rig.supervisor.ready(5)
        await asyncio.sleep(0.2)
        assert http.counts["POST"] == asked
        http.options.status = None
        rig.supervisor.post(Action.RETRY)
        await rig.reach(Health.CONNECTED)


@pytest.mark.parametrize(
    ("status", "state"),
    [(403, Health.FAILED), (404, Health.FAILED), (429, Health.RECONNECTING),
     (503, Health.RECONNECTING)],
)  # fmt: skip
async def test_what_passes_by_itself_is_tried_again_and_nothing_else(
    status: int, state: Health
) -> None:
    async with (
        RawHttp.open("--status", str(status)) as http,
        running(HttpLaunch(http.url), limits=SLOW_RETRY) as rig,
    ):
        await rig.until(lambda snapshot: snapshot.state is not Health.CONNECTING)
        assert rig.snapshot.state is state
        assert f"Answered HTTP {status} " in rig.snapshot.detail


@pytest.mark.behaviour("H1")
async def test_each_kind_of_closed_door_has_its_own_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    addresses = {
        f"http://127.0.0.1:{port}/mcp": "Connection refused by 127.0.0.1.",
        "http://no-such-host.invalid/mcp": "No such host: no-such-host.invalid.",
    }
    for address, words in addresses.items():
        async with running(HttpLaunch(address), limits=SLOW_RETRY) as rig:
            down = await rig.reach(Health.RECONNECTING)
            assert down.detail.startswith(words)
    async with RawHttp.open() as http:
        secure = http.url.replace("http:", "https:")
        async with running(HttpLaunch(secure), limits=SLOW_RETRY) as rig:
            down = await rig.reach(Health.RECONNECTING)
            assert down.detail.startswith("No TLS with 127.0.0.1")


@pytest.mark.parametrize("url", ["ftp://x/mcp", "mcp.example", "http://[::1", "http:///mcp"])
async def test_what_is_no_address_is_said(url: str) -> None:
    async with running(HttpLaunch(url)) as rig:
        failed = await rig.reach(Health.FAILED)
        assert failed.summary.startswith("not an ")


@pytest.mark.parametrize("headers", [{"X": "a\r\nB: c"}, {"Ä": "x"}, {"X": "ü"}, {"A b": "x"}])
async def test_headers_that_http_cannot_carry_are_said(headers: dict[str, str]) -> None:
    async with running(HttpLaunch("http://127.0.0.1:9/mcp", headers=headers)) as rig:
        failed = await rig.reach(Health.FAILED)
        assert "cannot be sent" in failed.summary


@pytest.mark.behaviour("H25")
async def test_loopback_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawHttp.open() as http, RawHttp.open() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with running(HttpLaunch(http.url)) as rig:
            await rig.call("echo")
        assert proxy.counts.total() == 0


async def test_a_server_that_goes_away_is_noticed_and_comes_back() -> None:
    http = RawHttp.__new__(RawHttp)
    async with RawHttp.open("--legacy-only") as http:
        port = int(http.url.rsplit(":", 1)[1].removesuffix("/mcp"))
        supervised = running(HttpLaunch(http.url))
        rig = await supervised.__aenter__()
        await rig.reach(Health.CONNECTED)
    try:
        await rig.reach(Health.RECONNECTING)
        assert rig.supervisor.lists.tools
        again = RawHttp(http.options)
        listener = await again.listen(port)
        await rig.reach(Health.CONNECTED)
        assert text(await rig.call("echo")) == "{}"
    finally:
        await supervised.__aexit__(None, None, None)
    await again.close(listener)


async def test_the_fixture_runs_as_a_child_with_its_knobs() -> None:
    import httpx2

    child = await asyncio.create_subprocess_exec(
        sys.executable, str(FIXTURES / "raw_http.py"), "--legacy-only",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    url = (await child.stdout.readline()).decode().strip()
    try:
        async with running(HttpLaunch(url)) as rig, httpx2.AsyncClient(trust_env=False) as client:
            await rig.call("echo")
            base = url.removesuffix("/mcp")
            await client.post(f"{base}/do/status/429/1")
            with pytest.raises(ConnectionLost, match="429"):
                await rig.call("echo")
            await client.post(f"{base}/do/drop-sessions")
            await rig.call("echo")
            counts = (await client.get(f"{base}/counts")).json()
            assert counts["methods"]["initialize"] == 2
    finally:
        child.terminate()
        await child.wait()
