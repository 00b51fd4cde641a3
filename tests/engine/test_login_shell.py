"""The login shell's PATH, asked of real shells with start-up files of all kinds."""

from __future__ import annotations

import asyncio
import logging
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from mcpmux_tui.config import file
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.engine.login_shell import LIMIT, LoginShell, merged
from mcpmux_tui.model.server import Health
from tests.end_to_end.program import ROOT, Home, Served, Terminal, eventually, home_at

RAW = Path(__file__).resolve().parents[1] / "fixtures" / "raw_stdio.py"
SYSTEM = "/usr/bin:/bin"
PATIENCE = 20.0
"""Longer than the real limit: a busy machine is no failure of the shell's."""


class Shell:
    """A user with a shell, their start-up files, and tools that only those know of."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.tools = home / "tools"
        self.tools.mkdir(parents=True)
        self.environ = {"HOME": str(home), "PATH": SYSTEM, "SHELL": "/bin/bash"}

    def rc(self, text: str, name: str = ".bash_profile") -> None:
        """Write a start-up file."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def ask(self, limit: float = PATIENCE) -> LoginShell:
        return LoginShell(self.environ, limit)

    async def path(self, limit: float = PATIENCE) -> str:
        """The PATH of the answer."""
        return (await self.ask(limit).environment())["PATH"]

    @contextmanager
    def gate(self) -> Iterator[Callable[[], object]]:
        """Start-up files wait at it with GATE until the call."""
        os.mkfifo(self.home / "gate")
        # Open for both, it blocks nobody but who reads.
        descriptor = os.open(self.home / "gate", os.O_RDWR)
        yield lambda: os.write(descriptor, b"\n")
        os.close(descriptor)

    def tool(self, name: str) -> None:
        """A server that is a command."""
        script = self.tools / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {RAW} "$@"\n', encoding="utf-8")
        script.chmod(0o755)


@pytest.fixture
def user(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "home")


async def gone(pid: int) -> None:
    """Wait until a process has ended; whether somebody reaps it is not our business."""

    def ended() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    await asyncio.to_thread(eventually, ended, 10, f"{pid} gone")


GATE = 'read x < "$HOME/gate"\n'
PROFILE = 'export PATH="$HOME/tools:$PATH"\n'


@pytest.mark.behaviour("D18", "MUX-P04")
@pytest.mark.parametrize(
    ("shell", "name", "text"),
    [
        ("bash", ".bash_profile", PROFILE),
        ("sh", ".profile", PROFILE),
        ("dash", ".profile", PROFILE),
        ("zsh", ".zprofile", PROFILE),
        ("zsh", ".zshrc", PROFILE),
        ("fish", ".config/fish/config.fish", "set -gx PATH $HOME/tools $PATH\n"),
    ],
)
async def test_the_path_is_that_of_the_users_shell(
    user: Shell, shell: str, name: str, text: str
) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    user.environ["SHELL"] = found
    user.rc(text, name)
    folders = (await user.path()).split(":")
    assert str(user.tools) in folders
    assert {"/usr/bin", "/bin"} <= set(folders)


@pytest.mark.behaviour("MUX-P04")
@pytest.mark.parametrize(
    "text",
    [
        'case $- in *i*) ;; *) return ;; esac; PATH="$HOME/tools:$PATH"',
        'case $- in *i*) exit 1 ;; esac; PATH="$HOME/tools:$PATH"',
    ],
    ids=["only-interactive", "only-not-interactive"],
)
async def test_start_up_files_for_either_kind_of_shell_are_heard(user: Shell, text: str) -> None:
    user.rc(text)
    assert str(user.tools) in (await user.path()).split(":")


NOISE = """
echo "Welcome! PATH=/evil"; printf 'PATH=/evil\\0'; echo "$-" >&2; yes noise | head -n 20000
printf() { command printf hello; }; alias env=false
PATH="$HOME/tools:$PATH"
trap 'echo "$BASH_COMMAND"' DEBUG
set -xv
sleep 600 & echo $! > "$HOME/left"
disown
"""


async def test_what_start_up_files_print_and_leave_running_does_not_matter(user: Shell) -> None:
    user.rc(NOISE)
    folders = (await user.path()).split(":")
    assert str(user.tools) in folders
    assert "/evil" not in folders
    await gone(int((user.home / "left").read_text()))


async def test_only_the_path_is_taken(user: Shell) -> None:
    user.rc("export PATH OTHER=1 HOME=/elsewhere")
    environment = await user.ask().environment()
    assert {**environment, "PATH": SYSTEM} == user.environ


async def test_start_up_files_do_not_see_the_token(user: Shell) -> None:
    user.environ |= {"MCPMUX_TOKEN": "secret", "OTHER": "1"}
    user.rc('env > "$HOME/seen"')
    environment = await user.ask().environment()
    assert environment["MCPMUX_TOKEN"] == "secret"
    seen = (user.home / "seen").read_text()
    assert "OTHER=1" in seen
    assert "secret" not in seen


@pytest.mark.behaviour("MUX-P04")
async def test_the_shell_is_asked_once_and_whoever_stops_waiting_stops_nobody(user: Shell) -> None:
    user.rc('echo >> "$HOME/asked"\n' + GATE + PROFILE)
    shell = user.ask()
    waiting = [asyncio.create_task(shell.environment()) for _ in range(3)]
    with user.gate() as open_gate:
        await asyncio.sleep(0)
        waiting.pop(0).cancel()
        await asyncio.sleep(0)
        open_gate()
        paths = {(await each)["PATH"] for each in [*waiting, shell.environment()]}
    assert len(paths) == 1
    assert str(user.tools) in paths.pop()
    assert (user.home / "asked").read_text() == "\n"


@pytest.mark.parametrize(
    ("shell", "text", "limit", "why"),
    [
        ("/bin/bash", 'echo $$ > "$HOME/pid"; sleep 600', 0.5, "took longer than 0.5 s"),
        ("/bin/bash", "exit 0", PATIENCE, "in the way"),
        ("/bin/bash", "yes", PATIENCE, "in the way"),
        ("/bin/bash", "unset PATH", PATIENCE, "in the way"),
        ("/bin/false", "", PATIENCE, "in the way"),
        ("/no/such", "", PATIENCE, "cannot be run: No such file"),
    ],
)
async def test_a_shell_that_does_not_tell_is_one_log_line_and_changes_nothing(
    user: Shell, caplog: pytest.LogCaptureFixture, shell: str, text: str, limit: float, why: str
) -> None:
    user.environ["SHELL"] = shell
    user.rc(text)
    assert await user.ask(limit).environment() == user.environ
    (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert shell in line
    assert why in line
    if (pid := user.home / "pid").exists():
        await gone(int(pid.read_text()))


def test_nobody_waits_longer_than_three_seconds_for_a_shell() -> None:
    assert LoginShell({})._limit == LIMIT == 3.0


@pytest.mark.parametrize(
    ("own", "login", "path"),
    [
        # What systemd and desktops give, and what a version manager makes of it.
        ("/usr/bin:/bin", "/nvm/bin:/usr/bin:/bin", "/nvm/bin:/usr/bin:/bin"),
        # A system folder that the shell does not have stands before nothing of the shell's.
        ("/usr/sbin:/usr/bin", "/nvm/bin:/usr/bin", "/nvm/bin:/usr/bin:/usr/sbin"),
        # A folder put there for mcpmux, where /etc/profile begins anew.
        ("/opt/venv/bin:/usr/bin", "/usr/bin:/bin", "/opt/venv/bin:/usr/bin:/bin"),
        # The shell knows it too, and where it belongs.
        ("/opt/a:/nvm:/usr/bin", "/nvm:/opt/a:/usr/bin", "/nvm:/opt/a:/usr/bin"),
        ("/bin:/bin", "/a:/bin:/a", "/a:/bin"),
    ],
)
def test_two_paths_become_one(own: str, login: str, path: str) -> None:
    assert merged(own, login) == path


def entry(name: str, command: str, more: str = "") -> str:
    return f'[servers.{name}]\ncommand = "{command}"\n{more}\n'


async def reach(hub: Hub, name: str, state: Health) -> None:
    changed = asyncio.Event()
    hub.publish = changed.set
    async with asyncio.timeout(15):
        while hub.fleet[name].snapshot.state is not state:
            changed.clear()
            await changed.wait()


@pytest.fixture
def as_user(user: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The test itself runs in the user's environment."""
    for name, value in user.environ.items():
        monkeypatch.setenv(name, value)
    return user


@asynccontextmanager
async def running(user: Shell, *entries: str) -> AsyncIterator[Hub]:
    """An engine that no shell has started."""
    path = user.home / "config.toml"
    path.write_text("\n".join(entries), encoding="utf-8")
    instance = Instance(path, True, user.home / "state")
    instance.prepare()
    shell = LoginShell(os.environ, PATIENCE)
    hub = Hub(instance, file.load(path, required=True), token=None, login_shell=shell)
    await hub.start(0, port_required=True)
    try:
        yield hub
    finally:
        await hub.stop()


@pytest.mark.behaviour("D18", "MUX-P04")
async def test_mcpmux_listens_while_servers_wait_for_a_slow_shell(as_user: Shell) -> None:
    as_user.tool("my-server")
    as_user.rc(GATE + PROFILE)
    with as_user.gate() as open_gate:
        async with running(as_user, entry("a", "my-server")) as hub:
            health = str(hub.proxy.url).replace("/mcp", "/healthz")
            answer = await asyncio.to_thread(httpx2.get, health)
            assert answer.text.strip() == "ok"
            assert hub.fleet["a"].snapshot.state is Health.CONNECTING
            open_gate()
            await reach(hub, "a", Health.CONNECTED)


async def test_a_stop_does_not_wait_for_the_shell(as_user: Shell) -> None:
    as_user.rc('echo $$ > "$HOME/draft"; mv "$HOME/draft" "$HOME/pid"; sleep 600')
    pid = as_user.home / "pid"
    async with running(as_user, entry("a", "my-server")):
        await asyncio.to_thread(eventually, pid.exists, 10, "the shell runs")
        stopping = time.monotonic()
    assert time.monotonic() - stopping < PATIENCE / 2
    await gone(int(pid.read_text()))


@pytest.mark.behaviour("D18", "MUX-P04")
async def test_placeholders_and_lookups_see_the_same_path_and_a_servers_own_is_used_as_given(
    as_user: Shell,
) -> None:
    as_user.tool("my-server")
    as_user.rc(PROFILE)
    async with running(
        as_user,
        entry("found", "my-server"),
        entry("filled", "my-server", 'env = { PATH = "/no/such:${PATH}" }'),
        entry("own", "my-server", f'env = {{ PATH = "{SYSTEM}" }}'),
    ) as hub:
        await reach(hub, "found", Health.CONNECTED)
        await reach(hub, "filled", Health.CONNECTED)
        await reach(hub, "own", Health.FAILED)
        assert SYSTEM in hub.fleet["own"].snapshot.detail
        pid = hub.fleet["filled"].snapshot.pid
        folders = psutil.Process(pid).environ()["PATH"].split(":")
        assert folders[:2] == ["/no/such", str(as_user.tools)]


@pytest.mark.behaviour("AMG-R06")
async def test_a_server_of_a_changed_config_gets_the_same_path(as_user: Shell) -> None:
    as_user.tool("my-server")
    as_user.rc(PROFILE)
    async with running(as_user, entry("a", "my-server")) as hub:
        await reach(hub, "a", Health.CONNECTED)
        (as_user.home / ".bash_profile").unlink()
        more = entry("b", "${NO_SUCH:-my-server}", 'env = { PATH = "${PATH}" }')
        hub.instance.config.write_text(more, encoding="utf-8")
        await hub.reload()
        await reach(hub, "b", Health.CONNECTED)


ASKED = "from mcpmux_tui.engine.login_shell import *; print(started_from_shell())"
CALL = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
"""Starts a program and waits for it, as shells, desktops and systemd do."""
TAKE = """
import fcntl, os, sys, termios
if os.getsid(0) != os.getpid():
    os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Takes the terminal on stdin for its own and becomes another program."""


def steps(*codes: str) -> list[str]:
    """A command line where each step runs the next."""
    return [part for code in codes for part in (sys.executable, "-c", code)]


@pytest.fixture
def terminal() -> Iterator[int]:
    """The end of a pseudo-terminal that programs get."""
    ours, theirs = pty.openpty()
    yield theirs
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("command", "from_shell"),
    [
        (steps(CALL, ASKED), False),
        (steps(TAKE, CALL, ASKED), True),
        (steps(CALL, TAKE, ASKED), False),
        (steps(TAKE, CALL.replace("[1:]", "[1:], start_new_session=True"), ASKED), False),
    ],
    ids=["systemd", "shell", "terminal-program", "detached"],
)
def test_what_counts_is_a_terminal_that_the_starter_has_too(
    terminal: int, command: list[str], from_shell: bool
) -> None:
    done = subprocess.run(
        command, stdin=terminal, capture_output=True, text=True, start_new_session=True, check=True
    )
    assert done.stdout == f"{from_shell}\n"


@pytest.fixture
def home(user: Shell) -> Iterator[Home]:
    """The user's home for whole programs; their shell makes a mark when it is asked."""
    user.tool("my-server")
    user.rc('touch "$HOME/asked"\n' + PROFILE)
    for home in home_at(user.home):
        home.env["SHELL"] = "/bin/bash"
        home.write(entry("a", "my-server"))
        yield home


@pytest.mark.behaviour("D18", "MUX-P04")
def test_served_by_systemd_a_server_is_found_where_the_login_shell_finds_it(home: Home) -> None:
    with Served(home, "--port", "0", "--wait", before=("setsid",)) as served:
        assert home.run("status", "--config", str(home.config)).code == 0
        served.stop()


@pytest.mark.behaviour("D18", "MUX-P04")
def test_opened_from_a_desktop_entry_too(home: Home) -> None:
    with Terminal(home, "--config", str(home.config), "--port", "0") as screen:
        screen.wait_for("my-server")
        eventually(
            lambda: home.run("status", "--config", str(home.config)).code == 0, 20, "connected"
        )
        screen.press("q")
        assert screen.finish() == 0


@pytest.mark.behaviour("MUX-P04")
def test_started_from_a_shell_mcpmux_keeps_the_path_it_has(home: Home, terminal: int) -> None:
    serve = ("-m", "mcpmux_tui", "serve", "--config", str(home.config), "--port", "0")
    done = subprocess.run(
        [*steps(TAKE, CALL), sys.executable, *serve, "--wait", "--timeout", "15"],
        cwd=ROOT, env=home.env, stdin=terminal, capture_output=True, text=True,
        start_new_session=True, check=False,
    )  # fmt: skip
    assert done.returncode == 11
    assert "command not found: my-server" in done.stderr
    assert not (home.folder / "asked").exists()
