"""The PATH of the user's login shell, for an engine that no shell has started.

Desktop entries, systemd and IDEs start programs with a bare PATH; version managers add theirs in
the start-up files of the shell. "Works in my shell, fails here" begins with this difference.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import secrets
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Final, cast

from mcpmux_tui.text import one_line

_log = logging.getLogger(__name__)

LIMIT: Final = 3.0
_NOISE_LIMIT: Final = 1024 * 1024
_SYSTEM: Final = frozenset(
    {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
)


def started_from_shell() -> bool:
    """Whether mcpmux has its environment from a shell, whose PATH is the one its user knows.

    A shell has a terminal and shares it. systemd and IDEs have none, nor has the terminal program
    that a desktop entry tells to run mcpmux: it gives one, but its environment is the desktop's.
    """
    # A process without a terminal of its own cannot open this name of it.
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    # Here, since most commands need neither it nor an engine.
    import psutil

    try:
        this = psutil.Process()
        starter = this.parent()
        return starter is not None and bool(this.terminal() and starter.terminal())
    except psutil.Error:
        return False


class LoginShell:
    """Asked at first need and once, however many servers wait for the answer."""

    def __init__(self, environ: Mapping[str, str], limit: float = LIMIT) -> None:
        self._environ = environ
        self._limit = limit
        self._asking: asyncio.Task[Mapping[str, str]] | None = None

    async def environment(self) -> Mapping[str, str]:
        """The environment with the PATH it has in the login shell; as it is where that fails."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="login-shell")
        # Who stops waiting stops nobody else.
        return await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Ask no longer."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _ask(self) -> Mapping[str, str]:
        shell = self._environ.get("SHELL") or _shell_of_user()
        path, why = None, "its start-up files are in the way"
        try:
            async with asyncio.timeout(self._limit):
                path = await _path(shell, self._environ)
        except TimeoutError:
            why = f"it took longer than {self._limit:g} s"
        except OSError as error:
            why = f"it cannot be run: {error.strerror}"
        if path is None:
            _log.warning(
                "the login shell %s did not tell its PATH, %s; servers get the one mcpmux has",
                one_line(shell),
                why,
            )
            return self._environ
        return {**self._environ, "PATH": merged(self._environ.get("PATH", os.defpath), path)}


def merged(own: str, login: str) -> str:
    """Return the search path out of mcpmux's own and the login shell's.

    The shell's order decides between two installations of a program, as in every terminal. But a
    folder that only mcpmux has was put there for it (by a unit, an image, an activated
    environment) and stands first, unless it is one of the system's.
    """
    ours, theirs = own.split(os.pathsep), login.split(os.pathsep)
    deliberate = [folder for folder in ours if folder not in {*theirs, *_SYSTEM}]
    return os.pathsep.join(dict.fromkeys((*deliberate, *theirs, *ours)))


def _shell_of_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    except KeyError:
        # A container's user need not be in its passwd.
        return "/bin/sh"


async def _path(shell: str, environ: Mapping[str, str]) -> str | None:
    """The PATH that `shell` exports. Raises OSError where it does not run."""
    # Many set their PATH for interactive shells only; some of their files need a terminal then.
    for flags in (("-l", "-i"), ("-l",)):
        variables = await _exported(shell, flags, environ)
        for variable in variables:
            name, _, value = variable.partition(b"=")
            if name == b"PATH" and value:
                return os.fsdecode(value)
    return None


async def _exported(shell: str, flags: tuple[str, ...], environ: Mapping[str, str]) -> list[bytes]:
    """The environment after the start-up files of `shell`; empty if they do not come so far."""
    # In halves: a trap that prints every command does not print the mark.
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    child = _start(shell, flags, f"printf %s%s {first} {second}", environ)
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), cast("IO[bytes]", child.stdout)
    )
    said = b""
    try:
        # Not to the end of the output: what was left in the background may hold the pipe.
        while len(parts := said.split((first + second).encode())) < 3:
            chunk = await reader.read(65_536)
            if not chunk or len(said) > _NOISE_LIMIT:
                return []
            said += chunk
        return parts[1].split(b"\0")
    finally:
        pipe.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        # Even SIGKILL waits for a file system that does not answer.
        threading.Thread(target=child.wait, name=f"wait-{child.pid}", daemon=True).start()


def _start(
    shell: str, flags: tuple[str, ...], mark: str, environ: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    # bash, zsh, fish and sh read this alike, and in the plain shell inside nothing of the
    # start-up files comes between the marks.
    command = f"/bin/sh -c '{mark}; /usr/bin/env -0; {mark}'"
    return subprocess.Popen(
        [shell, *flags, "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in environ.items() if not name.startswith("MCPMUX_")},
        cwd=environ.get("HOME"),
        start_new_session=True,
    )
