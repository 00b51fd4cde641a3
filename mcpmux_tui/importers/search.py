"""The search through the configs of all tools; their files are read and never written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mcpmux_tui.importers import claude_code, claude_desktop, cursor, vscode
from mcpmux_tui.importers.inputs import used_inputs
from mcpmux_tui.importers.source import Findings, FoundServer, Where
from mcpmux_tui.importers.translate import Unusable, entry
from mcpmux_tui.model import jsonc, textfile
from mcpmux_tui.model.errors import ConfigError
from mcpmux_tui.paths import shown
from mcpmux_tui.text import NAME_LIMIT, one_line

# Claude Code keeps its history in the same file.
_SIZE_LIMIT = 64 * textfile.MIB

_TOOLS = (claude_desktop, claude_code, cursor, vscode)


def find(home: Path, cwd: Path, environ: Mapping[str, str], platform: str) -> Findings:
    """Return the servers of the tools of this user and of the project in `cwd`.

    A file that is not there is nothing; one that cannot be read is a sentence. Blocks.
    """
    where = Where(home, cwd, environ, platform)
    found: list[FoundServer] = []
    problems: list[str] = []
    documents: dict[Path, object] = {}
    for source in (source for tool in _TOOLS for source in tool.sources(where)):
        if source.path not in documents:
            documents[source.path] = None
            try:
                documents[source.path] = jsonc.loads(textfile.read(source.path, _SIZE_LIMIT))
            except FileNotFoundError:
                continue
            except jsonc.NotJson as error:
                problem = f"{shown(source.path)} is not valid JSON: {error}."
                problems.append(f"{source.tool}: {one_line(problem)}")
            except ConfigError as error:
                problems.append(f"{source.tool}: {error.message}")
        document = documents[source.path]
        servers = _at(document, source.table)
        inputs = _at(document, source.inputs) if source.inputs else None
        for name, value in (servers if isinstance(servers, dict) else {}).items():
            try:
                made, notes = entry(
                    value, source.translate, home=where.home, project=source.project
                )
            except Unusable as reason:
                shown_name = one_line(name, NAME_LIMIT)
                problems.append(f"{source.tool}: `{shown_name}` in {shown(source.path)} {reason}.")
            else:
                asked = used_inputs(made, inputs)
                found.append(FoundServer(name, made, source.tool, source.path, notes, asked))
    return Findings(tuple(found), tuple(problems))


def _at(document: object, keys: tuple[str, ...]) -> object:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document
