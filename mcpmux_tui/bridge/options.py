"""The bridge's arguments, read without the command line's library, whose import takes longer than
the bridge's whole start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

COMMAND: Final = "stdio"
_HEADER: Final = r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)"
_VARIABLE: Final = r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"


class Wrong(ValueError):
    """The arguments cannot be used; the text says why."""


class Options(NamedTuple):
    """What the bridge is to do."""

    config: str | None = None
    url: str | None = None
    """None: the instance's engine."""
    headers: Mapping[str, str] = {}
    start: bool = True
    """Whether to start an engine where none runs."""

    def __repr__(self) -> str:
        # Headers may hold secrets.
        return f"Options(config={self.config!r}, url={self.url!r}, start={self.start!r})"

    @classmethod
    def of(
        cls, config: str | None, url: str | None, headers: Sequence[str], *, start: bool
    ) -> Options:
        """Check what was given. Raises Wrong."""
        if url is not None and config is not None:
            raise Wrong("--url names a server, --config an engine: give one of them.")
        if headers and url is None:
            raise Wrong("--header goes with --url.")
        return cls(config, url, dict(map(_header, headers)), start)


def quick(argv: Sequence[str]) -> Options | None:
    """The options where `argv` plainly asks for the bridge; None leaves it to the command line."""
    asked, start, headers = False, True, []
    last: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if not asked and word == COMMAND:
            asked = True
        elif asked and word == "--no-start":
            start = False
        elif name == "--config" or (asked and name in {"--url", "--header"}):
            given = value if equals else next(words, None)
            if given is None:
                return None
            last[name] = given
            if name == "--header":
                headers.append(given)
        else:
            return None
    if not asked:
        return None
    try:
        return Options.of(last.get("--config"), last.get("--url"), headers, start=start)
    except Wrong:
        return None


def _header(line: str) -> tuple[str, str]:
    """A header's name and value; `${NAME}` in it is a variable, which keeps it out of `argv`."""

    def value(found: re.Match[str]) -> str:
        if (given := os.environ.get(found[1])) is None:
            raise Wrong(f"--header wants the variable {found[1]}, which is not set.")
        return given

    parts = re.fullmatch(_HEADER, re.sub(_VARIABLE, value, line))
    if parts is None:
        raise Wrong("--header wants 'Name: value' in plain ASCII.")
    return parts[1], parts[2].strip()
