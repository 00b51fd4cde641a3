"""Servers behind launchers: three processes deep, as `npx` starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import psutil
import pytest

from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.spec import StdioLaunch
from mcpmux_tui.upstream import reaper
from tests.upstream.rig import FIXTURES, UNHURRIED, Rig, running

STUBBORN = ("--", "--stubborn")
"""The server below ignores SIGTERM and the end of stdin."""


def tree(*flags: str) -> StdioLaunch:
    """The raw stdio server below a launcher and a shell."""
    return StdioLaunch(sys.executable, (str(FIXTURES / "tree.py"), *flags))


async def members(rig: Rig) -> tuple[psutil.Process, ...]:
    """Launcher, shell and server, once connected."""
    pid = (await rig.reach(Health.CONNECTED)).pid
    assert pid is not None
    launcher = psutil.Process(pid)
    shell, server = launcher.children(recursive=True)
    return launcher, shell, server


def alive(processes: tuple[psutil.Process, ...]) -> list[psutil.Process]:
    """Those that still run. A pid that another process has by now is none of them."""
    return [
        each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE
    ]


async def all_gone(processes: tuple[psutil.Process, ...]) -> bool:
    """Whether none runs any more, but for the moment that dying takes on a busy machine."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 2
    # One that is dying has no environment any more, and is no zombie yet.
    while alive(processes) and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return not alive(processes)


@pytest.mark.behaviour("P2")
async def test_a_crash_below_a_launcher_is_seen_while_stdout_is_held() -> None:
    async with running(tree("--hold-stdout"), limits=UNHURRIED) as rig:
        old = await members(rig)
        mark = old[0].environ()[reaper.MARK]
        started = time.monotonic()
        with pytest.raises(ConnectionLost, match="exited with code 3"):
            await rig.call("crash")
        assert time.monotonic() - started < UNHURRIED.eof
        await rig.until(lambda s: s.state is Health.CONNECTED and s.pid != old[0].pid)
        assert reaper.marked(mark) == set()


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="polite"),
        pytest.param(("--ignore-term", *STUBBORN), id="stubborn",
                     marks=pytest.mark.behaviour("P11")),
        pytest.param(("--ignore-term", "--leader-first", *STUBBORN), id="leader-first",
                     marks=pytest.mark.behaviour("P12")),
        pytest.param(("--ignore-term", "--own-session", *STUBBORN), id="own-session",
                     marks=pytest.mark.behaviour("P13")),
        pytest.param(("--ignore-term", "--leader-first", "--own-session", *STUBBORN), id="all",
                     marks=pytest.mark.behaviour("P12", "P13")),
    ],
)  # fmt: skip
async def test_after_a_disconnect_nothing_of_a_tree_runs(flags: tuple[str, ...]) -> None:
    async with running(tree(*flags)) as rig:
        old = await members(rig)
        rig.supervisor.post(Action.DISCONNECT)
        await rig.reach(Health.IDLE)
        assert await all_gone(old)


@pytest.mark.behaviour("P12", "P13")
@pytest.mark.parametrize("flags", [(), ("--own-session",)], ids=["group", "own-session"])
async def test_no_new_tree_starts_before_what_a_killed_launcher_left_is_gone(
    flags: tuple[str, ...],
) -> None:
    async with running(tree("--ignore-term", *flags, *STUBBORN)) as rig:
        launcher, *rest = await members(rig)
        os.kill(launcher.pid, signal.SIGKILL)
        await rig.until(lambda snapshot: snapshot.pid not in {None, launcher.pid})
        assert await all_gone(tuple(rest))
