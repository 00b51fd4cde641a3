"""The app on a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import shlex
import signal
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from mcpmux_tui.ui.terminal import Output
from tests.ui.fake_engine import TOKEN

_START = b"\x1b[?1049h"
_PATIENCE = 15.0


class Terminal:
    """The other end of a terminal on which the app runs."""

    def __init__(self, master: int, slave: int, process: asyncio.subprocess.Process) -> None:
        self.master = master
        self.slave = slave
        self.process = process
        self.output = bytearray()
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self.read)

    def read(self) -> None:
        """Take what the app has written."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.master, 65_536):
                self.output += data
        self._more.set()

    async def shows(self, text: bytes) -> None:
        """Wait until the app has written this."""
        async with asyncio.timeout(_PATIENCE):
            while text not in self.output:
                self._more.clear()
                await self._more.wait()

    async def ended(self) -> int:
        """Wait for the end of the app."""
        async with asyncio.timeout(_PATIENCE):
            return await self.process.wait()

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.master, keys)

    def hang_up(self) -> None:
        """Close the window."""
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        self.master = -1


def app_on(folder: Path, *args: str) -> tuple[str, ...]:
    """The command that runs the app."""
    return (sys.executable, "-m", "tests.ui.terminal_app", str(folder), *args)


@contextlib.asynccontextmanager
async def terminal(
    folder: Path,
    *args: str,
    env: Mapping[str, str] | None = None,
    command: tuple[str, ...] | None = None,
) -> AsyncIterator[Terminal]:
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    termios.tcsetwinsize(slave, (24, 80))
    process = await asyncio.create_subprocess_exec(
        *(command or app_on(folder, *args)),
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(env or {})},
    )  # fmt: skip
    screen = Terminal(master, slave, process)
    try:
        yield screen
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if screen.master >= 0:
            screen.hang_up()
        os.close(slave)


def restored(screen: Terminal, before: list[object]) -> bool:
    """Whether the terminal is as it was: main screen, cursor shown, no mouse, echo on."""
    screen.read()
    written = bytes(screen.output)
    left = written.rfind(b"\x1b[?1049l") > written.rfind(_START) >= 0
    cursor = written.rfind(b"\x1b[?25h") > written.rfind(b"\x1b[?25l")
    mouse = written.rfind(b"\x1b[?1000l") > written.rfind(b"\x1b[?1000h")
    return left and cursor and mouse and termios.tcgetattr(screen.slave)[:4] == before[:4]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_ends_the_app_and_leaves_the_terminal_as_it_was(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with terminal(tmp_path) as screen:
        before = list(termios.tcgetattr(screen.slave))
        await screen.shows(b"github")
        screen.process.send_signal(number)
        assert await screen.ended() == 0
        assert restored(screen, before)
        assert b"Traceback" not in screen.output


async def test_q_ends_the_app_and_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    async with terminal(tmp_path) as screen:
        before = list(termios.tcgetattr(screen.slave))
        await screen.shows(b"github")
        screen.press(b"q")
        assert await screen.ended() == 0
        assert restored(screen, before)


async def test_closing_the_window_ends_the_app(tmp_path: Path) -> None:
    async with terminal(tmp_path) as screen:
        await screen.shows(b"github")
        screen.hang_up()
        assert await screen.ended() == 0


def test_what_a_closed_window_cannot_take_is_dropped() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        output = Output(stream)
        assert output.fileno() == slave
        output.write("x")
        output.flush()
        assert os.read(master, 10) == b"x"
        os.close(master)
        for _ in range(3):
            output.write("y" * 100_000)
            output.flush()
        with contextlib.suppress(OSError):
            stream.close()


async def test_sigcont_without_a_suspension_starts_nothing_again(tmp_path: Path) -> None:
    async with terminal(tmp_path) as screen:
        await screen.shows(b"github")
        screen.process.send_signal(signal.SIGCONT)
        screen.press(b"?")
        await screen.shows(b"half a page")
        assert screen.output.count(_START) == 1
        screen.press(b"\x11")
        assert await screen.ended() == 0


@pytest.mark.behaviour("A8")
async def test_a_crash_is_one_sentence_and_a_report_without_values(tmp_path: Path) -> None:
    async with terminal(tmp_path, "crash") as screen:
        before = list(termios.tcgetattr(screen.slave))
        assert await screen.ended() == 70
        assert restored(screen, before)
        after = bytes(screen.output).rpartition(b"\x1b[?1049l")[2]
        assert b"The screen of mcpmux failed (LookupError)" in after
        assert b"Traceback" not in screen.output
        assert TOKEN.encode() not in screen.output
    report = tmp_path / "ui-crash.log"
    assert "LookupError: a bug" in report.read_text(encoding="utf-8")
    assert TOKEN not in report.read_text(encoding="utf-8")
    assert report.stat().st_mode & 0o777 == 0o600


async def test_a_terminal_that_is_not_utf_8_gets_ascii(tmp_path: Path) -> None:
    async with terminal(tmp_path, env={"TERM": "linux"}) as screen:
        await screen.shows(b"github")
        screen.press(b"q")
        assert await screen.ended() == 0
        assert "\u25cf".encode() not in screen.output
        assert "\u25b2".encode() not in screen.output


async def test_the_windows_title_says_what_wants_a_person_and_is_given_back(tmp_path: Path) -> None:
    async with terminal(tmp_path) as screen:
        await screen.shows("\x1b]2;mcpmux ▲1 ◆1 ✖1\x1b\\".encode())
        screen.press(b"q")
        assert await screen.ended() == 0
        screen.read()
        kept, back = screen.output.find(b"\x1b[22;2t"), screen.output.find(b"\x1b[23;2t")
        assert 0 < kept < screen.output.find(b"\x1b]2;") < back


async def test_a_storm_of_sizes_ends_in_the_right_picture(tmp_path: Path) -> None:
    async with terminal(tmp_path) as screen:
        await screen.shows(b"github")
        for columns, rows in [(1, 1), (300, 100), (59, 8), (2, 60), (200, 3), (120, 40)] * 5:
            termios.tcsetwinsize(screen.slave, (rows, columns))
            os.kill(screen.process.pid, signal.SIGWINCH)
        termios.tcsetwinsize(screen.slave, (24, 80))
        os.kill(screen.process.pid, signal.SIGWINCH)
        for key, text in ((b"2", b"clients see"), (b"4", b"Wrap"), (b"1", b"NAME")):
            screen.output.clear()
            screen.press(key)
            await screen.shows(text)
        screen.press(b"q")
        assert await screen.ended() == 0


@pytest.mark.behaviour("T2")
async def test_a_terminal_that_goes_without_a_signal_ends_the_app_too(tmp_path: Path) -> None:
    async with terminal(tmp_path, "stray") as screen:
        await screen.shows(b"github")
        screen.hang_up()
        await screen.ended()


_SHELL = """
import fcntl, os, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
"""


@pytest.mark.parametrize("wrapped", [False, True])
async def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_comes_back(
    wrapped: bool, tmp_path: Path
) -> None:
    shell = (sys.executable, "-c", _SHELL)
    line = shlex.join(app_on(tmp_path, "stray"))
    if wrapped:
        # As where a launcher waits for the program: `exit` keeps it from becoming the program.
        line = shlex.join(("sh", "-c", f"{line}; exit $?"))
    async with terminal(tmp_path, env={"PS1": "ready> "}, command=shell) as screen:
        await screen.shows(b"ready> ")
        screen.press(f"{line}\r".encode())
        await screen.shows(b"github")
        for other in (b"", b"bg; until jobs | grep -q Stopped; do sleep 0.1; done; "):
            screen.output.clear()
            screen.press(b"\x1a")
            await screen.shows(b"Stopped")
            await screen.shows(b"ready> ")
            assert b"\x1b[?1049l" in screen.output
            screen.output.clear()
            screen.press(other + b"echo in the $((1))st place\r")
            await screen.shows(b"in the 1st place")
            screen.output.clear()
            screen.press(b"fg\r")
            await screen.shows(b"github")
            await screen.shows("\x1b]2;mcpmux ▲1 ◆1 ✖1\x1b\\".encode())
            screen.press(b"2")
            await screen.shows(b"clients see")
            screen.press(b"1")
        screen.output.clear()
        screen.press(b"\x11")
        await screen.shows(b"ready> ")
        screen.press(b"echo left with $?\r")
        await screen.shows(b"left with 0")
        screen.press(b"exit\r")
        assert await screen.ended() == 0


async def test_ctrl_z_without_a_shell_stops_nothing(tmp_path: Path) -> None:
    async with terminal(tmp_path) as screen:
        await screen.shows(b"github")
        screen.press(b"\x1a")
        await screen.shows(b"No shell is behind this window")
        screen.press(b"q")
        assert await screen.ended() == 0
