"""Changes to the config file on a person's behalf: comments, order and all other bytes stay."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import glob
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import tomli_w
import tomlkit
from pydantic import JsonValue
from tomlkit.exceptions import TOMLKitError

from mcpmux_tui.config.file import SIZE_LIMIT, VERSION, Document, parse
from mcpmux_tui.config.schema import server_spec, shown_name
from mcpmux_tui.config.statements import statements
from mcpmux_tui.model import jsonc, textfile
from mcpmux_tui.model.errors import ConfigError, UsageError
from mcpmux_tui.model.settings import UiChange
from mcpmux_tui.paths import shown

_HEADER = """\
# The servers of mcpmux. Edit as you like: mcpmux applies a saved change by itself.

"""
_DRAFT = "mcpmux-"
_BLANK_LINE = re.compile(r"(?:[ \t]*\r?\n)?")
_INDENT = re.compile(r"\n([ \t]+)\"")

_Servers = dict[str, object]
_Change = Callable[[_Servers], None]
Rewrite = Callable[[str, str], str]
"""Takes where a text stands, such as "env.API_KEY", and the text; returns what goes there."""


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


def remove_server(path: Path, name: str) -> None:
    """Remove a server from the config at `path`, with the comments inside its table.

    Raises UsageError where there is none of that name, ConfigError as `add_server` does.
    """

    def change(servers: _Servers) -> None:
        _entry(servers, name)
        del servers[name]

    def in_toml(text: str) -> str:
        cut = _without(text, ("servers", name))
        return _inline(text, change) if cut is None else cut

    _edit(path, change, in_toml)


def set_enabled(path: Path, name: str, enabled: bool) -> None:
    """Enable or disable a server in the config at `path`; raises as `remove_server` does."""

    def change(servers: _Servers) -> None:
        entry = _entry(servers, name)
        if not isinstance(entry, dict):
            raise UsageError(f"The entry of {shown_name(name)} is not a table.", "Mend it first.")
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


def refer_to_secret(path: Path, name: str, value: str) -> None:
    """Write ${secret:VALUE} for ${VALUE} in a server's entry; raises as `remove_server` does."""
    plain = re.compile(rf"(?<!\$)((?:\$\$)*)\$\{{{re.escape(value)}(?=\}}|:-)")
    rewrite(path, name, lambda _, text: plain.sub(rf"\1${{secret:{value}", text))


def rewrite(path: Path, name: str, change: Rewrite) -> tuple[bytes, bytes]:
    """Put `change(where, text)` in the place of every text in a server's entry.

    Returns the file before and after; raises as `remove_server` does.
    """

    def in_entry(servers: _Servers) -> None:
        _rewrite(_entry(servers, name), change)

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


def _rewrite(value: object, change: Rewrite, where: str = "") -> None:
    """Change every text in an entry; those that stay the same stay untouched."""
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
        _rewrite(item, change, where)
        return None
    text = change(where, str(item))
    return text if text != item else None


def _entry(servers: _Servers, name: str) -> object:
    try:
        return servers[name]
    except KeyError:
        raise UsageError(
            f"There is no server named {shown_name(name)}.", "`mcpmux list` shows the names."
        ) from None


def _edit(
    path: Path, change: _Change, in_toml: Callable[[str], str], table: str | None = None
) -> tuple[bytes, bytes]:
    """Apply `change` to a table of `path`, through `in_toml` where it is TOML.

    The table is that of the servers unless `table` names another. Returns the file before and
    after.
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
    key = table or "servers"
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
    return rest.pop(key, {}), rest


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
    try:
        document = tomlkit.parse(text)
        change(document[key])
        return document.as_string()
    except (TOMLKitError, KeyError, TypeError, ValueError, AttributeError):
        return text


def _without(text: str, path: tuple[str, ...]) -> str | None:
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


def _after_blank_line(text: str, at: int) -> int:
    match = _BLANK_LINE.match(text, at)
    return match.end() if match else at


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
    key = table or document.key
    present = data.setdefault(key, {})
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
