"""What a person sees who has no servers yet: what to do next, in one screen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.control.protocol import Found
from mcpmux_tui.model.server import EngineSnapshot
from mcpmux_tui.paths import shown as shown_path
from mcpmux_tui.ui.content import counted, line
from mcpmux_tui.ui.dialogs.imports import skipped, skips
from mcpmux_tui.ui.keymap import shown
from mcpmux_tui.ui.keys import COPY, IMPORT
from mcpmux_tui.ui.widgets.scrolled import Scrolled

_TOML_EXAMPLE = '[servers.time]\ncommand = "uvx"\nargs = ["mcp-server-time"]'
_JSON_EXAMPLE = json.dumps(
    {"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}
)
_ADD = "mcpmux add time uvx mcp-server-time"


class Welcome(Scrolled):
    """The next steps, the shortest first."""

    def __init__(self) -> None:
        super().__init__()
        self._snapshot: EngineSnapshot | None = None
        self._found: Found | None = None

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)

    def show(self, snapshot: EngineSnapshot, found: Found | None) -> None:
        """Show the steps; `found` is what an import would offer, None while it is looked for."""
        if (snapshot, found) == (self._snapshot, self._found):
            return
        self._snapshot, self._found = snapshot, found
        steps = _steps(snapshot, found, shown(self))
        self.query_one(Static).update(Content("\n").join(steps))


def _steps(
    snapshot: EngineSnapshot, found: Found | None, pressed: Mapping[str, str]
) -> list[Content]:
    example = _JSON_EXAMPLE if snapshot.config_path.endswith(".json") else _TOML_EXAMPLE
    url = snapshot.proxy.url
    steps = [
        Content.styled("No servers yet", "bold"),
        Content(),
        _key(pressed.get(IMPORT.id, IMPORT.shown), "import the servers your clients already have"),
        _indented(line(describe_found(found), "$muted")),
        _key("a", "add one: paste a command, a URL or JSON"),
        _indented(Content.assemble("or run ", (_ADD, "$primary"))),
        Content(),
        Content("Or write one yourself, in"),
        _indented(line(shown_path(Path(snapshot.config_path)), "$primary")),
        *(_indented(line(row, "$muted")) for row in example.splitlines()),
        Content(),
        Content.assemble(
            "Just looking?  ", ("mcpmux --demo", "$primary"), "  has its own servers."
        ),
    ]
    if url:
        steps += [
            Content(),
            Content.assemble(
                "Your clients connect to ",
                line(url, "$primary"),
                "; ",
                (pressed.get(COPY.id, COPY.shown), "bold $primary"),
                " copies the entry.",
            ),
        ]
    return steps


def describe_found(found: Found | None) -> str:
    """How many servers an import would add, by tool."""
    if found is None:
        return "Looking for them\u2026"
    counts = Counter(c.source for c in found.candidates if not skipped(c))
    if not found.candidates:
        return "None found in the configs of other clients on this computer."
    added = ", ".join(f"{counted(count, 'server')} in {source}" for source, count in counts.items())
    return f"Found: {added or 'none to add'}{skips(found)}"


def _key(key: str, meaning: str) -> Content:
    return Content.assemble((key, "bold $primary"), f"  {meaning}")


def _indented(content: Content) -> Content:
    return Content("   ") + content
