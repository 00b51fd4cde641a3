"""One entry of another tool, turned into mcpmux's own keys with the same meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from mcpmux_tui.importers.source import Translate
from mcpmux_tui.text import one_line

_VARIABLE = re.compile(r"\$\{([^{}$]*)\}|\$(?=[${])")
_TAKEN = frozenset(
    {"command", "args", "env", "cwd", "url", "headers", "type", "transport", "disabled", "enabled"}
)


class Unusable(ValueError):
    """An entry that starts nothing; the text says why."""


def translator(kept: str = r"(?!)", fixed: Mapping[str, str | None] | None = None) -> Translate:
    """Return the reading of a tool's texts.

    `${...}` whose inside matches `kept` is a placeholder there as here, `fixed` are the tool's own
    variables with their values; every other `$` is a plain one.
    """
    pattern = re.compile(kept)
    values = fixed or {}

    def variable(match: re.Match[str]) -> str:
        inside: str | None = match[1]
        if inside is None:
            return "$$"
        if inside in values:
            if (value := values[inside]) is None:
                raise Unusable(f"uses `${{{inside}}}`, which only a project has")
            return value.replace("$", "$$")
        return match[0] if pattern.fullmatch(inside) else "$" + match[0]

    return lambda text: _VARIABLE.sub(variable, text)


def entry(
    value: object, translate: Translate, *, home: Path, project: Path | None
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    """Return the entry in mcpmux's keys, and notes about what was left out.

    Raises Unusable where there is nothing to start and no address.
    """
    if not isinstance(value, dict):
        raise Unusable("is not an object")
    command, url = value.get("command"), value.get("url")
    result: dict[str, JsonValue]
    if isinstance(command, str) and command:
        result = {"command": translate(command)}
        if args := _texts(value.get("args"), translate):
            result["args"] = args
        if env := _table(value.get("env"), translate):
            result["env"] = env
        if cwd := _cwd(value.get("cwd"), translate, home, project):
            result["cwd"] = cwd
    elif isinstance(url, str) and url:
        result = {"url": translate(url)}
        if headers := _table(value.get("headers"), translate):
            result["headers"] = headers
        if "sse" in {value.get("type"), value.get("transport")}:
            result["transport"] = "sse"
    else:
        raise Unusable("has no `command` and no `url`")
    if value.get("disabled") is True or value.get("enabled") is False:
        result["enabled"] = False
    left = [one_line(str(key), 40) for key in value if key not in _TAKEN]
    notes = (f"Not taken over: {', '.join(f'`{key}`' for key in left)}.",) if left else ()
    return result, notes


def _texts(value: object, translate: Translate) -> list[JsonValue]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unusable("has `args` that are no list")
    return [translate(_text(item)) for item in value]


def _table(value: object, translate: Translate) -> dict[str, JsonValue]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unusable("has an `env` or `headers` that is no object")
    return {str(key): translate(_text(item)) for key, item in value.items() if item is not None}


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            raise Unusable("has a value that is no text")


def _cwd(value: object, translate: Translate, home: Path, project: Path | None) -> str | None:
    if value is None:
        return None if project is None else str(project).replace("$", "$$")
    if not isinstance(value, str):
        raise Unusable("has a `cwd` that is no text")
    cwd = translate(value)
    if cwd.startswith(("~", "$")):
        return cwd
    return str(Path(str(project or home).replace("$", "$$")) / cwd)
