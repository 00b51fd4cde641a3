"""`docker run` and `podman run`: the child is only a client, the server is a container elsewhere.

A container inherits no mark and outlives a client that was killed, so it gets labels to be found
by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from mcpmux_tui.upstream import reaper

_ENVIRONMENT = frozenset({"HOME", "PATH", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"})
_PROGRAMS = frozenset({"docker", "podman"})


def labelled(command: str, args: Sequence[str], mark: str) -> tuple[str, ...] | None:
    """The arguments that start a container, with our labels in them; None where they start none.

    `mark` is a child's: its beginnings are its instance's and its run's.
    """
    place = _after_run(args) if PurePath(command).name in _PROGRAMS else None
    if place is None:
        return None
    labels = [f"--label={label}" for label in reaper.labels(mark)]
    return (*args[:place], *labels, *args[place:])


def program(command: str, environment: Mapping[str, str], folder: Path) -> reaper.Program:
    """How to ask for these containers: what names the service, and no secret of a server."""
    needed = {
        name: value
        for name, value in environment.items()
        if name in _ENVIRONMENT or name.startswith(("DOCKER_", "CONTAINER_"))
    }
    return command, needed, str(folder)


def _after_run(args: Sequence[str]) -> int | None:
    for place, arg in enumerate(args):
        if arg == "run":
            return place + 1
        # Before it there may be `container`, and options of the program itself with their values.
        if arg != "container" and not arg.startswith("-") and not _is_value(args, place):
            return None
    return None


def _is_value(args: Sequence[str], place: int) -> bool:
    before = args[place - 1] if place else ""
    return before.startswith("-") and "=" not in before
