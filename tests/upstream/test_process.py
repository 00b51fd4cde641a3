from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mcpmux_tui.model.errors import StartFailed
from mcpmux_tui.model.spec import StdioLaunch
from mcpmux_tui.upstream import process, reaper
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.process import Exit, Process
from tests.fixtures.leaks import INSTANCE
from tests.upstream.rig import group

LIMITS = Limits(eof=0.3, term=0.3)
NUMBERS = itertools.count(1)
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


def start(*argv: str) -> tuple[Process, asyncio.Future[Exit]]:
    """A child, and its exit to come."""
    launch = StdioLaunch(argv[0], argv[1:])
    done: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
    mark = f"{INSTANCE}/{next(NUMBERS)}/"
    child = process.spawn(launch, launch, {**ENVIRONMENT, reaper.MARK: mark}, Path("/"))
    return Process(child, mark, done.set_result), done


async def end(child: Process) -> bool:
    child.stdin.close()
    gone = await child.end(LIMITS)
    child.close_pipes()
    return gone


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 3", "exited with code 3 after "),
        ("exit 0", "exited with code 0 after "),
        ("kill -9 $$", "was ended by SIGKILL after "),
        ("kill -40 $$", "was ended by signal 40 after "),
    ],
)
async def test_the_end_of_a_child_is_known_in_words(script: str, words: str) -> None:
    child, done = start("sh", "-c", script)
    assert str(await done).startswith(words)
    assert await end(child)


@pytest.mark.behaviour("P2")
@pytest.mark.parametrize("pidfd", [True, False], ids=["pidfd", "thread"])
async def test_the_exit_is_seen_while_a_grandchild_holds_the_pipes(
    pidfd: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not pidfd:

        def unsupported(pid: int) -> int:
            raise OSError

        monkeypatch.setattr(os, "pidfd_open", unsupported)
    child, done = start("sh", "-c", "sleep 600 & exit 4")
    async with asyncio.timeout(2):
        assert (await done).code == 4
    assert group(child.pid)
    assert await end(child)
    assert group(child.pid) == []


@pytest.mark.behaviour("P11", "P12", "MUX-P01", "AMG-X01")
@pytest.mark.parametrize(
    "script",
    [
        "read x",
        "trap '' TERM; while :; do sleep 600; done",
        "trap '' TERM; sleep 600 & sleep 600 & exec sleep 600",
        "(trap '' TERM HUP; sleep 600) & exit 0",
        "kill -STOP $$",
    ],
    ids=["polite", "stubborn", "tree", "leader-first", "stopped"],
)
async def test_nothing_of_a_group_survives_the_stop_ladder(script: str) -> None:
    child, _ = start("sh", "-c", script)
    started = time.monotonic()
    assert await end(child)
    assert group(child.pid) == []
    assert time.monotonic() - started < LIMITS.eof + LIMITS.term + LIMITS.kill


@pytest.mark.behaviour("P13")
@pytest.mark.parametrize("trap", ["", "trap '' TERM; "], ids=["polite", "stubborn"])
async def test_a_grandchild_in_a_session_of_its_own_is_gone_too(trap: str) -> None:
    child, _ = start("sh", "-c", f'setsid sh -c "{trap}echo \\$\\$; sleep 600" & read x')
    escaped = int(child.stdout.readline())
    assert psutil.pid_exists(escaped)
    assert await end(child)
    assert escaped not in reaper.marked(f"{INSTANCE}/")
    assert reaper.marked(f"{INSTANCE}/") == set()


async def test_an_interrupted_ladder_kills_at_once() -> None:
    child, done = start("sh", "-c", "trap '' TERM; sleep 600 & wait; sleep 600")
    ladder = asyncio.create_task(child.end(Limits(eof=60)))
    await asyncio.sleep(0)
    ladder.cancel()
    await asyncio.wait({ladder})
    assert (await done).code == -signal.SIGKILL
    child.close_pipes()


@pytest.mark.behaviour("A12")
async def test_a_child_has_no_terminal_to_write_to() -> None:
    child, done = start(sys.executable, "-c", "open('/dev/tty', 'w').write('\\x1b]52;c;YQ==\\x07')")
    assert (await done).code == 1
    assert b"/dev/tty" in child.stderr.read()
    assert await end(child)


def failure(
    launch: StdioLaunch, folder: Path = Path("/"), configured: StdioLaunch | None = None
) -> StartFailed:
    """Why a launch does not start, before or at the spawn."""
    with pytest.raises(StartFailed) as caught:
        process.check(launch, configured or launch, ENVIRONMENT, folder)
        process.spawn(launch, configured or launch, ENVIRONMENT, folder)
    assert caught.value.permanent
    assert caught.value.hint
    return caught.value


@pytest.mark.behaviour("P18")
def test_each_reason_not_to_start_has_its_own_words(tmp_path: Path) -> None:
    script = tmp_path / "server"
    script.write_text("#!/no/such/interpreter\n")
    plain = StdioLaunch(str(script))
    assert failure(plain).message == f"permission denied: {script} is not an executable file"
    script.chmod(0o755)
    assert "interpreter in its first line" in failure(plain).message
    assert "it is a folder" in failure(StdioLaunch(str(tmp_path))).message
    script.write_bytes(b"\x00\x01not a program")
    assert "not a program for this machine" in failure(plain).message
    assert failure(StdioLaunch("no-such")).message == "command not found: no-such"
    assert failure(StdioLaunch("./no")).message == "command not found: ./no"
    assert failure(StdioLaunch("sh"), tmp_path / "gone").message == (
        f"working folder does not exist: {tmp_path / 'gone'}"
    )
    assert "null byte" in failure(StdioLaunch("sh", ("\0",))).message
    assert "too long" in failure(StdioLaunch("sh", ("x" * 3_000_000,))).message


def test_a_path_the_system_does_not_take_is_a_reason_not_to_start() -> None:
    long = "a" * 300
    assert failure(StdioLaunch(f"./{long}")).message == (
        f"command cannot be used: ./{long} (File name too long)"
    )
    assert failure(StdioLaunch("sh", cwd=long), Path("/", long)).message == (
        f"working folder cannot be used: {long} (File name too long)"
    )


@pytest.mark.parametrize("command", ["{}/no", "{}-no", "{}/" + "a" * 300, "{}"])
def test_the_value_of_a_placeholder_is_not_in_a_sentence(tmp_path: Path, command: str) -> None:
    secret = tmp_path / "hunter2"
    secret.mkdir()
    configured = StdioLaunch(command.format("${TOKEN}"), env={"PATH": "${TOKEN}"})
    launch = StdioLaunch(command.format(secret if "/" in command else "hunter2"))
    for each in (launch, StdioLaunch("sh", cwd="hunter2")):
        folder = Path("/", each.cwd or "")
        met = failure(each, folder, replace(configured, cwd=each.cwd and "${TOKEN}"))
        assert "hunter2" not in str(met)
        assert "${TOKEN}" in met.message


def test_nor_is_that_of_the_path_or_of_a_program_that_cannot_run(tmp_path: Path) -> None:
    configured = StdioLaunch("${TOKEN}", env={"PATH": "/${TOKEN}"})
    with pytest.raises(StartFailed) as caught:
        process.check(StdioLaunch("no-such"), configured, {"PATH": "/hunter2"}, tmp_path)
    assert "(/${TOKEN})" in caught.value.hint
    assert "hunter2" not in str(caught.value)
    script = tmp_path / "hunter2"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert "hunter2" not in str(failure(StdioLaunch(str(script)), configured=configured))


def test_the_command_runs_under_the_name_it_is_called_by(tmp_path: Path) -> None:
    shim = tmp_path / "tool"
    shim.symlink_to("/bin/sh")
    launch = StdioLaunch("tool", ("-c", "echo $0"))
    environment = {"PATH": str(tmp_path)}
    process.check(launch, launch, environment, tmp_path)
    child = process.spawn(launch, launch, environment, tmp_path)
    with child:
        assert child.communicate()[0] == b"tool\n"
