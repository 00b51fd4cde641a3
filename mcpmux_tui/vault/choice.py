"""Where an instance keeps its secrets."""

from __future__ import annotations

from collections.abc import Iterator
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


def notes(used: Vault, choice: VaultBackend, wish: VaultBackend) -> Iterator[str]:
    """What a person should know of where secrets are kept, a sentence each.

    `choice` is what the vault was made by, `wish` what the config says now.
    """
    if choice == "file":
        yield 'Secrets are kept in a plain file: [vault] backend = "file".'
    if choice == "auto" and (why := used.passing):
        yield f'Sign-ins are not kept ({why}). [vault] backend = "file" keeps them in a file.'
    if wish != choice:
        yield "The change of [vault] counts from the next start of mcpmux."
