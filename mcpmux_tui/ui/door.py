"""What every screen of this door shares: its engine, what the engine last told, and the looks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from mcpmux_tui.model.server import EngineSnapshot, ServerSnapshot
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.looks import Looks
from mcpmux_tui.ui.status import Glyphs

Copy = Callable[[str], Awaitable[str]]
"""Copies a text and returns the word for what happened."""


@dataclass
class Door:
    """One terminal on one engine."""

    engine: Engine
    owner: bool
    """This door started the engine, which stops with it."""
    copy: Copy
    looks: Looks
    clock: Callable[[], float]
    state: Path
    """The instance's folder."""
    snapshot: EngineSnapshot | None = None
    ended: bool = False
    """The engine tells nothing any more."""

    @property
    def glyphs(self) -> Glyphs:
        """The signs to draw with."""
        return self.looks.glyphs

    @property
    def servers(self) -> tuple[ServerSnapshot, ...]:
        """All servers, as the engine last told."""
        return () if self.snapshot is None else self.snapshot.servers

    def server(self, name: str) -> ServerSnapshot | None:
        """The server of this name."""
        return next((server for server in self.servers if server.name == name), None)
