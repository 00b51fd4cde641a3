"""`WWW-Authenticate`: what a server says about why and how to sign in.

RFC 9110, 11.6.1 (the grammar); RFC 6750, 3 (`scope`, `error`); RFC 9728, 5.1
(`resource_metadata`). What does not fit the grammar ends the reading of its header line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from mcpmux_tui.text import one_line

HEADER_LIMIT: Final = 8 * 1024
"""Characters of all header lines together; a line that goes beyond is ignored."""
SCOPES_LIMIT: Final = 4 * 1024
"""Characters of a list of scopes; those beyond are ignored."""
DESCRIPTION_LIMIT: Final = 200

_GAP = re.compile(r"[ \t,]*")
_SCHEME = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?=[ \t,]|$)")
_PARAM = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*"
    r'(?:"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*)"'
    # Real servers leave out quotes around addresses, and commas between parameters.
    r"|([\x21\x23-\x2b\x2d-\x7e]+))(?=[ \t,]|$)"
)
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9\-._~+/]+=*[ \t]*(?=,|$)")
_QUOTED_PAIR = re.compile(r"\\(.)")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_ERROR = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ADDRESS = re.compile(r"https?://[\x21-\x7e]{1,2048}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A `Bearer` challenge: what of it is well-formed."""

    resource_metadata: str | None = None
    scopes: tuple[str, ...] = ()
    error: str | None = None
    description: str = ""
    """For people: cleaned and short."""


def parse(values: Iterable[str]) -> Challenge | None:
    """The `Bearer` challenge among header lines; one that tells where to sign in comes first."""
    found = [
        _challenge(params) for scheme, params in challenges(values) if scheme.lower() == "bearer"
    ]
    return next((each for each in found if each.resource_metadata), found[0] if found else None)


def challenges(values: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """All challenges: the scheme, and its parameters by lower-case name.

    A parameter that stands twice in one challenge is left out: nobody can tell which one counts.
    """
    found: list[tuple[str, dict[str, str]]] = []
    room = HEADER_LIMIT
    for value in values:
        room -= len(value)
        if room < 0:
            break
        found.extend(_read(value))
    return found


def scope_list(text: str) -> tuple[str, ...]:
    """The scopes in a list with spaces between (RFC 6749, 3.3); odd ones are left out."""
    cut = text[:SCOPES_LIMIT]
    names = cut.split(" ")
    if len(text) > len(cut) and text[len(cut)] != " ":
        names.pop()
    return tuple(dict.fromkeys(name for name in names if _SCOPE.fullmatch(name)))


def error_code(text: object) -> str | None:
    """An OAuth error code, if `text` looks like one."""
    return text if isinstance(text, str) and _ERROR.fullmatch(text) else None


def _challenge(params: dict[str, str]) -> Challenge:
    address = params.get("resource_metadata", "")
    return Challenge(
        resource_metadata=address if _ADDRESS.fullmatch(address) else None,
        scopes=scope_list(params.get("scope", "")),
        error=error_code(params.get("error")),
        description=one_line(params.get("error_description", ""), DESCRIPTION_LIMIT),
    )


def _read(line: str) -> Iterator[tuple[str, dict[str, str]]]:
    scheme: str | None = None
    params: dict[str, str] = {}
    twice: set[str] = set()
    at = 0
    while True:
        gap = _GAP.match(line, at)
        at = gap.end() if gap else at
        if scheme is not None and (param := _PARAM.match(line, at)):
            name = param[1].lower()
            if name in params:
                twice.add(name)
            quoted = param[2]
            params[name] = param[3] if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
            at = param.end()
            continue
        # Anything else begins the next challenge, or ends the reading.
        if scheme is not None:
            yield scheme, {name: params[name] for name in params.keys() - twice}
        begun = _SCHEME.match(line, at)
        if begun is None:
            return
        scheme, params, twice = begun[1], {}, set()
        at = begun.end()
        if (token68 := _TOKEN68.match(line, at)) is not None:
            at = token68.end()
