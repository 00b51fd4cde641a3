"""Claude Code: ~/.claude.json for the user and each project, .mcp.json in a project.

`${NAME}` and `${NAME:-default}` are its placeholders (code.claude.com/docs/en/mcp).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mcpmux_tui.importers.source import Source, Where
from mcpmux_tui.importers.translate import translator
from mcpmux_tui.paths import AnyPath

TOOL = "Claude Code"

_translate = translator(kept=r"[A-Za-z_][A-Za-z0-9_]*(?::-.*)?")


def user_file(home: AnyPath, environ: Mapping[str, str]) -> AnyPath:
    """The user's file, in the folder CLAUDE_CONFIG_DIR names where it is set."""
    folder = environ.get("CLAUDE_CONFIG_DIR")
    return (type(home)(folder) if folder else home) / ".claude.json"


def sources(where: Where) -> Iterator[Source]:
    """Yield the servers of the user, then those of the current folder as a project."""
    user = user_file(where.home, where.environ)
    yield Source(TOOL, user, ("mcpServers",), _translate)
    project = ("projects", str(where.cwd), "mcpServers")
    yield Source(TOOL, user, project, _translate, where.cwd)
    yield Source(TOOL, where.cwd / ".mcp.json", ("mcpServers",), _translate, where.cwd)
