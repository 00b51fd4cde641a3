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
    kept = r"env:[A-Za-z_][A-Za-z0-9_]*|input:[A-Za-z0-9_.-]+"
    user = translator(kept, where.variables(project=False))
    for folder in user_folders(where.home, where.environ, where.platform):
        yield Source(TOOL, folder / "mcp.json", ("servers",), user)
        yield Source(TOOL, folder / "settings.json", ("mcp", "servers"), user)
        yield Source(TOOL, folder / "settings.json", ("mcp.servers",), user)
    folder = where.cwd / ".vscode"
    project = translator(kept, where.variables(project=True))
    yield Source(TOOL, folder / "mcp.json", ("servers",), project, where.cwd)
    yield Source(TOOL, folder / "settings.json", ("mcp", "servers"), project, where.cwd)
