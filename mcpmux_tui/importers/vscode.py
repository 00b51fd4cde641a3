"""VS Code: mcp.json of the user and of a project, and `mcp.servers` in older settings.json.

Variables: code.visualstudio.com/docs/reference/variables-reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mcpmux_tui.importers.source import Source, Where
from mcpmux_tui.importers.translate import translator
from mcpmux_tui.paths import AnyPath, app_data

TOOL = "VS Code"


def user_folders(
    home: AnyPath, environ: Mapping[str, str], platform: str
) -> tuple[AnyPath, AnyPath]:
    """The user's folders: of the stable edition and of Insiders."""
    base = app_data(home, environ, platform)
    return base / "Code" / "User", base / "Code - Insiders" / "User"


def sources(where: Where) -> Iterator[Source]:
    """Yield the servers of the user, then those of the current folder."""
    translate = translator(
        kept=r"env:[A-Za-z_][A-Za-z0-9_]*|input:[A-Za-z0-9_.-]+",
        fixed=where.variables(),
    )
    for folder in user_folders(where.home, where.environ, where.platform):
        yield Source(TOOL, folder / "mcp.json", ("servers",), translate)
        yield Source(TOOL, folder / "settings.json", ("mcp", "servers"), translate)
        yield Source(TOOL, folder / "settings.json", ("mcp.servers",), translate)
    project = where.cwd / ".vscode"
    yield Source(TOOL, project / "mcp.json", ("servers",), translate, where.cwd)
    yield Source(TOOL, project / "settings.json", ("mcp", "servers"), translate, where.cwd)
