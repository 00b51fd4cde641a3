"""What VS Code asks a person for: its `inputs`, in mcpmux's own keys.

Input variables: code.visualstudio.com/docs/reference/variables-reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import JsonValue

from mcpmux_tui.importers.source import Inputs
from mcpmux_tui.importers.translate import translator

ID: Final = r"[A-Za-z0-9_.-]+"
_USED: Final = re.compile(rf"\$\{{input:({ID})\}}")
_plain = translator()


def used_inputs(entry: Mapping[str, JsonValue], declared: object) -> Inputs:
    """What `declared`, a list of VS Code's, says of the inputs that a translated entry refers to.

    An input nobody declared is left out, and so is what is of another kind than it must be.
    """
    used = set(_USED.findall(json.dumps(entry)))
    items = declared if isinstance(declared, list) else []
    return {
        item["id"]: dict(_translated(item))
        for item in items
        if isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] in used
    }


def _translated(item: Mapping[str, object]) -> Iterator[tuple[str, JsonValue]]:
    choices = item.get("options")
    if item.get("type") == "pickString" and isinstance(choices, list):
        yield "type", "choice"
        yield "options", [text for each in choices if (text := _option(each)) is not None]
    else:
        # What a command of the editor would give is asked for, too.
        yield "type", "password" if item.get("password") is True else "text"
    if isinstance(about := item.get("description"), str) and about:
        yield "description", about
    if isinstance(default := item.get("default"), str):
        yield "default", _plain(default)


def _option(option: object) -> str | None:
    value = option.get("value") if isinstance(option, dict) else option
    return value if isinstance(value, str) else None
