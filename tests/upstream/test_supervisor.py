from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mcpmux_tui.model.errors import ConfigError, InputMissing, NotConnected, RequestTimeout
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.spec import (
    Deadlines,
    EntryProblem,
    HttpLaunch,
    Launch,
    ServerSpec,
    StdioLaunch,
)
from tests.fixtures.raw_http import RawHttp, parse
from tests.upstream.rig import DEADLINE, QUICK, PlainValues, group, raw, running


class Missing(PlainValues):
    """Values of which some are missing at first."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked = 0

    async def resolve(self, launch: Launch) -> Launch:
        self.asked += 1
        if self.names:
            raise InputMissing(self.names)
        return launch


@pytest.mark.behaviour("MUX-S09")
async def test_a_server_connects_at_once_and_says_so() -> None:
    async with running(raw()) as rig:
        assert rig.snapshot.state is Health.CONNECTING
        assert rig.snapshot.action is Action.CANCEL
        snapshot = await rig.reach(Health.CONNECTED)
        assert snapshot.summary == "9 tools"
        assert snapshot.detail == "Speaks MCP 2026-07-28, offers 9 tools."
        assert snapshot.action is Action.DISCONNECT
        assert (snapshot.transport, snapshot.server_info) == ("stdio", "raw 1.0")
        assert snapshot.pid is not None
        assert any(each.pid == snapshot.pid and each.state is Health.CONNECTING
                   for each in rig.seen)  # fmt: skip


async def test_a_disabled_server_does_nothing_until_it_is_enabled() -> None:
    spec = ServerSpec("fixture", raw(), enabled=False)
    async with running(None, spec=spec) as rig:
        assert rig.snapshot.state is Health.DISABLED
        with pytest.raises(NotConnected, match=r"fixture is disabled\. Enable it"):
            await rig.supervisor.ready(5)
        rig.supervisor.post(Action.ENABLE)
        await rig.reach(Health.CONNECTED)
        rig.supervisor.post(Action.DISABLE)
        await rig.reach(Health.DISABLED)
        assert rig.supervisor.lists.tools == ()
        assert rig.listings == 2
        assert rig.snapshot.tools == 0


async def test_a_broken_entry_is_a_failed_row_with_its_line() -> None:
    spec = ServerSpec("fixture", None, EntryProblem("no `command` and no `url`", 12))
    async with running(None, spec=spec) as rig:
        assert rig.snapshot.state is Health.FAILED
        assert rig.snapshot.summary == "line 12: no `command` and no `url`"
        rig.supervisor.post(Action.RETRY)
        await rig.until(lambda _: len(rig.seen) > 0)
        assert rig.snapshot.state is Health.FAILED


@pytest.mark.behaviour("P19", "LUN-S06")
async def test_missing_values_are_named_together_and_no_timer_asks_again() -> None:
    values = Missing("TOKEN", "URL")
    async with running(raw(), values=values) as rig:
        snapshot = await rig.reach(Health.NEEDS_INPUT)
        assert snapshot.missing == ("TOKEN", "URL")
        assert snapshot.summary == "2 values missing: TOKEN, URL"
        assert snapshot.action is Action.ENTER_VALUES
        with pytest.raises(NotConnected, match="is waiting for values"):
            await rig.supervisor.ready(5)
        await asyncio.sleep(0.2)
        assert values.asked == 1
        values.names = ()
        rig.supervisor.post(Action.RETRY)
        assert (await rig.reach(Health.CONNECTED)).missing == ()


async def test_a_placeholder_that_cannot_be_filled_at_all_is_a_failed_row() -> None:
    class Odd(PlainValues):
        async def resolve(self, launch: Launch) -> Launch:
            raise ConfigError("${input:x} is not known", "Correct it.")

    async with running(raw(), values=Odd()) as rig:
        failed = await rig.reach(Health.FAILED)
        assert failed.summary == "${input:x} is not known"


async def test_a_command_that_is_not_there_is_not_tried_again() -> None:
    async with running(StdioLaunch("no-such-command")) as rig:
        failed = await rig.reach(Health.FAILED)
        assert failed.summary == "command not found: no-such-command"
        assert "PATH" in failed.detail
        await asyncio.sleep(0.2)
        assert rig.states == ["connecting", "failed"]


async def test_the_command_is_looked_up_on_the_childs_own_path(tmp_path: Path) -> None:
    tool = tmp_path / "my-tool"
    tool.symlink_to(raw().command)
    script = raw().args[0]
    launch = StdioLaunch("my-tool", (script,), env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    async with running(launch) as rig:
        await rig.reach(Health.CONNECTED)
    async with running(replace(launch, env={})) as rig:
        await rig.reach(Health.FAILED)


@pytest.mark.behaviour("P21", "P22")
@pytest.mark.parametrize("code", [3, 0])
async def test_five_ends_in_a_row_are_a_failure_that_can_be_read(code: int, tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = f'echo x >> {count}; echo "cannot open the \x1b[31mbox" >&2; exit {code}'
    async with running(StdioLaunch("sh", ("-c", script))) as rig:
        failed = await rig.reach(Health.FAILED)
        assert failed.summary.startswith(f"exited with code {code} after 0.")
        assert "ended 5 times within 180 s" in failed.detail
        assert "Last lines of its error output:\ncannot open the box" in failed.detail
        assert count.read_text().count("x") == 5
        with pytest.raises(NotConnected, match=rf"fixture has failed \(exited with code {code}"):
            await rig.supervisor.ready(5)
        rig.supervisor.post(Action.RETRY)
        await rig.reach(Health.RECONNECTING)


async def test_only_the_last_lines_of_stderr_explain_an_exit() -> None:
    flags = ("--exit", "1", "--stderr", "\\n".join(f"line {n}" for n in range(50)))
    async with running(raw(*flags)) as rig:
        down = await rig.reach(Health.RECONNECTING)
        assert "line 29" not in down.detail
        assert "line 30\n" in down.detail
        assert down.detail.endswith("line 49")
        assert len(rig.journal.of("stderr")) >= 50


@pytest.mark.behaviour("LUN-W04", "LIB-B01")
async def test_waits_between_tries_grow_and_a_person_can_go_ahead() -> None:
    limits = replace(QUICK, retry_first=0.1, retry_most=60.0, crashes=50)
    async with running(raw("--exit", "1"), limits=limits) as rig:
        down = await rig.until(lambda s: s.state is Health.RECONNECTING and s.attempt == 3)
        assert down.retry_at is not None
        assert down.since is not None
        assert 0.3 < down.retry_at - down.since < 0.6
        rig.supervisor.post(Action.RETRY)
        await rig.until(lambda s: s.state is Health.RECONNECTING and s.attempt == 1)
        rig.supervisor.post(Action.DISCONNECT)
        await rig.reach(Health.IDLE)


async def test_being_healthy_for_a_while_forgets_earlier_troubles() -> None:
    limits = replace(QUICK, healthy=0.0, crashes=50)
    async with running(raw(), limits=limits) as rig:
        for _ in range(3):
            pid = (await rig.reach(Health.CONNECTED)).pid
            assert pid is not None
            os.kill(pid, 9)
            down = await rig.reach(Health.RECONNECTING)
            assert down.attempt == 1
            assert "Was ended by SIGKILL" in down.detail


async def test_a_start_can_be_cancelled() -> None:
    async with running(raw("--start-after", "60")) as rig:
        pid = (await rig.until(lambda snapshot: snapshot.pid)).pid
        assert pid is not None
        rig.supervisor.post(Action.CANCEL)
        await rig.reach(Health.IDLE)
        assert group(pid) == []
        rig.supervisor.post(Action.CONNECT)
        await rig.until(lambda snapshot: snapshot.pid not in {None, pid})


async def test_a_restart_brings_a_new_process_after_the_old_one_is_gone() -> None:
    async with running(raw("--stubborn")) as rig:
        first = await rig.reach(Health.CONNECTED)
        assert first.pid is not None
        rig.supervisor.post(Action.RESTART)
        await rig.reach(Health.STOPPING)
        fresh = await rig.reach(Health.CONNECTED)
        assert fresh.pid not in {None, first.pid}
        assert group(first.pid) == []
        assert fresh.generation == first.generation + 1


async def test_the_last_of_several_wishes_wins() -> None:
    async with running(raw("--stubborn")) as rig:
        await rig.reach(Health.CONNECTED)
        for action in (Action.RESTART, Action.DISCONNECT, Action.RESTART, Action.DISABLE):
            rig.supervisor.post(action)
        await rig.reach(Health.DISABLED)
        rig.supervisor.post(Action.DISCONNECT)
        rig.supervisor.post(Action.CONNECT)
        await rig.reach(Health.CONNECTED)


async def test_ready_waits_for_a_server_on_its_way_but_not_longer_than_asked() -> None:
    limits = replace(QUICK, probe=DEADLINE)
    async with running(raw("--start-after", "60"), limits=limits) as rig:
        started = time.monotonic()
        with pytest.raises(NotConnected, match=r"fixture is still connecting\. Try again"):
            await rig.supervisor.ready(0.05)
        assert time.monotonic() - started < DEADLINE
    async with running(raw("--start-after", "0.3"), limits=limits) as rig:
        channel = await rig.supervisor.ready(10)
        assert channel.protocol_version == "2026-07-28"


PATIENT = replace(QUICK, retry_first=60.0, retry_most=60.0)


@pytest.mark.behaviour("X9", "X10")
async def test_calls_have_a_server_in_back_off_tried_at_once_and_together() -> None:
    http = RawHttp(parse(()))
    listener = await http.listen()
    await http.close(listener)
    async with running(HttpLaunch(http.url), limits=PATIENT) as rig:
        down = await rig.reach(Health.RECONNECTING)
        listener = await http.listen(int(http.url.rpartition(":")[2].partition("/")[0]))
        results = await asyncio.gather(*(rig.call("echo") for _ in range(20)))
        assert len(results) == 20
        assert rig.snapshot.generation == down.generation + 1
    await http.close(listener)


@pytest.mark.behaviour("X10")
async def test_a_server_that_is_still_away_is_tried_for_calls_once_a_second_at_most() -> None:
    limits = replace(PATIENT, try_pause=60.0)
    async with running(raw("--exit", "5"), limits=limits) as rig:
        down = await rig.reach(Health.RECONNECTING)
        for _ in range(5):
            started = time.monotonic()
            with pytest.raises(NotConnected, match=r"is reconnecting \(exited with code 5"):
                await rig.supervisor.ready(2 * DEADLINE)
            assert time.monotonic() - started < DEADLINE
        assert rig.snapshot.generation == down.generation + 1


@pytest.mark.behaviour("H3")
async def test_no_call_disturbs_a_server_that_asked_for_a_pause() -> None:
    async with (
        RawHttp.open("--status", "503", "--retry-after", "30") as http,
        running(HttpLaunch(http.url)) as rig,
    ):
        down = await rig.reach(Health.RECONNECTING)
        with pytest.raises(NotConnected, match="is reconnecting"):
            await rig.supervisor.ready(10)
        assert rig.snapshot == down


@pytest.mark.behaviour("MUX-C03", "MUX-S03")
async def test_connecting_what_is_connected_starts_nothing() -> None:
    async with running(raw()) as rig:
        before = await rig.reach(Health.CONNECTED)
        rig.supervisor.post(Action.CONNECT)
        rig.supervisor.record_call("echo", ok=True)
        after = await rig.until(lambda snapshot: snapshot.calls == 1)
        assert (after.pid, after.generation) == (before.pid, before.generation)
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("LIB-B04")
async def test_a_person_who_retries_clears_the_crash_limit(tmp_path: Path) -> None:
    async with running(raw("--exit", "1")) as rig:
        await rig.reach(Health.FAILED)
        ends = rig.states.count("reconnecting")
        rig.supervisor.post(Action.RETRY)
        await rig.until(lambda _: rig.states.count("reconnecting") == 2 * ends)
        await rig.reach(Health.FAILED)


@pytest.mark.behaviour("MUX-C06")
async def test_a_list_that_cannot_be_had_is_a_degraded_server() -> None:
    async with running(raw(), limits=replace(QUICK, page=0.0)) as rig:
        degraded = await rig.reach(Health.DEGRADED)
        assert "No answer to tools/list" in degraded.detail
        assert degraded.action is Action.RETRY
        await rig.call("echo")


async def test_an_entrys_own_deadlines_hold_for_each_phase() -> None:
    own = Deadlines(connect=1, start=0.3, list=2, call=3)
    assert QUICK.within(own) == replace(
        QUICK, connect=1, start=0.3, remote_start=0.3, page=2, call_cap=3
    )
    assert QUICK.within(Deadlines()) == QUICK
    spec = ServerSpec("fixture", raw("--start-after", "60"), deadlines=own)
    async with running(None, spec=spec) as rig:
        down = await rig.reach(Health.RECONNECTING)
        assert down.detail.startswith("Not ready within 0.3 s.")


async def test_finished_calls_are_counted_on_the_row() -> None:
    async with running(raw()) as rig:
        await rig.reach(Health.CONNECTED)
        for _ in range(100):
            rig.supervisor.record_call("echo", ok=True)
        rig.supervisor.record_call("hard", ok=False)
        counted = await rig.until(lambda snapshot: snapshot.calls)
        assert (counted.calls, counted.last_call) == (101, "hard")
        assert counted.last_activity is not None


@pytest.mark.behaviour("LIB-L05")
async def test_lists_stay_while_a_server_is_away() -> None:
    limits = replace(QUICK, retry_first=60.0, retry_most=60.0)
    async with running(raw(), limits=limits) as rig:
        pid = (await rig.reach(Health.CONNECTED)).pid
        assert pid is not None
        os.kill(pid, 9)
        down = await rig.reach(Health.RECONNECTING)
        assert down.tools == len(rig.supervisor.lists.tools) == 9


async def test_closing_leaves_no_process_in_any_state() -> None:
    pids: list[int | None] = []
    for flags in (("--start-after", "60"), ("--stubborn", "--grandchild"), ("--exit", "1")):
        async with running(raw(*flags)) as rig:
            pids.append((await rig.until(lambda snapshot: snapshot.pid)).pid)
    assert not [process for pid in pids if pid for process in group(pid)]


async def test_a_bug_of_ours_is_a_failed_row_and_no_silence() -> None:
    class Broken(PlainValues):
        def environment(self) -> Mapping[str, str]:
            raise KeyError("oops")

    async with running(raw(), values=Broken()) as rig:
        failed = await rig.reach(Health.FAILED)
        assert failed.summary == "mcpmux itself stumbled: KeyError: 'oops'"


@pytest.mark.behaviour("P12")
async def test_no_new_process_starts_before_the_old_group_is_gone() -> None:
    # The grandchild ignores SIGTERM, so the ladder outlasts the wait before the next try.
    async with running(raw("--stubborn", "--grandchild")) as rig:
        old = (await rig.reach(Health.CONNECTED)).pid
        assert old is not None
        os.kill(old, 9)
        await rig.until(lambda snapshot: snapshot.pid not in {None, old})
        assert group(old) == []


async def test_a_disconnect_beats_a_timer_that_is_due_in_the_same_turn() -> None:
    limits = replace(QUICK, retry_first=0.3)
    async with running(raw("--exit", "1"), limits=limits) as rig:
        down = await rig.reach(Health.RECONNECTING)
        assert down.retry_at is not None
        await asyncio.sleep(0.1)
        asyncio.get_running_loop().call_later(0, rig.supervisor.post, Action.DISCONNECT)
        # Hold the loop until both are due, so that one turn takes the wish and then the timer.
        while time.time() < down.retry_at + 0.02:
            pass
        await rig.reach(Health.IDLE)
        await asyncio.sleep(0.1)
        assert rig.snapshot.state is Health.IDLE


@pytest.mark.behaviour("X3")
async def test_calls_that_are_taken_back_or_run_out_of_time_cost_a_server_nothing() -> None:
    async with running(raw(), silence=0.2) as rig:
        pid = (await rig.reach(Health.CONNECTED)).pid
        calls = [asyncio.create_task(rig.call("slow")) for _ in range(20)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in calls:
            call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        kinds = {type(outcome) for outcome in outcomes}
        assert kinds <= {RequestTimeout, asyncio.CancelledError}
        assert json.loads(await rig.call("echo", '{"n":1}'))["content"][0]["text"] == '{"n":1}'
        assert rig.snapshot.pid == pid
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("X10")
@pytest.mark.parametrize(
    ("launch", "state"),
    [
        (StdioLaunch("mcpmux-no-such-program"), Health.FAILED),
        (raw("--exit", "3"), Health.RECONNECTING),
    ],
)
async def test_a_call_to_a_server_that_will_not_be_there_in_time_fails_at_once(
    launch: StdioLaunch, state: Health
) -> None:
    limits = replace(QUICK, retry_first=3600.0, retry_most=3600.0)
    async with running(launch, limits=limits) as rig:
        await rig.reach(state)
        # The first call has a server in back-off tried; what fails again keeps nobody waiting.
        for _ in range(2):
            async with asyncio.timeout(10):
                with pytest.raises(NotConnected):
                    await rig.supervisor.ready(600)
