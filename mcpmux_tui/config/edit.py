"""What an edit means for an entry of the config, or for another table; the rest stays as it is."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from mcpmux_tui.config.atomic import update
from mcpmux_tui.config.inputs import input_specs
from mcpmux_tui.config.roundtrip import WHOLE, TableChange, TomlChange, changed, with_tomlkit
from mcpmux_tui.config.schema import server_spec, shown_name
from mcpmux_tui.config.toml_text import appended, renamed, with_key, without
from mcpmux_tui.model.errors import ConfigError, NoSuchServer, UsageError
from mcpmux_tui.model.settings import UiChange
from mcpmux_tui.paths import shown

_GLOB = re.compile(r"[*?\[]")

_Servers = dict[str, object]
Rewrite = Callable[[str, str], str]
"""Takes where a text stands, such as "env.API_KEY", and the text; returns what goes there."""
Changes = Mapping[tuple[str, ...], JsonValue]
"""New values in an entry by their keys, such as ("env", "API_KEY"); None takes one out."""
Inputs = Mapping[str, Mapping[str, JsonValue]]
"""What the config is to say of inputs, by id."""


def add_server(path: Path, name: str, entry: Mapping[str, JsonValue]) -> None:
    """Add a server to the config at `path`, which is created where there is none.

    Raises UsageError for a name that is taken and an entry that cannot be used, ConfigError for a
    file that cannot be edited; the file is then as before. Blocks, as all edits do.
    """
    spec = server_spec(name, dict(entry), folder=path.parent)
    if spec.problem is not None:
        raise UsageError(f"{shown_name(name)} cannot be added. {spec.problem.reason}")

    def change(servers: _Servers) -> None:
        if name in servers:
            raise UsageError(
                f"There is a server named {name} already.",
                f"Choose another name, or remove it first with `mcpmux remove {name}`.",
            )
        servers[name] = dict(entry)

    _edit(path, change, lambda text: appended(text, {"servers": {name: entry}}))


def add_inputs(path: Path, inputs: Inputs) -> None:
    """Add what is known of inputs, by id, to the config at `path`; those that are there stay.

    Raises UsageError where `inputs` can hold none, ConfigError as `add_server` does.
    """

    def new(there: object) -> Inputs:
        known = input_specs(there)[0].keys() | (there if isinstance(there, dict) else ())
        return {id_: item for id_, item in inputs.items() if id_ not in known}

    def change(document: dict[str, object]) -> None:
        if added := new(document.get("inputs", {})):
            match document.setdefault("inputs", {}):
                case dict(there):
                    there.update({id_: dict(item) for id_, item in added.items()})
                case list(there):
                    there.extend({"id": id_, **item} for id_, item in added.items())
                case _:
                    raise UsageError(
                        f"`inputs` in {shown(path)} is not a table.", "Mend it in your editor."
                    )

    def in_toml(text: str) -> str | None:
        there = tomllib.loads(text).get("inputs", {})
        return appended(text, {"inputs": new(there)}) if isinstance(there, dict) else None

    _edit(path, change, in_toml, table=WHOLE)


def remove_server(path: Path, name: str) -> None:
    """Remove a server from the config at `path`, with the comments inside its table.

    Raises UsageError where there is none of that name, ConfigError as `add_server` does.
    """

    def change(servers: _Servers) -> None:
        _entry(servers, name)
        del servers[name]

    _edit(path, change, lambda text: without(text, ("servers", name)))


def set_enabled(path: Path, name: str, enabled: bool) -> None:
    """Enable or disable a server in the config at `path`; raises as `remove_server` does."""

    def change(servers: _Servers) -> None:
        entry = _table(servers, name)
        if "disabled" in entry:
            entry["disabled"] = not enabled
        if "enabled" in entry or "disabled" not in entry:
            entry["enabled"] = enabled

    _edit(path, change)


def set_ui(path: Path, wish: UiChange, *, create: bool) -> None:
    """Write what a person chose into the table `ui` of the config at `path`.

    Raises UsageError where `ui` is no table, ConfigError as `add_server` does, and where there is
    no file and none is to be created.
    """
    if not create and not path.exists():
        raise ConfigError(f"{shown(path)} does not exist.", path=path)

    def change(table: dict[str, object]) -> None:
        table.update(wish.values())

    def in_toml(text: str) -> str | None:
        return None if "ui" in tomllib.loads(text) else appended(text, {"ui": wish.values()})

    _edit(path, change, in_toml, table="ui")


def change_server(
    path: Path, name: str, changes: Changes, *, before: Mapping[str, object], new_name: str
) -> None:
    """Change single values of a server's entry and its name; all else stays as it is written.

    `before` is the entry the changes are meant for. Raises UsageError where it is another by now,
    where the new name is taken or the entry could not be used; else as `remove_server` does.
    """

    def change(servers: _Servers) -> None:
        entry = _entry(servers, name)
        if not isinstance(entry, dict) or entry != before:
            raise UsageError(
                f"The entry of {shown_name(name)} was changed since it was shown.",
                "Open it again; nothing was saved.",
            )
        put(entry, changes)
        if new_name != name and new_name in servers:
            raise UsageError(f"There is a server named {new_name} already.", "Choose another name.")
        spec = server_spec(new_name, servers[name], folder=path.parent)
        if spec.problem is not None:
            raise UsageError(f"{shown_name(new_name)} cannot be saved. {spec.problem.reason}")
        if new_name != name:
            items = [(new_name if key == name else key, item) for key, item in servers.items()]
            servers.clear()
            servers.update(items)

    def in_toml(text: str) -> str:
        for keys, value in _whole_tables(before, changes).items():
            table = ("servers", name, *keys[:-1])
            more = None if value is None else with_key(text, table, keys[-1], value)
            if more is None or _has(before, keys):
                more = with_tomlkit(text, partial(_put_one, name, keys, value))
            text = more
        return renamed(text, name, new_name)

    _edit(path, change, in_toml)


def put(entry: dict[str, object], changes: Changes) -> None:
    """Put new values into an entry."""
    for (*outer, last), value in changes.items():
        table = entry
        for key in outer:
            inner = table.get(key)
            if not isinstance(inner, dict):
                inner = table[key] = {}
            table = inner
        if value is None:
            table.pop(last, None)
        else:
            table[last] = value


def _put_one(name: str, keys: tuple[str, ...], value: JsonValue, servers: _Servers) -> None:
    entry = servers[name]
    if isinstance(entry, dict):
        put(entry, {keys: value})


def _has(entry: Mapping[str, object], keys: tuple[str, ...]) -> bool:
    inner: object = entry
    for key in keys:
        if not isinstance(inner, dict) or key not in inner:
            return False
        inner = inner[key]
    return True


def _whole_tables(before: Mapping[str, object], changes: Changes) -> Changes:
    """The same changes, those to a table that is not there yet as one: the table."""
    whole: dict[tuple[str, ...], JsonValue] = {}
    for keys, value in changes.items():
        if len(keys) == 1 or _has(before, keys[:-1]):
            whole[keys] = value
        elif value is not None:
            table = whole.setdefault(keys[:-1], {})
            if isinstance(table, dict):
                table[keys[-1]] = value
    return whole


def offer_tool(path: Path, name: str, tool: str, offered: bool) -> None:
    """Have clients get a tool of a server, or not, by its exact name in `tools.deny`.

    Raises UsageError where a glob decides otherwise, and as `remove_server` does.
    """

    def change(servers: _Servers) -> None:
        entry = _table(servers, name)
        filters = entry.setdefault("tools", {})
        if not isinstance(filters, dict):
            raise UsageError(f"`tools` of {shown_name(name)} is not a table.", "Mend it first.")
        denied, allowed = filters.get("deny", []), filters.get("allow", ["*"])
        if not isinstance(denied, list) or not isinstance(allowed, list):
            raise UsageError(f"`tools` of {shown_name(name)} holds no lists.", "Mend it first.")
        exact = _GLOB.sub(r"[\g<0>]", tool)
        if not offered:
            filters["deny"] = [*denied, exact]
            return
        left = [glob for glob in denied if glob not in (exact, tool)]
        if any(fnmatch.fnmatchcase(tool, str(glob)) for glob in left):
            raise UsageError(
                f"A pattern in `tools.deny` of {shown_name(name)} hides {shown_name(tool)}.",
                "Change the pattern in the config.",
            )
        if left != denied:
            filters["deny"] = left
        if not any(fnmatch.fnmatchcase(tool, str(glob)) for glob in allowed):
            filters["allow"] = [*allowed, exact]

    _edit(path, change)


def refer_to_secret(path: Path, name: str, value: str) -> None:
    """Write ${secret:VALUE} for ${VALUE} in a server's entry; raises as `remove_server` does."""
    plain = re.compile(rf"(?<!\$)((?:\$\$)*)\$\{{{re.escape(value)}(?=\}}|:-)")
    rewrite(path, name, lambda _, text: plain.sub(rf"\1${{secret:{value}", text))


def rewrite(path: Path, name: str, change: Rewrite) -> tuple[bytes, bytes]:
    """Put `change(where, text)` in the place of every text in a server's entry.

    Returns the file before and after; raises as `remove_server` does.
    """

    def in_entry(servers: _Servers) -> None:
        rewrite_entry(_entry(servers, name), change)

    return _edit(path, in_entry)


def rewrite_entry(value: object, change: Rewrite, where: str = "") -> None:
    """Change every text in an entry, in place; those that stay the same stay untouched."""
    if isinstance(value, dict):
        for key, item in list(value.items()):
            inner = f"{where}.{key}" if where else str(key)
            if (text := _rewritten(item, change, inner)) is not None:
                value[key] = text
    elif isinstance(value, list):
        for place, item in enumerate(value):
            if (text := _rewritten(item, change, where)) is not None:
                value[place] = text


def _rewritten(item: object, change: Rewrite, where: str) -> str | None:
    if not isinstance(item, str):
        rewrite_entry(item, change, where)
        return None
    text = change(where, str(item))
    return text if text != item else None


def put_back(path: Path, before: bytes, after: bytes) -> None:
    """Put `before` in the place of `after`. Raises ConfigError where the file is another by now."""

    def back(content: bytes) -> bytes:
        if content != after:
            raise ConfigError(
                f"{shown(path)} was changed since; it is left so.",
                "Change it back in your editor.",
                path=path,
            )
        return before

    update(path, back)


def _entry(servers: _Servers, name: str) -> object:
    try:
        return servers[name]
    except KeyError:
        raise NoSuchServer(shown_name(name)) from None


def _table(servers: _Servers, name: str) -> dict[str, object]:
    entry = _entry(servers, name)
    if not isinstance(entry, dict):
        raise UsageError(f"The entry of {shown_name(name)} is not a table.", "Mend it first.")
    return entry


def _edit(
    path: Path,
    change: TableChange,
    in_toml: TomlChange = lambda _: None,
    *,
    table: str | None = None,
) -> tuple[bytes, bytes]:
    """Make a change to the servers, another `table` or all; the file before and after."""
    return update(path, lambda content: changed(path, content, change, in_toml, table=table))
