"""Where the programs come from that servers are usually started with."""

from __future__ import annotations

from typing import Final

_NODE: Final = "Node.js (https://nodejs.org)"
_UV: Final = "uv (https://docs.astral.sh/uv)"
_BUN: Final = "Bun (https://bun.sh)"
_DOTNET: Final = ".NET (https://dotnet.microsoft.com)"
_PART_OF: Final = {
    "node": _NODE,
    "npm": _NODE,
    "npx": _NODE,
    "pnpm": "pnpm (https://pnpm.io)",
    "bun": _BUN,
    "bunx": _BUN,
    "deno": "Deno (https://deno.com)",
    "uv": _UV,
    "uvx": _UV,
    "pipx": "pipx (https://pipx.pypa.io)",
    "go": "Go (https://go.dev)",
    "java": "a Java runtime (https://adoptium.net)",
    "dotnet": _DOTNET,
    "dnx": _DOTNET,
}


def how_to_get(command: str) -> str:
    """What to do for `command` to be there, as the beginning of a sentence."""
    if command == "docker":
        return "Install Docker (https://docs.docker.com/get-docker), name podman if you have that"
    program = _PART_OF.get(command)
    return "Install it" if program is None else f"Install {program}"
