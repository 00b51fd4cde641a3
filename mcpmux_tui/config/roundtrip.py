"""A change of one table in a config's text, TOML or JSON, that keeps all else as it is written."""

from __future__ import annotations

import codecs
import copy
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mcpmux_tui.config.file import VERSION, Document, is_json, parse
from mcpmux_tui.model import jsonc, textfile
from mcpmux_tui.model.errors import ConfigError, UsageError
from mcpmux_tui.paths import shown

_HEADER = """\
# The servers of mcpmux. Edit as you like: mcpmux applies a saved change by itself.

"""
_INDENT = re.compile(r"\n([ \t]+)\"")

WHOLE: Final = ""
"""In the place of a table's name: all of the file."""
TableChange = Callable[[dict[str, object]], None]
"""Changes a table in place."""
TomlChange = Callable[[str], str | None]
"""Makes the same change in the text of a TOML file, or returns None to have tomlkit make it."""


def changed(
    path: Path,
    content: bytes,
    change: TableChange,
    in_toml: TomlChange = lambda _: None,
    *,
    table: str | None = None,
) -> bytes:
    """Return `content`, that of `path`, with `change` made to the servers, another `table` or all.

    Raises ConfigError for a content that cannot be changed safely, UsageError where the table is
    none, and what `change` raises.
    """
    text = textfile.decode(content, path)
    try:
        document = _document(path, text)
        key = document.key if table is None else table
        if document.form == "json":
            after = _in_json(path, text, document, change, key)
        else:
            after = _in_toml(path, text, change, in_toml, key)
        bom = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
        return content if after == text else bom + after.encode()
    except ValueError as error:
        # Half a character, or a number such as 1e400.
        raise ConfigError(
            f"{shown(path)} could not be written: it holds a value that cannot be written back."
            " It is as before.",
            "Change that value in your editor, then try again.",
            path=path,
        ) from error


def _document(path: Path, text: str) -> Document:
    if not text.strip():
        return Document("json", "mcpServers") if is_json(path, "") else Document("toml", "servers")
    document = parse(path, text)
    version = document.rest.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ConfigError(
            f"{shown(path)} is of version {version}, which is newer than this mcpmux.",
            "Update mcpmux, or make this change in your editor.",
            path=path,
        )
    return document


def _in_toml(path: Path, text: str, change: TableChange, in_toml: TomlChange, key: str) -> str:
    present, rest = _split(text, key)
    if not isinstance(present, dict):
        raise _no_table(path, key)
    wanted = copy.deepcopy(present)
    change(wanted)
    if wanted == present:
        return text
    after = in_toml(text or _HEADER)
    if after is None:
        after = with_tomlkit(text or _HEADER, change, key)
    if "\r\n" in text and text.count("\n") == text.count("\r\n"):
        after = after.replace("\r\n", "\n").replace("\n", "\r\n")
    # The last word has the reader: whatever an edit of text did, this is what the file will say.
    if not _says(after, key, wanted, rest):
        raise ConfigError(
            f"{shown(path)} is written in a way that mcpmux cannot edit safely.",
            "Make this change in your editor; mcpmux applies it when saved.",
            path=path,
        )
    return after


def with_tomlkit(text: str, change: TableChange, key: str = "servers") -> str:
    """Apply `change` to a table of a TOML text; returns `text` where tomlkit cannot."""
    # Here, since an engine that starts edits nothing.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        change(document if key == WHOLE else document[key])
        return document.as_string()
    except (TOMLKitError, KeyError, TypeError, ValueError, AttributeError):
        return text


def _says(toml: str, key: str, wanted: object, rest: dict[str, object]) -> bool:
    try:
        return _split(toml, key) == (wanted, rest)
    except tomllib.TOMLDecodeError:
        return False


def _split(toml: str, key: str) -> tuple[object, dict[str, object]]:
    """One table of a file, and the rest of it."""
    rest = tomllib.loads(toml)
    return (rest, {}) if key == WHOLE else (rest.pop(key, {}), rest)


def _in_json(path: Path, text: str, document: Document, change: TableChange, key: str) -> str:
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
    present = data if key == WHOLE else data.setdefault(key, {})
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


def _no_table(path: Path, key: str) -> UsageError:
    return UsageError(f"`{key}` in {shown(path)} is not a table.", "Mend it in your editor.")
