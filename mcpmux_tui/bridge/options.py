"""The bridge's arguments, read without the command line's library, whose import takes longer than
the bridge's whole start."""

from __future__ import annotations

import getopt
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = "stdio"
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Wrong(ValueError):
    """The arguments cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the bridge is to do."""

    config: Path | None = None
    url: str | None = None
    """None: the instance's engine."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    start: bool = True
    """Whether to start an engine where none runs."""

    @classmethod
    def of(
        cls, config: Path | None, url: str | None, headers: Sequence[str], *, start: bool
    ) -> Options:
        """Check what was given. Raises Wrong."""
        if url is not None and config is not None:
            raise Wrong("--url names a server, --config an engine: give one of them.")
        if headers and url is None:
            raise Wrong("--header goes with --url.")
        return cls(config, url, dict(map(_header, headers)), start)


def quick(argv: Sequence[str]) -> Options | None:
    """The options where `argv` plainly asks for the bridge; None leaves it to the command line."""
    try:
        before, rest = getopt.getopt(list(argv), "", ["config="])
        if rest[:1] != [COMMAND]:
            return None
        given, more = getopt.getopt(rest[1:], "", ["config=", "url=", "header=", "no-start"])
        if more:
            return None
        last = dict(before) | dict(given)
        config = last.get("--config")
        headers = [value for name, value in given if name == "--header"]
        return Options.of(
            None if config is None else Path(config),
            last.get("--url"),
            headers,
            start="--no-start" not in last,
        )
    except (getopt.GetoptError, Wrong):
        return None


def _header(line: str) -> tuple[str, str]:
    """A header's name and value; `${NAME}` in it is a variable, which keeps it out of `argv`."""

    def value(found: re.Match[str]) -> str:
        if (given := os.environ.get(found[1])) is None:
            raise Wrong(f"--header wants the variable {found[1]}, which is not set.")
        return given

    parts = _HEADER.fullmatch(_VARIABLE.sub(value, line))
    if parts is None:
        raise Wrong("--header wants 'Name: value' in plain ASCII.")
    return parts[1], parts[2].strip()
