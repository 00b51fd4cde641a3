from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
import time
from dataclasses import replace

import pytest

from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import ConnectionLost, RequestTimeout, RpcError
from mcpmux_tui.model.server import Action, Health
from tests.fixtures import raw_server
from tests.fixtures.clock import Clock
from tests.upstream.rig import QUICK, UNHURRIED, Ears, Rig, group, raw, running

ERAS = pytest.mark.parametrize("era", ["--legacy-only", "--modern-only"])


def text(result: bytes) -> str:
    """The text of a result's first content."""
    found: str = json.loads(result)["content"][0]["text"]
    return found


@ERAS
async def test_the_bytes_of_a_result_are_those_the_server_wrote(era: str) -> None:
    async with running(raw(era)) as rig:
        wanted = raw_server.HARD if era == "--legacy-only" else raw_server.HARD_MODERN
        assert await rig.call("hard") == wanted.encode()


@ERAS
async def test_arguments_reach_the_server_as_given(era: str) -> None:
    arguments = '{"a": 1.0, "b":[1e400, 1180591620717411303424], "c":"\\ud83d"}'
    async with running(raw(era)) as rig:
        assert text(await rig.call("echo", arguments)) == arguments


async def test_a_2026_server_is_told_who_asks() -> None:
    async with running(raw("--modern-only")) as rig:
        channel = await rig.channel()
        caller = Caller(b'{"name":"client","version":"1"}', b'{"sampling":{}}')
        params = b'{"name":"seen","_meta":{"vendor/x":1}}'
        result = await channel.request("tools/call", params, caller=caller, name="seen")
        meta = json.loads(text(result))["meta"]
        prefix = "io.modelcontextprotocol/"
        assert meta == {
            "vendor/x": 1,
            prefix + "protocolVersion": "2026-07-28",
            prefix + "clientInfo": {"name": "client", "version": "1"},
            prefix + "clientCapabilities": {"sampling": {}},
        }


def held_by_pipes(pid: int) -> list[int]:
    """How many bytes the pipes to and from a server hold."""
    sizes = []
    for number in (0, 1):
        pipe = os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
        sizes.append(fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ))
        os.close(pipe)
    return sizes


@pytest.mark.skipif(sys.platform != "linux", reason="pipes have a size on Linux")
async def test_pipes_are_widened_for_those_who_have_large_messages_alone() -> None:
    async with running(raw()) as rig:
        pid = (await rig.reach(Health.CONNECTED)).pid
        assert pid is not None
        await rig.call("echo", '{"n":1}')
        narrow = held_by_pipes(pid)
        await rig.call("echo", '{"n":"%s"}' % ("x" * 300_000))
        assert [min(narrow[0] * 2, each) for each in held_by_pipes(pid)] == [narrow[0] * 2] * 2


@pytest.mark.behaviour("LUN-T05")
async def test_an_error_answer_keeps_its_bytes() -> None:
    async with running(raw()) as rig:
        with pytest.raises(RpcError) as caught:
            await rig.call("refuse")
        assert caught.value.raw == raw_server.ERROR.encode()
        assert (caught.value.code, caught.value.message) == (-32050, "not today")


@ERAS
async def test_calls_run_side_by_side(era: str) -> None:
    async with running(raw(era)) as rig:
        slow = asyncio.create_task(rig.call("slow", '{"key":"k"}'))
        assert text(await rig.call("echo", '{"n":2}')) == '{"n":2}'
        assert not slow.done()
        await rig.call("tell", '{"key":"k"}')
        assert text(await slow) == "done"


async def cancelled(rig: Rig) -> list[object]:
    """The ids that the server was told to forget, once there are any."""
    for _ in range(100):
        ids: list[object] = json.loads(text(await rig.call("seen")))["cancelled"]
        if ids:
            return ids
    return []


@ERAS
async def test_a_cancelled_call_is_cancelled_at_the_server(era: str) -> None:
    async with running(raw(era)) as rig:
        slow = asyncio.create_task(rig.call("slow", '{"key":"k"}'))
        await rig.call("tell", '{"key":"other"}')
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        (number,) = await cancelled(rig)
        assert isinstance(number, int)


@pytest.mark.behaviour("P3")
async def test_a_silent_call_ends_and_the_others_go_on() -> None:
    async with running(raw(), silence=0.3) as rig:
        started = time.monotonic()
        with pytest.raises(RequestTimeout, match=r"fixture: no answer to tools/call within 0\.3 s"):
            await rig.call("slow")
        assert time.monotonic() - started > 0.25
        assert len(await cancelled(rig)) == 1
        assert rig.snapshot.state is Health.CONNECTED


@pytest.mark.behaviour("H19")
async def test_progress_keeps_a_call_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    hour = 3600.0
    async with running(raw(), limits=replace(QUICK, ping_after=10 * hour), silence=hour) as rig:
        await rig.reach(Health.CONNECTED)
        clock, ears = Clock.taken(monkeypatch), Ears()
        arguments = f'{{"key":"k","seconds":{10 * hour},"progress":0.01}}'
        call = asyncio.create_task(rig.call("slow", arguments, client=ears, progressToken="p"))
        silent = asyncio.create_task(rig.call("slow", arguments))
        await ears.hears_more()
        await clock.after(0.8 * hour)
        await ears.hears_more()
        await clock.after(0.8 * hour)
        with pytest.raises(RequestTimeout):
            await silent
        assert not call.done()
        await rig.call("tell", '{"key":"k"}')
        assert text(await call) == "done"


@pytest.mark.behaviour("P6")
async def test_junk_on_stdout_harms_nobody_and_is_shown_a_little() -> None:
    async with running(raw("--junk", "10000")) as rig:
        assert json.loads(await rig.call("hard"))
        assert rig.journal.of("stdout") == [f"junk line {n} {{" for n in range(5)]
    assert "9995 more lines on stdout were no MCP messages" in rig.journal.of("mcpmux")


@pytest.mark.behaviour("P7")
async def test_invalid_utf8_is_replaced_and_the_answer_arrives() -> None:
    async with running(raw("--bad-utf8")) as rig:
        result = await rig.call("hard")
        assert "half �".encode() in result
        assert b"1180591620717411303424" in result


@pytest.mark.behaviour("P9")
async def test_a_too_large_answer_fails_its_own_call() -> None:
    async with running(raw()) as rig:
        echo = asyncio.create_task(rig.call("slow", '{"seconds":0.5}'))
        with pytest.raises(ConnectionLost, match="is longer than 16 MiB"):
            await rig.call("big", '{"size":20000000}')
        assert text(await echo) == "done"
        assert len(await rig.call("big", '{"size":10000000}')) > 10_000_000


async def test_a_servers_ping_is_answered_and_its_other_requests_are_refused() -> None:
    async with running(raw("--legacy-only", "--asks")) as rig:
        answers = json.loads(text(await rig.call("seen")))["answers"]
        assert answers[0] == {"jsonrpc": "2.0", "id": "p-1", "result": {}}
        assert (answers[1]["id"], answers[1]["error"]["code"]) == (2, -32601)


@pytest.mark.behaviour("P1", "LUN-S07", "LUN-T04")
async def test_a_crash_fails_its_calls_at_once_and_the_server_comes_back() -> None:
    async with running(raw(), limits=UNHURRIED) as rig:
        first = (await rig.reach(Health.CONNECTED)).pid
        slow = asyncio.create_task(rig.call("slow"))
        await rig.call("tell", '{"key":"other"}')
        started = time.monotonic()
        with pytest.raises(ConnectionLost, match="fixture: exited with code 7 after ") as met:
            await rig.call("crash", '{"code":7,"stderr":"out of \\u001b[31mluck\\n"}')
        assert time.monotonic() - started < UNHURRIED.eof
        assert met.value.hint == "Last lines of its error output:\nout of luck"
        with pytest.raises(ConnectionLost, match="exited with code 7"):
            await slow
        down = await rig.reach(Health.RECONNECTING)
        assert down.pid is None
        assert down.retry_at is not None
        assert down.attempt == 1
        assert down.summary.startswith("try 1 at ")
        assert "Exited with code 7" in down.detail
        assert "out of luck" in down.detail
        back = await rig.reach(Health.CONNECTED)
        assert back.pid not in {first, None}
        assert back.generation > down.generation
        assert text(await rig.call("echo", "{}")) == "{}"
    assert rig.states == ["connecting", "connected", "reconnecting", "connecting", "connected",
                          "stopping", "idle"]  # fmt: skip


@pytest.mark.behaviour("P2")
async def test_a_crash_is_seen_while_a_grandchild_holds_stdout() -> None:
    async with running(raw("--grandchild"), limits=UNHURRIED) as rig:
        pid = (await rig.reach(Health.CONNECTED)).pid
        assert pid is not None
        assert len(group(pid)) == 2
        started = time.monotonic()
        with pytest.raises(ConnectionLost, match="exited with code 3"):
            await rig.call("crash")
        assert time.monotonic() - started < UNHURRIED.eof
        back = await rig.until(lambda s: s.state is Health.CONNECTED and s.pid != pid)
        assert back.pid is not None
        assert group(pid) == []


@pytest.mark.behaviour("P11", "P12")
@pytest.mark.parametrize(
    "flags", [["--stubborn"], ["--grandchild"], ["--stubborn", "--grandchild"]]
)
async def test_after_a_disconnect_nothing_of_the_server_runs(flags: list[str]) -> None:
    async with running(raw(*flags)) as rig:
        pid = (await rig.reach(Health.CONNECTED)).pid
        assert pid is not None
        rig.supervisor.post(Action.DISCONNECT)
        stopping = await rig.reach(Health.STOPPING)
        assert stopping.action is None
        assert (await rig.reach(Health.IDLE)).pid is None
        assert group(pid) == []


async def test_a_call_in_flight_fails_when_the_server_is_stopped() -> None:
    async with running(raw()) as rig:
        slow = asyncio.create_task(rig.call("slow"))
        await rig.call("tell", '{"key":"other"}')
        rig.supervisor.post(Action.DISCONNECT)
        with pytest.raises(ConnectionLost, match="was stopped"):
            await slow


async def test_a_server_that_closes_stdout_is_ended_and_started_again() -> None:
    code = (
        "import os,sys,json; m=json.loads(sys.stdin.readline());"
        "print(json.dumps({'jsonrpc':'2.0','id':m['id'],'result':{'supportedVersions':"
        "['2026-07-28'],'capabilities':{}}}), flush=True); os.close(1); sys.stdin.read()"
    )
    launch = raw()
    launch = type(launch)(launch.command, ("-c", code))
    async with running(launch) as rig:
        down = await rig.reach(Health.RECONNECTING)
        assert "Closed its standard output while running." in down.detail


@ERAS
async def test_a_grown_tool_list_is_fetched_again(era: str) -> None:
    async with running(raw(era)) as rig:
        before = (await rig.reach(Health.CONNECTED)).tools
        await rig.call("grow")
        await rig.until(lambda snapshot: snapshot.tools == before + 1)
        assert rig.supervisor.lists.tools[-1].name == "grown-1"
        assert rig.listings == 2
        await rig.call("grow")
        await rig.until(lambda snapshot: snapshot.tools == before + 2)


@pytest.mark.behaviour("X11")
async def test_a_storm_of_changes_is_a_few_refreshes() -> None:
    async with running(raw("--legacy-only")) as rig:
        before = (await rig.reach(Health.CONNECTED)).tools
        await asyncio.gather(*(rig.call("grow") for _ in range(200)))
        await rig.until(lambda snapshot: snapshot.tools == before + 200)
        seen = json.loads(text(await rig.call("seen")))
        assert seen["methods"]["tools/list"] < 20


@pytest.mark.behaviour("MUX-C08")
async def test_all_pages_of_tools_are_listed() -> None:
    async with running(raw("--tools", "100", "--page-size", "7")) as rig:
        snapshot = await rig.reach(Health.CONNECTED)
        assert snapshot.tools == 100 + len(raw_server.NAMES)
        assert snapshot.summary == "109 tools"


@pytest.mark.behaviour("A1", "A2")
async def test_hostile_names_are_kept_raw_for_clients_and_clean_for_people() -> None:
    async with running(raw("--hostile")) as rig:
        await rig.reach(Health.CONNECTED)
        names = [tool.name for tool in rig.supervisor.lists.tools]
        assert names[-2:] == ["[red]bold[/nope]", "esc\x1b]52;c;YQ==\x07"]
        assert len(rig.supervisor.lists.skipped) == 3
        with pytest.raises(RpcError, match="no tool"):
            await rig.call("esc\x1b]52;c;YQ==\x07")
        rig.supervisor.record_call("esc\x1b]52;c;YQ==\x07", ok=False)
        counted = await rig.until(lambda snapshot: snapshot.calls == 1)
        assert "\x1b" not in counted.last_call


async def test_a_server_that_dies_on_the_probe_is_initialized_at_the_next_start() -> None:
    async with running(raw("--dies-on-probe")) as rig:
        assert (await rig.reach(Health.CONNECTED)).era == "2025-11-25"
        assert rig.states == ["connecting", "connected"]


async def test_a_server_that_ignores_the_probe_is_initialized() -> None:
    async with running(raw("--mute-before-init")) as rig:
        assert (await rig.reach(Health.CONNECTED)).era == "2025-11-25"


@pytest.mark.behaviour("P20")
@ERAS
async def test_a_slow_start_ends_in_the_servers_own_era(era: str) -> None:
    # Both the probe and `initialize` wait in the pipe when the server begins to read.
    async with running(raw(era, "--start-after", "0.9")) as rig:
        version = (await rig.reach(Health.CONNECTED)).era
        assert version == ("2025-11-25" if era == "--legacy-only" else "2026-07-28")


async def test_a_server_that_does_not_read_holds_up_nobody_but_its_own_calls() -> None:
    async with running(raw(), silence=0.5) as rig:
        pid = (await rig.reach(Health.CONNECTED)).pid
        assert pid is not None
        os.kill(pid, 19)
        big = json.dumps({"x": "y" * 1_000_000})
        results = await asyncio.gather(
            *(rig.call("echo", big) for _ in range(5)), return_exceptions=True
        )
        assert all(isinstance(result, RequestTimeout) for result in results)


@pytest.mark.behaviour("MUX-C02")
async def test_a_start_without_end_is_given_up() -> None:
    limits = replace(QUICK, start=0.3, probe=0.1, retry_first=60)
    async with running(raw("--start-after", "60"), limits=limits) as rig:
        down = await rig.reach(Health.RECONNECTING)
        assert down.detail.startswith("Not ready within 0.3 s.")
