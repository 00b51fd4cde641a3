"""A server's entry as it stands in the config, for people: what looks like a secret is hidden."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import tomli_w

from mcpmux_tui.config.edit import rewrite_entry
from mcpmux_tui.config.file import SIZE_LIMIT, parse
from mcpmux_tui.config.plain import plain_secret
from mcpmux_tui.config.schema import shown_name
from mcpmux_tui.model import textfile
from mcpmux_tui.model.errors import ConfigError, NoSuchServer

_HIDDEN = "****"


def entry_text(path: Path, name: str) -> tuple[int | None, str]:
    """The line a server's entry begins on, and the entry in the file's own form.

    Raises NoSuchServer, and ConfigError for a file that cannot be read.
    Blocks: it reads a file.
    """
    try:
        document = parse(path, textfile.read(path, SIZE_LIMIT))
    except FileNotFoundError:
        raise NoSuchServer(shown_name(name)) from None
    for entry in document.servers:
        if entry.name == name:
            shown = {document.key: {name: copy.deepcopy(entry.value)}}

            def hidden(where: str, text: str) -> str:
                found = plain_secret(name, where, text)
                return text if found is None else text.replace(found.value, _HIDDEN)

            rewrite_entry(shown[document.key][name], hidden)
            return entry.line, _written(path, document.form, shown)
    raise NoSuchServer(shown_name(name))


def _written(path: Path, form: str, shown: dict[str, dict[str, object]]) -> str:
    try:
        return json.dumps(shown, indent=2) if form == "json" else tomli_w.dumps(shown)
    except (TypeError, ValueError) as error:
        raise ConfigError("The entry cannot be shown as text.", path=path) from error
