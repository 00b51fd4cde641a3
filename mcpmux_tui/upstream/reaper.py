"""Ends what an engine left behind: the watchdog's own process, and how marked processes are found.

As a program it reads `+GROUP` and `-GROUP` lines from the engine, whose end, however it came,
closes the pipe; then nothing registered or marked may live on. Standard library only, run by its
path: it starts in milliseconds and stays small for as long as the engine runs.
"""

from __future__ import annotations

import os
import signal
import sys
import time

MARK = "MCPMUX_ID"
"""The variable every child gets; its own children have it too, whatever session they are in."""

_TERM = 1.5
_KILL = 3.0
_POLL = 0.05


def marked(mark: str) -> set[int]:
    """The pids of the live processes whose mark begins with `mark`. Empty where /proc is not."""
    wanted = f"{MARK}={mark}".encode()
    found: set[int] = set()
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
        if any(variable.startswith(wanted) for variable in environment.split(b"\0")):
            found.add(int(name))
    return found


def signal_marked(mark: str, number: signal.Signals) -> None:
    """Signal every process whose mark begins with `mark`."""
    for pid in marked(mark):
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


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


def _end(groups: set[int], mark: str) -> None:
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
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # What ends the engine politely may reach us too; the pipe says when it is time.
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    _end(groups, mark)


if __name__ == "__main__":
    _watch(sys.argv[1])
