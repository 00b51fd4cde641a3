from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mcpmux_tui.model.server import Health
from mcpmux_tui.upstream import reaper
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.limits import Limits
from tests.fixtures.leaks import INSTANCE
from tests.upstream.rig import DEADLINE, raw, running

OWNER = """
import asyncio, json, os, subprocess, sys
from mcpmux_tui.upstream import reaper
from mcpmux_tui.upstream.children import Children

async def own() -> None:
    children = Children("owner")
    scripts = json.loads(sys.argv[1])
    for script in scripts:
        environment = {**os.environ, reaper.MARK: children.mark()}
        child = subprocess.Popen(
            ["sh", "-c", script], env=environment, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        children.watchdog.watch(child.pid)
        child.stdout.readline()
    print(children.mark().rsplit("/", 2)[0], flush=True)
    await asyncio.Event().wait()

asyncio.run(own())
"""


@pytest.mark.behaviour("P14", "P13")
async def test_when_the_owner_is_killed_the_watchdog_leaves_nobody() -> None:
    scripts = [
        "echo up; read x",
        "trap '' TERM HUP; echo up; while :; do sleep 600; done",
        "sh -c 'trap \"\" TERM; echo up; sleep 600' & sleep 600",
        "setsid sh -c 'trap \"\" TERM; echo up; sleep 600' & read x",
        f"env -u {reaper.MARK} sh -c 'trap \"\" TERM; echo up; sleep 600'",
    ]
    owner = subprocess.Popen([sys.executable, "-c", OWNER, json.dumps(scripts)], stdout=-1)  # noqa: ASYNC220
    with owner:
        assert owner.stdout is not None
        mark = owner.stdout.readline().decode().strip() + "/"
        family = psutil.Process(owner.pid).children(recursive=True)
        assert len(reaper.marked(mark)) >= 6
        owner.kill()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 5)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    assert reaper.marked(mark) == set()


async def test_a_killed_watchdog_is_back_with_the_next_child_and_knows_the_older_ones() -> None:
    children = Children(INSTANCE)
    mark = children.mark()
    # Without the mark, only what the watchdog was told leads to this one.
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)  # noqa: ASYNC220
    children.watchdog.watch(child.pid)
    first = children.watchdog.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await asyncio.to_thread(psutil.Process(first).wait, 5)
    assert children.mark() != mark
    assert children.watchdog.pid != first
    await children.close()
    assert await asyncio.to_thread(child.wait, 5) == -signal.SIGTERM


def ignored(pid: int) -> set[int]:
    """The signals that a process ignores; none while it is still the shell that begins it."""
    if "python" not in psutil.Process(pid).exe():
        return set()
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigIgn"))
    return {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1}


async def test_what_ends_an_engine_politely_does_not_end_its_watchdog() -> None:
    children = Children(INSTANCE)
    children.mark()
    pid = children.watchdog.pid
    assert pid is not None
    async with asyncio.timeout(DEADLINE):
        while not {signal.SIGTERM, signal.SIGINT, signal.SIGHUP} <= ignored(pid):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await children.close()


async def test_an_ended_child_is_not_watched_any_more() -> None:
    async with running(raw()) as rig:
        pid = (await rig.reach(Health.CONNECTED)).pid
        assert pid is not None
        await rig.supervisor.close()
        other = subprocess.Popen(["sleep", "600"], start_new_session=True)  # noqa: ASYNC220
        watchdog = rig.children.watchdog
        watchdog.watch(other.pid)
        watchdog.forget(other.pid)
        await rig.children.close()
        assert other.poll() is None
        other.kill()
        other.wait()
        assert watchdog.pid is None


async def test_a_child_gets_a_mark_of_its_own() -> None:
    async with running(raw()) as one, running(raw()) as two:
        pids = [(await rig.reach(Health.CONNECTED)).pid for rig in (one, two)]
        marks = {psutil.Process(pid).environ()[reaper.MARK] for pid in pids}
        assert len(marks) == 2


@pytest.mark.behaviour("P24")
async def test_children_start_in_waves_and_a_slow_one_gives_its_turn_back() -> None:
    children = Children(INSTANCE, Limits(starts=1, start_turn=0.05))
    order: list[str] = []
    hung = asyncio.Event()

    async def slow() -> None:
        async with children.starting():
            order.append("slow")
            await hung.wait()

    async def quick(name: str) -> None:
        async with children.starting():
            assert "in" not in order[-1]
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    task = asyncio.create_task(slow())
    await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(quick(str(n)) for n in range(3)))
    assert order == ["slow", "0 in", "0 out", "1 in", "1 out", "2 in", "2 out"]
    hung.set()
    await task
