"""Claude Desktop: one file for the user. It expands no variables: a `$` there is a plain one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mcpmux_tui.importers.source import Source, Where
from mcpmux_tui.importers.translate import translator
from mcpmux_tui.paths import AnyPath, app_data

TOOL = "Claude Desktop"


def user_file(home: AnyPath, environ: Mapping[str, str], platform: str) -> AnyPath:
    """The user's file."""
    return app_data(home, environ, platform) / "Claude" / "claude_desktop_config.json"


def sources(where: Where) -> Iterator[Source]:
    """Yield the user's servers."""
    path = user_file(where.home, where.environ, where.platform)
    yield Source(TOOL, path, ("mcpServers",), translator())
