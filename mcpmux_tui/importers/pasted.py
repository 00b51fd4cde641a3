"""What a person pastes: a command, an address, or JSON as documentation and other tools have it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from mcpmux_tui.importers.command_line import Unreadable, lines
from mcpmux_tui.importers.naming import suggested, unique
from mcpmux_tui.importers.plan import valid_name
from mcpmux_tui.importers.translate import Unusable, entry
from mcpmux_tui.model import jsonc
from mcpmux_tui.text import NAME_LIMIT, acting, one_line

LIMIT: Final = 64 * 1024
"""Characters of what is pasted."""
MOST: Final = 32
"""Servers in it."""
_TABLES: Final = ("mcpServers", "servers", "mcp.servers", "mcp")
_ADDRESSES: Final = ("url", "serverUrl", "httpUrl")
_FOREIGN: Final = frozenset(
    {"name", "type", "transport", "command", "args", "env", "cwd", "headers", "enabled", "disabled"}
    | set(_ADDRESSES)
)
_DOLLARS: Final = re.compile(r"\$\$(?!\{)")


@dataclass(frozen=True, slots=True)
class Pasted:
    """One server, in mcpmux's own keys, under a name that is valid and not taken."""

    name: str
    entry: dict[str, JsonValue]
    notes: tuple[str, ...] = ()
    """What was not taken over, a sentence each."""


def read(
    text: str, *, home: Path, taken: Collection[str] = (), own: Collection[str] = ()
) -> tuple[Pasted, ...]:
    """Return the servers in `text`; `own` are the keys of mcpmux's entries, kept as they are.

    Raises Unreadable with a sentence. Nothing is started, opened or looked up.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").strip()
    if not text:
        raise Unreadable("It is empty.")
    if len(text) > LIMIT:
        raise Unreadable(f"It is longer than {LIMIT // 1024} KiB.")
    if escaped := acting(text):
        raise Unreadable(f"It holds a character that acts or hides: {escaped}. Leave it out.")
    names = set(taken)
    found: list[Pasted] = []
    for told, made, notes in _read(text, home, own):
        if len(found) == MOST:
            raise Unreadable(f"These are more than {MOST} servers.")
        name = unique(valid_name(told) if told else suggested(made), names)
        names.add(name)
        found.append(Pasted(name, made, notes))
    if not found:
        raise Unreadable("There is no server in it.")
    return tuple(found)


def _read(
    text: str, home: Path, own: Collection[str]
) -> Iterator[tuple[str, dict[str, JsonValue], tuple[str, ...]]]:
    bare = jsonc.blank_comments(text).lstrip()
    if bare.startswith(("{", "[")):
        yield from _of_json(text, home, own)
    elif re.match(r'"(?:[^"\\]|\\.)*"\s*:', bare):
        # A piece of a file, as documentation likes to show it.
        yield from _of_json("{" + text.rstrip().rstrip(",") + "\n}", home, own)
    else:
        for said in lines(text):
            if said.json:
                for name, made, notes in _of_json(said.json, home, own):
                    yield said.name or name, made, notes
            else:
                made = said.entry()
                yield said.name, {key: _escaped(value) for key, value in made.items()}, ()


def _of_json(
    text: str, home: Path, own: Collection[str]
) -> Iterator[tuple[str, dict[str, JsonValue], tuple[str, ...]]]:
    try:
        value = jsonc.loads(text)
    except jsonc.NotJson as error:
        raise Unreadable(f"It is not valid JSON: {one_line(str(error), 200)}.") from None
    for name, item in _servers(value):
        try:
            yield name, *_entry(item, home, own)
        except Unusable as reason:
            what = f"`{one_line(name, NAME_LIMIT)}`" if name else "It"
            raise Unreadable(f"{what} {reason}.") from None


def _servers(value: object) -> Iterator[tuple[str, object]]:
    """The servers with their names; one that stands alone may have none."""
    match value:
        case dict():
            for key in _TABLES:
                if isinstance(inner := value.get(key), dict) and not _is_entry(value):
                    yield from _servers(inner) if key == "mcp" else inner.items()
                    return
            if _is_entry(value):
                name = value.get("name")
                yield name if isinstance(name, str) else "", value
                return
            if value and all(isinstance(item, dict) for item in value.values()):
                yield from value.items()
                return
        case list() if value and all(_is_entry(item) for item in value):
            for item in value:
                yield from _servers(item)
            return
    raise Unreadable(
        "This JSON names no server. Known are `mcpServers`, `servers`, a name with an entry, and an"
        " entry with `command` or `url`."
    )


def _is_entry(value: object) -> bool:
    return isinstance(value, dict) and any(
        isinstance(value.get(key), str | list) for key in ("command", *_ADDRESSES)
    )


def _entry(
    item: object, home: Path, own: Collection[str]
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    if not isinstance(item, dict):
        raise Unusable("is not an object")
    value = {key: part for key, part in item.items() if key != "name"}
    match value.get("command"):
        case [str(command), *rest]:
            # One list for both, as some tools have it.
            args = value.get("args")
            more = args if isinstance(args, list) else []
            value["command"], value["args"] = command, [*rest, *more]
    for other in _ADDRESSES[1:]:
        if other in value:
            value.setdefault("url", value.pop(other))
    kept = {key: value.pop(key) for key in tuple(value) if key in own and key not in _FOREIGN}
    made, notes = entry(value, _translated, home=home, project=None)
    return made | kept, notes


def _translated(text: str) -> str:
    # `$$` is one `$` in mcpmux; where the text comes from it is two, unless it guards a `${`.
    return _DOLLARS.sub("$$$$", text)


def _escaped(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return _translated(value)
        case list():
            return [_escaped(item) for item in value]
        case dict():
            return {key: _escaped(item) for key, item in value.items()}
    return value
