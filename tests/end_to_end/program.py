"""The program as its user runs it: real processes, real terminals, a home of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Any, Self

import psutil

from mcpmux_tui.control.address import read_address
from mcpmux_tui.model.server import EngineSnapshot, exit_code
from tests.fixtures.picture import ASKS_FOR_SYNC, SYNC, Picture

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
RAW_STDIO = FIXTURES / "raw_stdio.py"
RAW_HTTP = FIXTURES / "raw_http.py"
LISTENING = "mcpmux listening on "
LIMIT = 20.0
_GONE = 0.15
_MOVES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Home:
    """A user's home: its environment, and a mark by which its servers' processes are found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"mark-{uuid.uuid4().hex}"
        self.config = folder / "servers.toml"
        folder.mkdir(exist_ok=True)
        self.env = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "MCPMUX_STATE_DIR": str(folder / "state"),
            "MCPMUX_CONFIG_DIR": str(folder / "config"),
            "PYTHONWARNINGS": "error",
            "TEXTUAL_ANIMATIONS": "none",
        }

    def stdio(self, name: str, *flags: str) -> str:
        """TOML of a raw stdio server whose command line carries the mark."""
        args = [str(RAW_STDIO), *flags, "--mark", self.mark]
        return f"[servers.{name}]\ncommand = {sys.executable!r}\nargs = {args!r}\n"

    def write(self, *entries: str) -> Path:
        """Write the config."""
        self.config.write_text("\n".join(entries), encoding="utf-8")
        return self.config

    def snapshot(self) -> EngineSnapshot | None:
        """What the engine of this home says now, asked as a command does but without one: a poll
        by commands would start a process each time. None while none runs."""
        for folder in Path(self.env["MCPMUX_STATE_DIR"]).glob("*"):
            if (address := read_address(folder)) is None:
                continue
            with socket.socket(socket.AF_UNIX) as door, contextlib.suppress(OSError):
                door.settimeout(5)
                door.connect(str(address))
                door.sendall(b'{"id":1,"method":"hello"}\n')
                with door.makefile("rb") as lines:
                    reply = json.loads(lines.readline())
                return EngineSnapshot.model_validate(reply["result"]["snapshot"])
        return None

    def rows(self) -> dict[str, dict[str, Any]]:
        """The servers by name, as `status --json` has them."""
        snapshot = self.snapshot()
        assert snapshot is not None, "no engine runs"
        return {each.name: each.model_dump(mode="json") for each in snapshot.servers}

    @property
    def pid(self) -> int:
        """The engine's."""
        snapshot = self.snapshot()
        assert snapshot is not None, "no engine runs"
        assert snapshot.proxy is not None
        return snapshot.proxy.pid

    def all_connected(self) -> bool:
        """Whether every server is connected."""
        snapshot = self.snapshot()
        return snapshot is not None and exit_code(snapshot.servers) == 0

    def wait_until_connected(self, limit: float = 30.0) -> None:
        """Wait until every server is connected."""
        eventually(self.all_connected, limit, "all connected")

    def run(self, *args: str, timeout: float = LIMIT, stdin: str = "") -> Finished:
        """Run a command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "mcpmux_tui", *args],
            cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=timeout, input=stdin,
            check=False,
        )  # fmt: skip
        return Finished(done.returncode, done.stdout, done.stderr)

    def survivors(self) -> list[psutil.Process]:
        """The processes that carry the mark, or that were started in this home."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                at_home = process.environ().get("HOME") == self.env["HOME"]
                if at_home or self.mark in process.cmdline():
                    found.append(process)
        return found

    def clean_up(self) -> None:
        """Kill what a failed test left behind."""
        for process in self.survivors():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@contextmanager
def fixture(home: Home, name: str, **switches: str) -> Iterator[str]:
    """A script of tests/fixtures as a process of its own; the first line it prints."""
    process = subprocess.Popen(
        [sys.executable, str(FIXTURES / name)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env=home.env | {"PYTHONPATH": str(ROOT)} | switches,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


class Finished:
    """A command that has ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Served:
    """A `mcpmux serve`; its address once it listens."""

    def __init__(self, home: Home, *args: str, before: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [
                *before,
                sys.executable, "-m", "mcpmux_tui", "serve", "--config", str(home.config), *args,
            ],
            cwd=ROOT, env=home.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        self.url = line.removeprefix(LISTENING)
        self.listening = line.startswith(LISTENING)

    def stop(self, number: signal.Signals = signal.SIGTERM, limit: float = 10) -> Finished:
        """End it by a signal."""
        self.process.send_signal(number)
        return self.finish(limit)

    def finish(self, limit: float = 10) -> Finished:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=limit)
        return Finished(self.process.returncode, out, err)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        with self.process:
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()  # `unshare` passes no SIGTERM on.
                raise


class Terminal:
    """`mcpmux` in a pseudo-terminal."""

    def __init__(
        self,
        home: Home,
        *args: str,
        columns: int = 120,
        rows: int = 40,
        program: tuple[str, ...] = ("-m", "mcpmux_tui"),
    ) -> None:
        self._ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, *program, *args],
            cwd=ROOT, env=home.env, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.output = b""
        self.picture = Picture(columns, rows)
        self._pressed = self._pictured = 0

    def wait_until_shown(self, text: str, limit: float = LIMIT) -> None:
        """Wait until `text` is on the screen; with `!` before it, until it is not."""
        wanted = text.removeprefix("!")
        since = time.monotonic()

        def shown() -> bool:
            nonlocal since
            new = self.output[self._pictured :]
            self._pictured = len(self.output)
            self.picture.feed(new)
            if ASKS_FOR_SYNC in new:
                os.write(self._ours, SYNC.encode())
            now = time.monotonic()
            if (wanted in self.picture.text) is not (wanted == text):
                since = now
            # What is laid out anew may be gone for a frame.
            return now - since > (0 if wanted == text else _GONE)

        try:
            self.read_until(shown, limit, text)
        except AssertionError:
            raise AssertionError(f"not shown: {text!r} in\n{self.picture.text}") from None

    def wait_for(self, text: str, limit: float = LIMIT) -> None:
        """Wait until `text` was written to the terminal since the last key."""
        self.wait_for_one(text, limit=limit)

    def wait_for_one(self, *texts: str, limit: float = LIMIT) -> str:
        """The first of `texts` that was written to the terminal since the last key."""

        def came() -> list[str]:
            # A text may be cut by moves of the cursor; an escape sequence may be what is wanted.
            new = self.output[self._pressed :]
            bare = _MOVES.sub(b"", new)
            return [each for each in texts if each.encode() in new or each.encode() in bare]

        self.read_until(lambda: bool(came()), limit, " or ".join(texts))
        return came()[0]

    @property
    def text(self) -> str:
        """All that was written, without the sequences that move and colour."""
        return _MOVES.sub(b"", self.output).decode(errors="replace")

    def press(self, keys: str) -> None:
        """Type."""
        self._pressed = len(self.output)
        os.write(self._ours, keys.encode())

    def finish(self, limit: float = 12) -> int:
        """Read on until the program has ended; return its exit code."""
        self.read_until(lambda: self.process.poll() is not None, limit, "the end")
        return self.process.wait()

    def read_until(self, done: Callable[[], bool], limit: float, what: str) -> None:
        """Read what is written to the terminal until something is so."""
        end = time.monotonic() + limit
        while not done():
            if time.monotonic() > end:
                raise AssertionError(f"no {what!r} after {limit} s in {self.output[-3000:]!r}")
            if select.select([self._ours], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    self.output += os.read(self._ours, 65536)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5)
        os.close(self._ours)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def eventually(condition: Callable[[], bool], limit: float, what: str) -> float:
    """Wait until another process has come so far; return the seconds it took."""
    start = time.monotonic()
    poll = select.poll()
    while not condition():
        if time.monotonic() - start > limit:
            raise AssertionError(f"not within {limit} s: {what}")
        poll.poll(50)
    return time.monotonic() - start


def home_at(folder: Path) -> Iterator[Home]:
    """A home for one test; nothing of it outlives the test."""
    home = Home(folder)
    try:
        yield home
        eventually(lambda: not home.survivors(), 10, "the end of every process of this home")
    finally:
        home.clean_up()
