"""The grammar of placeholders: ${NAME}, ${env:NAME}, ${secret:NAME}, ${input:ID}, each also with
`:-default`, and `$$` for a literal `$`. What else follows a `$` is text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, cast

Source = Literal["", "env", "secret", "input"]
Lookup = Callable[[Source, str], str | None]
"""Takes a source and a name; returns the value, or None where there is none."""

_TOKEN = re.compile(
    r"\$\$"
    r"|\$\{(?:"
    r"(?:(?P<source>secret|input):(?P<id>[A-Za-z0-9_.-]{1,128})"
    r"|(?P<env>env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]{0,127}))"
    r"(?P<default>:-(?:\$(?!\{)|[^}$])*)?"
    r")\}"
    r"|(?P<stray>\$\{)"
)
_STRAY_SHOWN = 40


def fill(text: str, lookup: Lookup) -> tuple[str, tuple[str, ...]]:
    """Return `text` with its placeholders filled, and the names that have no value, in order.

    As in a shell, a default stands for an unset or an empty value.
    """
    missing: list[str] = []

    def value(token: re.Match[str]) -> str:
        if token[0] == "$$":
            return "$"
        if token["stray"] is not None:
            return token[0]
        source = cast("Source", token["source"] or ("env" if token["env"] else ""))
        name: str = token["id"] or token["name"]
        found = lookup(source, name)
        default: str | None = token["default"]
        if default is not None:
            return found or default[2:].replace("$$", "$")
        if found is None:
            missing.append(name)
            return ""
        return found

    return _TOKEN.sub(value, text), tuple(missing)


def strays(text: str) -> tuple[str, ...]:
    """Return what looks like a placeholder but is none mcpmux knows; it is passed on as text."""
    return tuple(
        text[token.start() : token.start() + _STRAY_SHOWN].partition("}")[0] + "}"
        for token in _TOKEN.finditer(text)
        if token["stray"] is not None
    )


def stand_in(text: str) -> str:
    """Return `text` with "1" for each placeholder: a form whose syntax can be checked."""
    return _TOKEN.sub(lambda token: token[0] if token["stray"] is not None else "1", text)
