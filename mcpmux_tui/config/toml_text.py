"""Cuts and insertions in the text of a TOML file; every byte around them stays.

The texts must be valid; whether the outcome says what it should is for who edits to check.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping

import tomli_w
from pydantic import JsonValue

from mcpmux_tui.config.statements import statements

_BLANK_LINE = re.compile(r"(?:[ \t]*\r?\n)?")
_KEY_PART = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+""")


def without(text: str, path: tuple[str, ...]) -> str | None:
    """Cut the statements under `path`, what stands between them and one blank line after them.

    Returns None where there are none.
    """
    kept: list[str] = []
    at = 0
    inside = False
    for statement in statements(text):
        was_inside, inside = inside, statement.path[: len(path)] == path
        if inside:
            if not was_inside:
                kept.append(text[at : statement.start])
            at = _after_blank_line(text, statement.end)
    return "".join([*kept, text[at:]]) if kept else None


def appended(text: str, tables: Mapping[str, object]) -> str | None:
    """Put new tables at the end. Returns None where they cannot stand there."""
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    longer = text + gap + tomli_w.dumps(tables)
    try:
        tomllib.loads(longer)
    except tomllib.TOMLDecodeError:
        return None
    return longer


def with_key(text: str, table: tuple[str, ...], key: str, value: JsonValue) -> str | None:
    """Put a new key behind the others of a table, before what follows them.

    Returns None where the table has neither a header nor dotted keys.
    """
    found: tuple[int, tuple[str, ...]] | None = None
    header: tuple[str, ...] = ()
    for statement in statements(text):
        path = statement.path
        if statement.header:
            header = path
        elif header != table and (len(path) <= len(table) or path[: len(table)] != table):
            continue
        if header == table[: len(header)] and path[: len(table)] == table:
            found = statement.end, table[len(header) :]
    if found is None:
        return None
    end, dotted = found
    gap = "" if text[:end].endswith("\n") else "\n"
    keys = ".".join(map(_key, (*dotted, key)))
    return f"{text[:end]}{gap}{keys} = {_value(value)}\n{text[end:]}"


def renamed(text: str, old: str, new: str) -> str:
    """Put `new` in the place of a server's name, in every header and key that has it."""
    if new == old:
        return text
    pieces: list[str] = []
    at = 0
    table: tuple[str, ...] = ()
    for statement in statements(text):
        # A header has the whole path, a key what comes after its header's.
        place = 1 - len(table)
        if statement.header:
            table, place = statement.path, 1
        if statement.path[:2] == ("servers", old) and place >= 0:
            keys = _KEY_PART.finditer(text, statement.start)
            key = next(itertools.islice(keys, place, None))
            if key is not None:
                pieces += [text[at : key.start()], _key(new)]
                at = key.end()
    return "".join([*pieces, text[at:]])


def _key(key: str) -> str:
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")


def _value(value: JsonValue) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    import tomlkit  # as in `roundtrip`

    return tomlkit.item(value).as_string()


def _after_blank_line(text: str, at: int) -> int:
    match = _BLANK_LINE.match(text, at)
    return match.end() if match else at
