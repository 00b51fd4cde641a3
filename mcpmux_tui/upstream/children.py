"""What all children of one engine share: turns to start, and the watchdog that outlives it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import IO, cast

from mcpmux_tui.text import NAME_LIMIT, one_line
from mcpmux_tui.upstream import reaper
from mcpmux_tui.upstream.limits import Limits

_PATIENT = ("/bin/sh", "-c", """trap '' TERM INT HUP; exec "$@" """, "sh")
"""Runs a program without these signals: what ends an engine politely may reach its watchdog too,
which its pipe tells when it is time."""


class Watchdog:
    """A process that ends all children when the engine dies without a word (SIGKILL, no memory).

    It is started before the first child and started again should somebody kill it.
    """

    def __init__(self, mark: str, patience: float) -> None:
        self._mark = mark
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()
        self.programs: list[reaper.Program] = []
        """What starts containers."""

    @property
    def pid(self) -> int | None:
        """Its process, once there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Run, unless it runs already."""
        if self._process is not None and self._process.poll() is not None:
            _stdin(self._process).close()
            self._process = None
        if self._process is None:
            self._process = subprocess.Popen(
                [*_PATIENT, sys.executable, "-I", "-S", reaper.__file__, self._mark],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Of an engine that is itself somebody's child, it must not carry the mark.
                env={},
                cwd="/",
                bufsize=0,
                start_new_session=True,
            )
            for group in self._groups:
                self._tell(f"+{group}\n")
            for program in self.programs:
                self._tell(_line(program))

    def watch(self, group: int) -> None:
        """A process group is to end with the engine."""
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def watch_containers(self, program: reaper.Program) -> None:
        """Containers that a program starts with our labels are to end with the engine."""
        if program not in self.programs:
            self.programs.append(program)
            self._tell(_line(program))

    def forget(self, group: int) -> None:
        """Nothing of a group is left; its number may be another's tomorrow."""
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        if self._process is not None:
            # One that is gone learns of every group when it is started again.
            with suppress(BrokenPipeError):
                _stdin(self._process).write(line.encode())

    async def close(self) -> None:
        """End it; nothing is left to watch."""
        process, self._process = self._process, None
        if process is None:
            return
        _stdin(process).close()
        try:
            await asyncio.to_thread(process.wait, self._patience)
        except subprocess.TimeoutExpired:
            # A `docker stop` it has begun goes on without it.
            process.kill()
            process.wait()


def _line(program: reaper.Program) -> str:
    return f"@{json.dumps(program)}\n"


def _name(pid: int) -> str:
    """A process's name, clean; empty for one that is gone."""
    import psutil  # here: a start needs it not

    try:
        return one_line(psutil.Process(pid).name(), NAME_LIMIT)
    except psutil.Error:
        return ""


def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
    # With PIPE there always is one.
    return cast("IO[bytes]", process.stdin)


class Children:
    """Shared by all supervisors of one engine; `name` says whose children carry its marks."""

    def __init__(self, name: str, limits: Limits | None = None) -> None:
        self._limits = limits = limits or Limits()
        self._instance = f"{name}/"
        self._run = f"{name}/{uuid.uuid4().hex[:12]}/"
        self.hurried = False
        """Whether everything is to end at once: a container then gets no longer than others."""
        self._numbers = itertools.count(1)
        self.watchdog = Watchdog(self._run, limits.eof)
        count = min(limits.starts, max(1, (os.cpu_count() or 1) - 1))
        self._turns = asyncio.Semaphore(count)

    def mark(self) -> str:
        """The mark of the next child, which no other child has; the watchdog runs from now on."""
        self.watchdog.start()
        return f"{self._run}{next(self._numbers)}/"

    def leftovers(self) -> tuple[str, ...]:
        """What earlier runs of this instance left behind, in words. Blocks for a moment."""
        found = [f"{_name(pid)} (pid {pid})" for pid, mark in self._others().items() if _name(pid)]
        for program in self.watchdog.programs:
            found += [f"container {name}" for name in sorted(self._other_containers(program))]
        return tuple(found)

    def end_leftovers(self) -> None:
        """End what earlier runs left behind. Blocks for some seconds at most."""
        for run in {mark.rpartition("/")[0].rpartition("/")[0] for mark in self._others().values()}:
            reaper.end(set(), f"{run}/")
        for program in self.watchdog.programs:
            reaper.stop_containers(program, self._other_containers(program), 3)

    def _others(self) -> dict[int, str]:
        # Only one engine of an instance runs, so whatever another run marked is nobody's.
        marks = reaper.marks(self._instance)
        return {pid: mark for pid, mark in marks.items() if not mark.startswith(self._run)}

    def _other_containers(self, program: reaper.Program) -> set[str]:
        all_runs = reaper.containers(program, f"mcpmux.instance={self._instance}")
        return all_runs - reaper.containers(program, f"mcpmux.run={self._run}")

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[None]:
        """A turn to start. Who takes long gives it back early: one server never blocks another."""
        await self._turns.acquire()
        given_back = False

        def give_back() -> None:
            nonlocal given_back
            if not given_back:
                given_back = True
                self._turns.release()

        timer = asyncio.get_running_loop().call_later(self._limits.start_turn, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()

    async def close(self) -> None:
        """End the watchdog; the children are gone by now."""
        await self.watchdog.close()
