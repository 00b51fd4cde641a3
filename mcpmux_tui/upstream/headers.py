"""The headers that repeat parts of a 2026-07-28 request (spec: basic/transports, HTTP headers)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mcpmux_tui.model.channel import Item, Kind, Lists
from mcpmux_tui.text import one_line

if TYPE_CHECKING:
    from types import ModuleType

_ANNOTATION: Final = b'"x-mcp-header"'


class ParamHeaders:
    """Knows which arguments of which tools a server wants repeated as `Mcp-Param-*` headers.

    The SDK's own rules decide; its import costs half a second, so it happens in a thread and only
    for a server that has such a tool.
    """

    def __init__(self) -> None:
        self._wanted: dict[str, Mapping[tuple[str, ...], str]] = {}
        self._rules: ModuleType | None = None

    async def learn(self, lists: Lists) -> Lists:
        """Take note of annotated tools; those with invalid annotations are left out."""
        annotated = [tool for tool in lists.tools if _ANNOTATION in tool.definition]
        if not annotated:
            self._wanted = {}
            return lists
        if self._rules is None:
            self._rules = await asyncio.to_thread(_import_rules)
        wanted: dict[str, Mapping[tuple[str, ...], str]] = {}
        invalid: dict[str, str] = {}
        for tool in annotated:
            schema = _member(tool.definition, "inputSchema")
            if reason := self._rules.find_invalid_x_mcp_header(schema):
                invalid[tool.name] = one_line(f"{tool.name}: {reason}")
            elif found := self._rules.x_mcp_header_map(schema):
                wanted[tool.name] = found
        self._wanted = wanted
        kept: tuple[Item, ...] = tuple(tool for tool in lists.tools if tool.name not in invalid)
        return replace(
            lists,
            items={**lists.items, Kind.TOOLS: kept},
            skipped=(*lists.skipped, *invalid.values()),
        )

    def of(self, tool: str, params: bytes) -> dict[str, str]:
        """The headers for one call."""
        wanted = self._wanted.get(tool)
        arguments = _member(params, "arguments") if wanted else None
        if self._rules is None or not isinstance(arguments, dict):
            return {}
        headers: dict[str, str] = self._rules.mcp_param_headers(wanted, arguments)
        return headers


def _import_rules() -> ModuleType:
    from mcp.shared import inbound

    return inbound


def _member(raw: bytes, key: str) -> object:
    value = json.loads(raw)
    return value.get(key) if isinstance(value, dict) else None
