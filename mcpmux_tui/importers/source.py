"""What every importer speaks in: where a tool keeps its servers, and what was found there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

Translate = Callable[[str], str]
"""Turns a text of a tool's config into one that means the same in mcpmux's."""
Inputs = Mapping[str, Mapping[str, JsonValue]]
"""What is known of each `${input:ID}`, by id, in mcpmux's own keys."""


@dataclass(frozen=True, slots=True)
class Where:
    """The machine and the place a search starts from; `platform` as `sys.platform` names it."""

    home: Path
    cwd: Path
    environ: Mapping[str, str]
    platform: str

    def variables(self, *, project: bool) -> Mapping[str, str | None]:
        """The variables that VS Code knows, and Cursor as its descendant, with their values.

        Those of a project have none (None) in a user's own file: it serves all projects.
        """
        return {
            "userHome": str(self.home),
            "workspaceFolder": str(self.cwd) if project else None,
            "workspaceFolderBasename": self.cwd.name if project else None,
            "pathSeparator": "/",
            "/": "/",
        }


@dataclass(frozen=True, slots=True)
class Source:
    """One table of servers in one file of a tool."""

    tool: str
    path: Path
    table: tuple[str, ...]
    """The keys that lead to the table."""
    translate: Translate
    project: Path | None = None
    """The folder its servers run in; None: the user's own, for all projects."""
    inputs: tuple[str, ...] = ()
    """The keys that lead to what a person is asked for; none where the tool asks for nothing."""


@dataclass(frozen=True, slots=True)
class FoundServer:
    """One server of another tool, in mcpmux's own keys."""

    name: str
    entry: dict[str, JsonValue]
    tool: str
    path: Path
    notes: tuple[str, ...] = ()
    """What was not taken over, a sentence each."""
    inputs: Inputs = field(default_factory=dict)
    """What its file says of the inputs it refers to."""

    @property
    def key(self) -> str:
        """Names exactly this entry: a yes to it is no yes to what the file says later."""
        said = [self.tool, str(self.path), self.name, self.entry, self.inputs]
        whole = json.dumps(said, sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Findings:
    """The servers of all tools, and a sentence for each file or entry that cannot be used."""

    servers: tuple[FoundServer, ...] = ()
    problems: tuple[str, ...] = ()
