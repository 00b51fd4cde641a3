from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
from dataclasses import replace

import httpx2
import pytest

from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import ConnectionLost, NotConnected, RequestTimeout, RpcError
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.spec import HttpLaunch, Launch
from mcpmux_tui.upstream.network import explain
from tests.fixtures import raw_server
from tests.fixtures.clock import Clock
from tests.fixtures.raw_http import RawHttp, parse
from tests.upstream.rig import FIXTURES, QUICK, Ears, PlainValues, running

ERAS = pytest.mark.parametrize("era", ["--legacy-only", "--modern-only"])
ANSWERS = pytest.mark.parametrize("answers", [(), ("--sse",)], ids=["json", "sse"])
HOUR = 3600.0
PATIENT = replace(QUICK, ping_after=10 * HOUR)
"""For a clock in a test's hand."""
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


@pytest.mark.behaviour("H18")
@ANSWERS
async def test_a_result_of_10_mb_arrives_either_way(answers: tuple[str, ...]) -> None:
    flags = ("--legacy-only", *answers)
    async with RawHttp.open(*flags) as http, running(HttpLaunch(http.url)) as rig:
        assert len(await rig.call("big", '{"size":10000000}')) > 10_000_000


@pytest.mark.behaviour("LUN-T05")
@ERAS
async def test_an_error_answer_keeps_its_bytes(era: str) -> None:
    async with RawHttp.open(era) as http, running(HttpLaunch(http.url)) as rig:
        with pytest.raises(RpcError) as caught:
            await rig.call("refuse")
        assert caught.value.raw == raw_server.ERROR.encode()


async def test_an_error_with_a_status_is_the_servers_own_error() -> None:
    async with RawHttp.open("--modern-only") as http, running(HttpLaunch(http.url)) as rig:
        channel = await rig.channel()
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


async def test_one_connection_is_enough_for_one_request_after_the_other() -> None:
    flags = ("--legacy-only", "--no-get")
    async with RawHttp.open(*flags) as http, running(HttpLaunch(http.url)):
        await http.until(lambda: http.counts["GET"])
        assert http.counts["POST"] == 4
        assert http.counts["connections"] == 1


@pytest.mark.behaviour("H2", "H3")
@pytest.mark.parametrize("fault", ["status", "cut"])
async def test_one_failed_response_fails_its_own_call(fault: str) -> None:
    async with RawHttp.open("--legacy-only") as http, running(HttpLaunch(http.url)) as rig:
        siblings = [asyncio.create_task(rig.call("slow", '{"key":"k"}')) for _ in range(4)]
        await http.until(lambda: http.server.seen["tools/call"] >= 4)
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
        await http.until(lambda: http.streams)
        await rig.call("grow")
        await rig.until(lambda snapshot: snapshot.tools == before + 1)


@pytest.mark.behaviour("H17")
@ERAS
async def test_a_broken_stream_of_changes_is_opened_again_and_nothing_is_missed(era: str) -> None:
    async with RawHttp.open(era) as http, running(HttpLaunch(http.url)) as rig:
        before = (await rig.reach(Health.CONNECTED)).tools
        await http.until(lambda: http.streams)
        http.close_streams()
        await http.until(lambda: not http.streams)
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
        await http.until(lambda: http.server.seen["tools/call"])
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        await http.until(lambda: http.server.cancelled or http.counts["closed"])
        assert bool(http.server.cancelled) == (era == "--legacy-only")
        # In the older era the server works on: leaving is no cancel.
        http.server.tell("k")


async def test_a_silent_call_ends() -> None:
    async with RawHttp.open() as http, running(HttpLaunch(http.url), silence=0.2) as rig:
        with pytest.raises(RequestTimeout, match=r"within 0\.2 s"):
            await rig.call("slow")
        assert rig.snapshot.state is Health.CONNECTED


@pytest.mark.behaviour("H19")
async def test_progress_in_the_answers_stream_keeps_a_call_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        RawHttp.open() as http,
        running(HttpLaunch(http.url), limits=PATIENT, silence=HOUR) as rig,
    ):
        await rig.reach(Health.CONNECTED)
        clock, ears = Clock.taken(monkeypatch), Ears()
        arguments = f'{{"key":"k","seconds":{10 * HOUR},"progress":0.01}}'
        call = asyncio.create_task(rig.call("slow", arguments, client=ears, progressToken=7))
        for _ in range(3):
            await ears.hears_more()
            await clock.after(0.8 * HOUR)
            assert not call.done()
        http.server.tell("k")
        assert text(await call) == "done"


async def test_the_session_is_deleted_at_the_end() -> None:
    async with RawHttp.open("--legacy-only") as http:
        async with running(HttpLaunch(http.url)) as rig:
            await rig.reach(Health.CONNECTED)
            assert len(http.sessions) == 1
        assert (http.counts["DELETE"], http.sessions) == (1, set())


async def test_a_call_in_flight_fails_when_the_server_is_disconnected() -> None:
    async with RawHttp.open() as http, running(HttpLaunch(http.url)) as rig:
        slow = asyncio.create_task(rig.call("slow"))
        await http.until(lambda: http.server.seen["tools/call"])
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


@pytest.mark.behaviour("LIB-C04")
@pytest.mark.parametrize(
    ("headers", "action"), [({}, Action.SIGN_IN), ({"Authorization": "Bearer x"}, Action.RETRY)]
)
async def test_401_waits_for_a_person(headers: dict[str, str], action: Action) -> None:
    async with (
        RawHttp.open("--status", "401") as http,
        running(HttpLaunch(http.url, headers)) as rig,
    ):
        snapshot = await rig.reach(Health.NEEDS_SIGN_IN)
        assert "`Authorization` header" in snapshot.detail
        assert snapshot.action is action
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
async def test_a_closed_port_is_tried_again_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with running(HttpLaunch(f"http://127.0.0.1:{port}/mcp"), limits=SLOW_RETRY) as rig:
        down = await rig.reach(Health.RECONNECTING)
        assert down.detail.startswith(f"Connection refused by 127.0.0.1:{port}.")


@pytest.mark.behaviour("H1")
async def test_plain_http_behind_an_https_address_is_named() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        launch = HttpLaunch(f"https://127.0.0.1:{port}/mcp")
        async with running(launch, limits=SLOW_RETRY) as rig:
            down = await rig.reach(Health.RECONNECTING)
            assert down.detail.startswith("No TLS with 127.0.0.1")


def _untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message, error.verify_code = "self-signed certificate", 18
    return error


@pytest.mark.behaviour("H1")
@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "no such host: mcp.example"),
        (_untrusted(), "certificate not trusted for mcp.example"),
        (ConnectionRefusedError(), "connection refused by mcp.example:443"),
        (OSError("weird"), "mcp.example could not be reached (odd)"),
    ],
)
def test_each_kind_of_closed_door_has_its_own_words(cause: OSError, words: str) -> None:
    error = httpx2.ConnectError("odd")
    error.__cause__ = ExceptionGroup("all failed", [OSError("first"), cause])
    found = explain(error, "mcp.example", 5.0, address="mcp.example:443")
    assert isinstance(found, NotConnected)
    assert found.message.startswith(words)


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


@pytest.mark.behaviour("LUN-T04")
async def test_a_server_that_goes_away_is_noticed_and_comes_back() -> None:
    http = RawHttp(parse(("--legacy-only",)))
    listener = await http.listen()
    async with running(HttpLaunch(http.url)) as rig:
        await http.until(lambda: http.streams)
        await rig.reach(Health.CONNECTED)
        await http.close(listener)
        await rig.reach(Health.RECONNECTING)
        assert rig.supervisor.lists.tools
        again = RawHttp(http.options)
        listener = await again.listen(httpx2.URL(http.url).port or 0)
        await rig.reach(Health.CONNECTED)
        assert text(await rig.call("echo")) == "{}"
    await again.close(listener)


async def test_the_fixture_runs_as_a_child_with_its_knobs() -> None:
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


class Filled(PlainValues):
    """Values for which every placeholder stands for the same text."""

    def __init__(self, value: str) -> None:
        self.value = value

    async def resolve(self, launch: Launch) -> Launch:
        assert isinstance(launch, HttpLaunch)
        return HttpLaunch(launch.url.replace("${U}", self.value))


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("${U}", "hunter2"),
        ("${U}", "ftp://hunter2/x"),
        ("${U}", "http://[::hunter2"),
        ("${U}", "http://127.0.0.1:hunter2/"),
        ("${U}", "http://127.0.0.1:1/" + "hunter2" * 10_000),
        ("http://${U}.invalid:1/", "hunter2"),
    ],
)
async def test_the_value_of_a_placeholder_is_not_in_a_sentence(url: str, value: str) -> None:
    async with running(HttpLaunch(url), limits=SLOW_RETRY, values=Filled(value)) as rig:
        await rig.until(lambda s: s.state in {Health.FAILED, Health.RECONNECTING})
        assert "${U}" in rig.snapshot.detail
        assert "hunter2" not in repr((rig.seen, rig.journal.lines))


async def test_a_redirect_does_not_show_the_value_of_a_placeholder() -> None:
    async with RawHttp.open("--redirect", "/hunter2/") as http:
        url = http.url.replace("/mcp", "/${U}")
        async with running(HttpLaunch(url), values=Filled("mcp")) as rig:
            failed = await rig.reach(Health.FAILED)
            assert failed.summary == "this address redirects to another one"
            assert "hunter2" not in repr((rig.seen, rig.journal.lines))
