"""Which clients this machine has, by their folders and commands; nothing of theirs is read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcpmux_tui.clients.entries import CLIENTS
from mcpmux_tui.paths import app_data

_COMMANDS = {
    "claude-code": "claude",
    "cursor": "cursor",
    "vscode": "code",
    "codex": "codex",
    "gemini": "gemini",
    "windsurf": "windsurf",
    "zed": "zed",
}


def choices(home: Path, environ: Mapping[str, str], platform: str) -> list[tuple[str, str]]:
    """Return the key and title of every client, those found on this machine first.

    The form for any client stands last. Blocks: it looks at a few folders.
    """
    found = {key: _is_here(key, home, environ, platform) for key in CLIENTS}
    order = sorted(CLIENTS, key=lambda key: (key == "json", not found[key]))
    return [(key, CLIENTS[key].title) for key in order]


def _is_here(key: str, home: Path, environ: Mapping[str, str], platform: str) -> bool:
    # Path.exists raises where a folder above may not be entered.
    if any(os.path.exists(path) for path in _traces(key, home, environ, platform)):  # noqa: PTH110
        return True
    command = _COMMANDS.get(key)
    return command is not None and shutil.which(command, path=environ.get("PATH", "")) is not None


def _traces(key: str, home: Path, environ: Mapping[str, str], platform: str) -> Iterator[Path]:
    match key:
        case "claude-code":
            yield home / ".claude.json"
            yield home / ".claude"
        case "claude-desktop":
            yield app_data(home, environ, platform) / "Claude"
        case "cursor":
            yield home / ".cursor"
        case "vscode":
            yield app_data(home, environ, platform) / "Code" / "User"
        case "codex":
            yield Path(environ.get("CODEX_HOME") or home / ".codex")
        case "gemini":
            yield home / ".gemini"
        case "windsurf":
            yield home / ".codeium" / "windsurf"
        case "zed":
            yield (
                app_data(home, environ, platform) / "Zed"
                if platform == "win32"
                else home / ".config" / "zed"
            )
        case _:
            return
