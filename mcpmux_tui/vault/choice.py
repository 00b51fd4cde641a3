"""Where an instance keeps its secrets."""

from __future__ import annotations

from pathlib import Path

from mcpmux_tui.model.spec import VaultBackend
from mcpmux_tui.vault import backend
from mcpmux_tui.vault.index import Index
from mcpmux_tui.vault.parts import InParts
from mcpmux_tui.vault.store import Vault


def vault(folder: Path, choice: VaultBackend) -> Vault:
    """Where an instance keeps its secrets; `folder` is its state folder."""

    def make() -> backend.Backend:
        match choice:
            case "file":
                from mcpmux_tui.vault.file import PlainFile

                return PlainFile(folder / "secrets.toml")
            case "session":
                return backend.Session("by your own choice")
        return InParts(backend.choose(f"mcpmux/{folder.name}"))

    return Vault(make, Index(folder / "vault"))
