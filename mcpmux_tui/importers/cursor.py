"""Cursor: ~/.cursor/mcp.json, and .cursor/mcp.json in a project."""

from __future__ import annotations

from collections.abc import Iterator

from mcpmux_tui.importers.source import Source, Where
from mcpmux_tui.importers.translate import translator

TOOL = "Cursor"


def sources(where: Where) -> Iterator[Source]:
    """Yield the servers of the user, then those of the current folder."""
    translate = translator(
        kept=r"env:[A-Za-z_][A-Za-z0-9_]*",
        fixed=where.variables(),
    )
    yield Source(TOOL, where.home / ".cursor" / "mcp.json", ("mcpServers",), translate)
    if where.cwd != where.home:
        project = where.cwd / ".cursor" / "mcp.json"
        yield Source(TOOL, project, ("mcpServers",), translate, where.cwd)
