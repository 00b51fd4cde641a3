"""The checks of the test kit see what they are there to see."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mcpmux_tui.upstream import reaper
from tests.end_to_end.program import Home
from tests.fixtures.leaks import INSTANCE, checked

_SLEEP = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def _child() -> Callable[[], object]:
    child = subprocess.Popen(_SLEEP, stdin=subprocess.PIPE)
    return child.communicate


def _orphan() -> Callable[[], object]:
    """A process that is not this one's child any more, with a mark of this run."""
    script = f"import subprocess as s; s.Popen({_SLEEP!r}, stdin=0, stdout=-3, stderr=-3)"
    env = {**os.environ, reaper.MARK: f"{INSTANCE}/1/1/"}
    ours, theirs = os.pipe()
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], stdin=ours, env=env, check=True)
    os.close(ours)
    return lambda: os.close(theirs)


def _task() -> Callable[[], object]:
    task = asyncio.create_task(asyncio.Event().wait())
    return task.cancel


def _thread() -> Callable[[], object]:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    return done.set


def _descriptor() -> Callable[[], object]:
    descriptor = os.dup(0)
    return lambda: os.close(descriptor)


@pytest.mark.parametrize(
    ("leak", "said"),
    [(_child, "process "), (_orphan, "process "), (_task, "task "), (_thread, "thread "),
     (_descriptor, "1 descriptors")],
)  # fmt: skip
async def test_a_test_that_leaves_something_behind_fails_and_names_it(
    leak: Callable[[], Callable[[], object]], said: str
) -> None:
    check = checked(patience=0.1)
    await anext(check)
    mend = leak()
    try:
        with pytest.raises(AssertionError, match=f"left behind: (.*, )?{said}"):
            await anext(check)
    finally:
        with suppress(asyncio.CancelledError):
            mend()


async def test_what_is_gone_a_moment_later_is_no_leak() -> None:
    check = checked()
    await anext(check)
    ending = asyncio.create_task(asyncio.sleep(0.05))
    with pytest.raises(StopAsyncIteration):
        await anext(check)
    assert ending.done()


def test_a_home_knows_what_still_runs_in_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with subprocess.Popen(_SLEEP, stdin=subprocess.PIPE, env=home.env) as child:
        assert [each.pid for each in home.survivors()] == [child.pid]
        home.clean_up()
    assert home.survivors() == []
