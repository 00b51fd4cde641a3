"""VS Code: mcp.json of the user and of a project, and `mcp.servers` in older settings.json.

Variables: code.visualstudio.com/docs/reference/variables-reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mcpmux_tui.importers.inputs import ID
from mcpmux_tui.importers.source import Source, Translate, Where
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
    kept = r"env:[A-Za-z_][A-Za-z0-9_]*|input:" + ID
    user = translator(kept, where.variables(project=False))
    for folder in user_folders(where.home, where.environ, where.platform):
        yield from _in_folder(folder, user)
        yield Source(TOOL, folder / "settings.json", ("mcp.servers",), user, inputs=("mcp.inputs",))
    folder = where.cwd / ".vscode"
    project = translator(kept, where.variables(project=True))
    yield from _in_folder(folder, project, where.cwd)


def _in_folder(folder: Path, translate: Translate, project: Path | None = None) -> Iterator[Source]:
    file, old = folder / "mcp.json", folder / "settings.json"
    yield Source(TOOL, file, ("servers",), translate, project, ("inputs",))
    yield Source(TOOL, old, ("mcp", "servers"), translate, project, ("mcp", "inputs"))
