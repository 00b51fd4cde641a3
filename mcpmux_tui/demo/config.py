"""The demo's config file: rows that work, and those that wait, fail or are switched off."""

from __future__ import annotations

from pathlib import Path

import tomli_w

from mcpmux_tui.demo.program import program

_HEAD = "# The demo's servers. This folder goes away with the demo.\n\n"


def prepare(folder: Path, origin: str) -> Path:
    """Write the demo's config into `folder`, which must be private, and return its path.

    `origin` is where the demo's HTTP servers listen. Blocks on one small write.
    """
    config = {
        # A demo leaves nothing behind, not even in a keyring.
        "vault": {"backend": "session"},
        "servers": {
            "clock": _child(folder, "clock"),
            "notes": _child(folder, "notes"),
            "text": {"url": f"{origin}/mcp"},
            "journal": {"url": f"{origin}/journal/mcp"},
            "signer": _child(folder, "signer")
            | {"env": {"SIGNER_NAME": "${DEMO_USER}", "SIGNER_KEY": "${DEMO_API_KEY}"}},
            # A missing command is the one failure that no retry can mend: the row says so at once.
            "search": {"command": "acme-search-server", "args": ["--index", "documents"]},
            "scratchpad": _child(folder, "notes", "scratch") | {"enabled": False},
        },
    }
    path = folder / "config.toml"
    path.write_text(_HEAD + tomli_w.dumps(config), encoding="utf-8")
    return path


def _child(folder: Path, name: str, *more: str) -> dict[str, object]:
    command, *args = program(name)
    return {"command": command, "args": [*args, *more], "cwd": str(folder)}
