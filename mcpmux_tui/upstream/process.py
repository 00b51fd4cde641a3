"""A child process with a group of its own: spawn, exit watcher, stop ladder."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from mcpmux_tui.model.errors import StartFailed
from mcpmux_tui.model.spec import StdioLaunch
from mcpmux_tui.upstream import reaper
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.programs import how_to_get

SPARE_DESCRIPTORS = 32
"""What a new child must leave free."""
NARROW = 64 * 1024
"""Bytes that a pipe holds as the system makes it."""
_WIDE = 1024 * 1024
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended, `seconds` after its start; `code` as subprocess gives it."""

    code: int
    seconds: float

    def __str__(self) -> str:
        after = f"after {self.seconds:.1f} s"
        if self.code >= 0:
            return f"exited with code {self.code} {after}"
        try:
            name = signal.Signals(-self.code).name
        except ValueError:
            name = f"signal {-self.code}"
        return f"was ended by {name} {after}"


class Process:
    """One running child. `exited` is called once, on the loop, as soon as the child is gone.

    The watcher does not look at pipes: a grandchild may hold them for ever.
    """

    def __init__(
        self, popen: subprocess.Popen[bytes], mark: str, exited: Callable[[Exit], None]
    ) -> None:
        self._popen = popen
        self.mark = mark
        # With PIPE for all three there are always three.
        self.stdin, self.stdout, self.stderr = (
            cast("IO[bytes]", pipe) for pipe in (popen.stdin, popen.stdout, popen.stderr)
        )
        self._exited = exited
        self._started = time.monotonic()
        self._gone = asyncio.Event()
        self.exit: Exit | None = None
        self._watch()

    @property
    def pid(self) -> int:
        """The child's pid, which is its group's too."""
        return self._popen.pid

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        pidfd = _pidfd(self.pid)
        if pidfd is not None:

            def readable() -> None:
                loop.remove_reader(pidfd)
                os.close(pidfd)
                self._ended()

            loop.add_reader(pidfd, readable)
            return

        def wait() -> None:
            self._popen.wait()
            # A loop that was closed meanwhile has nobody left to tell.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._ended)

        threading.Thread(target=wait, name=f"wait-{self.pid}", daemon=True).start()

    def _ended(self) -> None:
        self.exit = Exit(self._popen.wait(), time.monotonic() - self._started)
        self._gone.set()
        self._exited(self.exit)

    async def end(self, limits: Limits, term: Callable[[], float] | None = None) -> bool:
        """Climb the stop ladder from after stdin was closed; False if something of it still lives.

        `term` says how long SIGTERM may take to work, should that change meanwhile.
        The group is signalled even when the child itself is gone: its own children may not be.
        Those that left the group are known by the mark in their environment.
        """
        finished = gone = False
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(limits.eof):
                    await self._gone.wait()
            ladder = (
                (signal.SIGTERM, term or (lambda: limits.term)),
                (signal.SIGKILL, lambda: limits.kill),
            )
            for number, patience in ladder:
                self._signal(number)
                strays = await asyncio.to_thread(reaper.signal_marked, self.mark, number)
                if gone := await self._all_gone(strays, patience):
                    break
            finished = True
        finally:
            if not finished:
                self._signal(signal.SIGKILL)
                reaper.signal_marked(self.mark, signal.SIGKILL)
        return gone

    def close_pipes(self) -> None:
        """Close our ends of the three pipes."""
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()

    async def _all_gone(self, strays: set[int], patience: Callable[[], float]) -> bool:
        loop = asyncio.get_running_loop()
        started = loop.time()
        # A process that ends loses its environment, and so its mark, before it closes its files.
        while (
            self._group_lives()
            or any(_runs(pid) for pid in strays)
            or len(await asyncio.to_thread(reaper.marked, self.mark))
        ):
            if loop.time() >= started + patience():
                return False
            await asyncio.sleep(_POLL)
        return True

    def _group_lives(self) -> bool:
        # Orphans stay zombies until init reaps them, which in a container may be never.
        import psutil  # here and below: needed at the end of a child, never for its start

        return self._signal(0) and any(_runs(pid) for pid in psutil.pids() if self._leads(pid))

    def _leads(self, pid: int) -> bool:
        try:
            return os.getpgid(pid) == self.pid
        except ProcessLookupError:
            return False

    def _signal(self, number: int) -> bool:
        # The group's number cannot be taken by another group while anyone is left in it.
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def _runs(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _pidfd(pid: int) -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        # An old kernel, a sandbox, or no descriptor left: a thread does the same.
        return None


def check(
    launch: StdioLaunch, configured: StdioLaunch, environment: Mapping[str, str], folder: Path
) -> None:
    """Find out why a launch cannot work, before the attempt. Blocks on the disk.

    Sentences name what is `configured`: the value of a placeholder may be a secret.

    Raises StartFailed.
    """
    shown = configured.cwd or folder
    if not _holds(folder.is_dir, f"working folder cannot be used: {shown}"):
        raise StartFailed(
            f"working folder does not exist: {shown}",
            "Correct `cwd` in the config.",
            permanent=True,
        )
    command = configured.command
    path = environment.get("PATH", os.defpath)
    if os.sep in launch.command:
        file = folder / launch.command
        if not _holds(file.exists, f"command cannot be used: {command}"):
            raise StartFailed(
                f"command not found: {command}", "Correct the path in the config.", permanent=True
            )
        if file.is_dir():
            raise StartFailed(
                f"cannot run {command}: it is a folder",
                "Name the program in it in the config.",
                permanent=True,
            )
        if not os.access(file, os.X_OK):
            raise StartFailed(
                f"permission denied: {command} is not an executable file",
                f"Make it executable (chmod +x {command}), or correct the path.",
                permanent=True,
            )
    elif shutil.which(launch.command, path=path) is None:
        raise StartFailed(
            f"command not found: {command}",
            f"It is not on the PATH this server gets ({configured.env.get('PATH', path)})."
            f" {how_to_get(command)}, or give its full path in the config.",
            permanent=True,
        )


def _holds(test: Callable[[], bool], otherwise: str) -> bool:
    """What `test` says of a path. Raises StartFailed where the system does not take the path."""
    try:
        return test()
    except OSError as error:
        raise StartFailed(
            f"{otherwise} ({error.strerror})", "Correct it in the config.", permanent=True
        ) from error


def spawn(
    launch: StdioLaunch,
    configured: StdioLaunch,
    environment: Mapping[str, str],
    folder: Path,
) -> subprocess.Popen[bytes]:
    """Start the child in a session of its own, all three streams on pipes.

    Without a controlling terminal it cannot write to ours. The command goes as configured, never
    as the file it resolves to: version managers decide by the name they are called by.

    Raises StartFailed.
    """
    _leave_some_descriptors()
    try:
        popen = subprocess.Popen(
            [launch.command, *launch.args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _why(configured.command, error) from error
    return popen


def widen(pipe: IO[bytes]) -> None:
    """Let large messages pass in fewer pieces, where the system has room for that (Linux).

    For who has such messages only: all pipes of a user share what the system gives.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _WIDE)


def _leave_some_descriptors() -> None:
    """Clients and doors need some too. Raises StartFailed when there are no more to give away."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and _descriptors() + SPARE_DESCRIPTORS > most:
        raise StartFailed(
            f"too many open files: mcpmux may have {most}",
            "Raise the limit (`ulimit -n`) and start mcpmux again, or run fewer servers.",
        )


def _descriptors() -> int:
    with os.scandir("/dev/fd") as descriptors:
        return sum(1 for _ in descriptors)


def _why(command: str, error: OSError | ValueError) -> StartFailed:
    if isinstance(error, ValueError):
        return StartFailed(
            "a null byte in the command, its arguments or its environment",
            "Correct the entry in the config.",
            permanent=True,
        )
    match error.errno:
        case errno.ENOENT:
            return StartFailed(
                f"cannot run {command}: the interpreter in its first line does not exist",
                "Install that interpreter, or name one as the command and the script as argument.",
                permanent=True,
            )
        case errno.EACCES:
            return StartFailed(
                f"permission denied: {command}", "Look at its permissions.", permanent=True
            )
        case errno.ENOEXEC:
            return StartFailed(
                f"cannot run {command}: not a program for this machine",
                "It has no #! line, or was built for another system.",
                permanent=True,
            )
        case errno.E2BIG:
            return StartFailed(
                f"cannot run {command}: arguments and environment are too long",
                "Shorten them in the config.",
                permanent=True,
            )
        case _:
            return StartFailed(
                f"cannot run {command}: {error.strerror}",
                "mcpmux tries again by itself.",
            )
