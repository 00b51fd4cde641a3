"""Cursor: ~/.cursor/mcp.json, and .cursor/mcp.json in a project."""

from __future__ import annotations

from collections.abc import Iterator

from mcpmux_tui.importers.source import Source, Where
from mcpmux_tui.importers.translate import translator

TOOL = "Cursor"


def sources(where: Where) -> Iterator[Source]:
    """Yield the servers of the user, then those of the current folder."""
    kept = r"env:[A-Za-z_][A-Za-z0-9_]*"
    user = translator(kept, where.variables(project=False))
    yield Source(TOOL, where.home / ".cursor" / "mcp.json", ("mcpServers",), user)
    if where.cwd != where.home:
        path = where.cwd / ".cursor" / "mcp.json"
        project = translator(kept, where.variables(project=True))
        yield Source(TOOL, path, ("mcpServers",), project, where.cwd)
