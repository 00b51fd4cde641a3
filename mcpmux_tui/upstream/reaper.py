"""Ends what an engine left behind: the watchdog's own process, and how marked processes are found.

As a program it reads lines from the engine: `+GROUP`, `-GROUP`, and `@PROGRAM` for what starts
containers. The engine's end, however it came, closes the pipe; then nothing registered, marked or
labelled may live on. Standard library only, run by its
path: it starts in milliseconds and stays small for as long as the engine runs.
"""

from __future__ import annotations

import os
import sys
import time

MARK = "MCPMUX_ID"
"""The variable every child gets; its own children have it too, whatever session they are in."""

Program = tuple[str, dict[str, str], str]
"""How docker or podman is run: the command, its environment, the folder."""

_TERM = 1.5
_KILL = 3.0
_POLL = 0.05
_STOP = 3
"""Seconds for a container to end by itself."""


def marks(prefix: str) -> dict[int, str]:
    """The live processes whose mark begins with `prefix`, by pid. Empty where /proc is not."""
    wanted = f"{MARK}={prefix}".encode()
    found: dict[int, str] = {}
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - the watchdog's process imports no pathlib
    except FileNotFoundError:
        return found
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
                environment = file.read()
        except OSError:
            # Gone, or somebody else's.
            continue
        for variable in environment.split(b"\0"):
            if variable.startswith(wanted):
                found[int(name)] = variable.partition(b"=")[2].decode("utf-8", "replace")
    return found


def marked(mark: str) -> set[int]:
    """The pids of the live processes whose mark begins with `mark`."""
    return set(marks(mark))


def labels(mark: str) -> list[str]:
    """What a container carries instead of a mark: its instance's, its run's, and its own."""
    instance, run, _, _ = mark.split("/")
    return [
        f"mcpmux.instance={instance}/",
        f"mcpmux.run={instance}/{run}/",
        f"mcpmux.child={mark}",
    ]


def containers(program: Program, label: str) -> set[str]:
    """The ids of running containers with a label. Blocks, for some seconds at most."""
    return set(_run(program, ["ps", "-q", "--filter", f"label={label}"], 5).split())


def stop_containers(program: Program, ids: set[str], seconds: int) -> None:
    """Let containers end by themselves within some seconds, else kill them. Blocks as long."""
    if ids:
        _run(program, ["stop", f"--time={seconds}", *sorted(ids)], seconds + 5)


def _run(program: Program, arguments: list[str], patience: float) -> str:
    # Only a watchdog of containers needs it, at its end.
    import subprocess

    command, environment, folder = program
    try:
        done = subprocess.run(
            [command, *arguments],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            text=True,
            errors="replace",
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        # No such program any more, or its service hangs: nothing can be done from here.
        return ""
    return done.stdout if done.returncode == 0 else ""


def signal_marked(mark: str, number: int) -> set[int]:
    """Signal every process whose mark begins with `mark`; their pids."""
    found = marked(mark)
    for pid in found:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue
    return found


def _signal_groups(groups: set[int], number: int) -> set[int]:
    """Signal process groups; those that were there."""
    there = set()
    for group in groups:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            continue
        except PermissionError:
            pass
        there.add(group)
    return there


def end(groups: set[int], mark: str) -> None:
    """End process groups, and whatever carries a mark that begins so. Blocks."""
    import signal  # here: it takes as long as the rest of a watchdog's start

    for number, patience in ((signal.SIGTERM, _TERM), (signal.SIGKILL, _KILL)):
        _signal_groups(groups, number)
        signal_marked(mark, number)
        deadline = time.monotonic() + patience
        while (groups := _signal_groups(groups, 0)) or marked(mark):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL)  # noqa: TID251 - a process of its own, without an event loop
        else:
            return


def _watch(mark: str) -> None:
    groups: set[int] = set()
    programs: set[str] = set()
    for line in sys.stdin:
        match line[0]:
            case "+":
                groups.add(int(line[1:]))
            case "-":
                groups.discard(int(line[1:]))
            case _:
                programs.add(line[1:])
    end(groups, mark)
    for program in programs:
        _stop_all(program, mark)


def _stop_all(program: str, mark: str) -> None:
    import json

    command, environment, folder = json.loads(program)
    run = (command, environment, folder)
    stop_containers(run, containers(run, f"mcpmux.run={mark}"), _STOP)


if __name__ == "__main__":
    _watch(sys.argv[1])
