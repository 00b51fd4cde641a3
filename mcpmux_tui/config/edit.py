"""Changes to the config file on a person's behalf: comments, order and all other bytes stay."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import fnmatch
import glob
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import tomli_w
from pydantic import JsonValue

from mcpmux_tui.config.file import SIZE_LIMIT, VERSION, Document, parse
from mcpmux_tui.config.inputs import input_specs
from mcpmux_tui.config.schema import server_spec, shown_name
from mcpmux_tui.config.toml_text import renamed, with_key, without
from mcpmux_tui.model import jsonc, textfile
from mcpmux_tui.model.errors import ConfigError, NoSuchServer, UsageError
from mcpmux_tui.model.settings import UiChange
from mcpmux_tui.paths import shown

_HEADER = """\
# The servers of mcpmux. Edit as you like: mcpmux applies a saved change by itself.

"""
_DRAFT = "mcpmux-"
_GLOB = re.compile(r"[*?\[]")
_INDENT = re.compile(r"\n([ \t]+)\"")

_Servers = dict[str, object]
_Change = Callable[[_Servers], None]
Rewrite = Callable[[str, str], str]
"""Takes where a text stands, such as "env.API_KEY", and the text; returns what goes there."""
Changes = Mapping[tuple[str, ...], JsonValue]
"""New values in an entry by their keys, such as ("env", "API_KEY"); None takes one out."""
Inputs = Mapping[str, Mapping[str, JsonValue]]
"""What the config is to say of inputs, by id."""
_WHOLE = ""
"""In the place of a table's name: the whole file."""


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

    def in_toml(text: str) -> str:
        appended = _appended(text, {"servers": {name: entry}})
        return appended if _is_toml(appended) else _inline(text, change)

    _edit(path, change, in_toml)


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
                    raise _no_table(path, "inputs")

    def in_toml(text: str) -> str:
        there = tomllib.loads(text).get("inputs", {})
        appended = _appended(text, {"inputs": new(there)})
        fits = isinstance(there, dict) and _is_toml(appended)
        return appended if fits else _inline(text, change, _WHOLE)

    _edit(path, change, in_toml, _WHOLE)


def remove_server(path: Path, name: str) -> None:
    """Remove a server from the config at `path`, with the comments inside its table.

    Raises UsageError where there is none of that name, ConfigError as `add_server` does.
    """

    def change(servers: _Servers) -> None:
        _entry(servers, name)
        del servers[name]

    def in_toml(text: str) -> str:
        cut = without(text, ("servers", name))
        return _inline(text, change) if cut is None else cut

    _edit(path, change, in_toml)


def set_enabled(path: Path, name: str, enabled: bool) -> None:
    """Enable or disable a server in the config at `path`; raises as `remove_server` does."""

    def change(servers: _Servers) -> None:
        entry = _table(servers, name)
        if "disabled" in entry:
            entry["disabled"] = not enabled
        if "enabled" in entry or "disabled" not in entry:
            entry["enabled"] = enabled

    _edit(path, change, lambda text: _inline(text, change))


def set_ui(path: Path, wish: UiChange, *, create: bool) -> None:
    """Write what a person chose into the table `ui` of the config at `path`.

    Raises UsageError where `ui` is no table, ConfigError as `add_server` does, and where there is
    no file and none is to be created.
    """
    if not create and not path.exists():
        raise ConfigError(f"{shown(path)} does not exist.", path=path)

    def change(table: dict[str, object]) -> None:
        table.update(wish.values())

    def in_toml(text: str) -> str:
        if "ui" in tomllib.loads(text):
            return _inline(text, change, "ui")
        return _appended(text, {"ui": wish.values()})

    _edit(path, change, in_toml, "ui")


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
                more = _inline(text, partial(_put_one, name, keys, value))
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

    _edit(path, change, lambda text: _inline(text, change))


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

    return _edit(path, in_entry, lambda text: _inline(text, in_entry))


def put_back(path: Path, before: bytes, after: bytes) -> None:
    """Put `before` in the place of `after`. Raises ConfigError where the file is another by now."""
    target = Path(os.path.realpath(path))
    try:
        with _locked(target.parent):
            if _read(target) != after:
                raise ConfigError(
                    f"{shown(path)} was changed since; it is left so.",
                    "Change it back in your editor.",
                    path=path,
                )
            _replace(target, after, before)
    except OSError as error:
        raise ConfigError(
            f"{shown(path)} could not be written: {error.strerror}. It is as before.", path=path
        ) from error


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
    path: Path, change: _Change, in_toml: Callable[[str], str], table: str | None = None
) -> tuple[bytes, bytes]:
    """Apply `change` to a table of `path`, through `in_toml` where it is TOML.

    The table is that of the servers unless `table` names another, or the whole file. Returns the
    file before and after.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target.parent):
            _sweep(target)
            before = _read(target)
            text = textfile.decode(before or b"", path)
            after = _changed(path, text, change, in_toml, table)
            if after == text:
                return before or b"", before or b""
            bom = b"\xef\xbb\xbf" if before and before.startswith(b"\xef\xbb\xbf") else b""
            _replace(target, before, bom + after.encode())
            return before or b"", bom + after.encode()
    except (OSError, ValueError) as error:
        # ValueError: half a character, or a number such as 1e400.
        wrong = "it holds a value that cannot be written back"
        reason = error.strerror if isinstance(error, OSError) else wrong
        raise ConfigError(
            f"{shown(path)} could not be written: {reason}. It is as before.",
            "Check its permissions and the free space, then try again.",
            path=path,
        ) from error


def _changed(
    path: Path, text: str, change: _Change, in_toml: Callable[[str], str], table: str | None
) -> str:
    document = parse(path, text) if text.strip() else _empty(path)
    version = document.rest.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ConfigError(
            f"{shown(path)} is of version {version}, which is newer than this mcpmux.",
            "Update mcpmux, or make this change in your editor.",
            path=path,
        )
    if document.form == "json":
        return _json(path, text, document, change, table)
    key = "servers" if table is None else table
    present, rest = _data(text, key)
    if not isinstance(present, dict):
        raise _no_table(path, key)
    wanted = copy.deepcopy(present)
    change(wanted)
    after = in_toml(text or _HEADER) if wanted != present else text
    if "\r\n" in text and text.count("\n") == text.count("\r\n"):
        after = after.replace("\r\n", "\n").replace("\n", "\r\n")
    # The last word has the reader: whatever an edit of text did, this is what the file will say.
    if not _is_toml(after) or _data(after, key) != (wanted, rest):
        raise ConfigError(
            f"{shown(path)} is written in a way that mcpmux cannot edit safely.",
            "Make this change in your editor; mcpmux applies it when saved.",
            path=path,
        )
    return after


def _empty(path: Path) -> Document:
    if path.suffix.lower() in {".json", ".jsonc"}:
        return Document("json", "mcpServers")
    return Document("toml", "servers")


def _no_table(path: Path, key: str) -> UsageError:
    return UsageError(f"`{key}` in {shown(path)} is not a table.", "Mend it in your editor.")


def _data(toml: str, key: str) -> tuple[object, dict[str, object]]:
    rest = tomllib.loads(toml)
    return (rest, {}) if key == _WHOLE else (rest.pop(key, {}), rest)


def _appended(text: str, tables: Mapping[str, object]) -> str:
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + tomli_w.dumps(tables)


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _inline(text: str, change: _Change, key: str = "servers") -> str:
    """Apply `change` with tomlkit; returns `text` where tomlkit cannot."""
    # Here, since an engine that starts edits nothing.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        change(document if key == _WHOLE else document[key])
        return document.as_string()
    except (TOMLKitError, KeyError, TypeError, ValueError, AttributeError):
        return text


def _json(path: Path, text: str, document: Document, change: _Change, table: str | None) -> str:
    if jsonc.blank_comments(text) != text:
        raise ConfigError(
            f"{shown(path)} has comments, which mcpmux cannot keep when it edits JSON.",
            "Make this change in your editor, or move the servers to a TOML file.",
            path=path,
        )
    if any(entry.problem for entry in document.servers):
        raise ConfigError(
            f"{shown(path)} has a key that stands twice; an edit would lose one of them.",
            "Rename or remove one in your editor.",
            path=path,
        )
    data: dict[str, object] = json.loads(jsonc.blank(text)) if text.strip() else {}
    key = document.key if table is None else table
    present = data if key == _WHOLE else data.setdefault(key, {})
    if not isinstance(present, dict):
        raise _no_table(path, key)
    before = copy.deepcopy(present)
    change(present)
    if present == before:
        return text
    indent = _INDENT.search(text)
    after = json.dumps(
        data, indent=indent[1] if indent else 2, ensure_ascii=text.isascii(), allow_nan=False
    )
    newline = "\r\n" if "\r\n" in text else "\n"
    return (after + "\n").replace("\n", newline)


def _read(target: Path) -> bytes | None:
    try:
        return textfile.read_bytes(target, SIZE_LIMIT)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock against other mcpmux processes, where the file system has locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(target: Path) -> None:
    """Remove drafts of saves that were cut short; under the lock none is still being written."""
    for draft in target.parent.glob(f".{glob.escape(target.name)}.{_DRAFT}*.tmp"):
        draft.unlink(missing_ok=True)


def _replace(target: Path, before: bytes | None, after: bytes) -> None:
    """Put `after` in place of `before` in one step: at any moment the file is old or new."""
    descriptor, name = tempfile.mkstemp(
        prefix=f".{target.name}.{_DRAFT}", suffix=".tmp", dir=target.parent
    )
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(after)
            file.flush()
            if before is not None:
                os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
            os.fsync(file.fileno())
        if _read(target) != before:
            raise ConfigError(
                f"{shown(target)} was changed by someone else at this moment; it is left so.",
                "Try again.",
                path=target,
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
