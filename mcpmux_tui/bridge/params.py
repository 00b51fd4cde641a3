"""`Mcp-Param-*` headers: arguments that a server wants repeated (spec 2026-07-28, HTTP headers).

An annotation that breaks the spec's rules is used as it stands: the server judges it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mcpmux_tui.bridge.message import Malformed, Message, decode
from mcpmux_tui.model.protocol import header_value

_ANNOTATION = b'"x-mcp-header"'
_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
Path = tuple[str, ...]


class ParamHeaders:
    """Knows from the lists that pass which arguments of which tools are to be repeated."""

    def __init__(self) -> None:
        self._wanted: dict[str, tuple[tuple[Path, str], ...]] = {}

    def learn(self, answer: bytes) -> None:
        """Take note of the annotated tools in an answer to `tools/list`."""
        if _ANNOTATION not in answer:
            return
        try:
            message = decode(answer)
        except Malformed:
            return
        for tool in _list(_member(_member(message, "result"), "tools")):
            name = _member(tool, "name")
            if isinstance(name, str):
                self._wanted[name] = tuple(_annotated(_member(tool, "inputSchema"), ()))

    def of(self, call: Message) -> bytes:
        """The headers for one call."""
        lines = ""
        for path, token in self._wanted.get(call.name or "", ()):
            value = call.params.get("arguments")
            for key in path:
                value = _member(value, key)
            if isinstance(value, bool):
                value = "true" if value else "false"
            if isinstance(value, str):
                lines += f"mcp-param-{token}: {header_value(value)}\r\n"
        return lines.encode("ascii")


def _annotated(schema: object, path: Path) -> Iterator[tuple[Path, str]]:
    token = _member(schema, "x-mcp-header")
    if path and isinstance(token, str) and re.fullmatch(_NAME, token):
        yield path, token
    properties = _member(schema, "properties")
    if isinstance(properties, dict):
        for name, each in properties.items():
            yield from _annotated(each, (*path, name))


def _member(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, dict) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
