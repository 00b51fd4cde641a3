"""What an import would add, under which name, and what it would leave out and why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import urlsplit

from mcpmux_tui.importers.source import FoundServer
from mcpmux_tui.model.hosts import is_loopback

NAME_LIMIT = 40
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
_LAUNCH_KEYS = ("command", "args", "env", "cwd", "url", "headers")


@dataclass(frozen=True, slots=True)
class Planned:
    """One found server with the name it would get; `skip` says why it would not be added."""

    found: FoundServer
    name: str
    skip: str = ""


def plan_import(
    found: Sequence[FoundServer],
    existing_names: Collection[str],
    existing_entries: Mapping[str, Mapping[str, object]],
    *,
    own_url: str | None = None,
) -> tuple[Planned, ...]:
    """Return the plan for `found`, in its order.

    The same name with the same launch is a duplicate; with another launch the later one is named
    after its tool as well. `own_url` is the address of the proxy: an entry that leads back to
    mcpmux itself is left out.
    """
    taken: dict[str, tuple[object, str]] = {
        name: (_launch(existing_entries.get(name, {})), "already here") for name in existing_names
    }
    plan: list[Planned] = []
    for server in found:
        launch = _launch(server.entry)
        for name in _names(server):
            if name not in taken:
                skip = "it is mcpmux itself" if is_own(server.entry, own_url) else ""
                if not skip:
                    taken[name] = launch, f"the same as {name} of {server.tool}"
                plan.append(Planned(server, name, skip))
                break
            known, reason = taken[name]
            if known == launch:
                plan.append(Planned(server, name, reason))
                break
    return tuple(plan)


def valid_name(name: str) -> str:
    """Return the nearest name that mcpmux takes; always the same for the same name."""
    near = _OTHER.sub("-", name).strip("-.")[:NAME_LIMIT].rstrip("-.")
    return near if near not in {"", "p"} else f"{near}-server".strip("-")


def _names(server: FoundServer) -> Iterator[str]:
    base = valid_name(server.name)
    yield base
    named = _suffixed(base, _OTHER.sub("-", server.tool).lower())
    yield named
    number = 2
    while True:
        yield _suffixed(named, str(number))
        number += 1


def _suffixed(name: str, suffix: str) -> str:
    return f"{name[: NAME_LIMIT - len(suffix) - 1]}-{suffix}"


def _launch(entry: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(entry.get(key) or None for key in _LAUNCH_KEYS)


def is_own(entry: Mapping[str, object], own_url: str | None) -> bool:
    """Whether an entry leads back to mcpmux, whose proxy is at `own_url`."""
    match entry:
        case {"command": str(command)}:
            return PurePath(command).name == "mcpmux"
        case {"url": str(url)} if own_url is not None:
            theirs, ours = _address(url), _address(own_url)
            return theirs is not None and theirs == ours
        case _:
            return False


def _address(url: str) -> tuple[int | None, str] | None:
    """The port and the first part of the path of a loopback address."""
    try:
        parts = urlsplit(url)
        if not is_loopback(parts.hostname or ""):
            return None
        return parts.port, parts.path.strip("/").partition("/")[0]
    except ValueError:
        return None
