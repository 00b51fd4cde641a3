"""A name for a server that was given none, by what it starts or where it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Final
from urllib.parse import urlsplit

from mcpmux_tui.importers.plan import NAME_LIMIT, valid_name

_RUNNERS: Final = frozenset(
    {"npx", "bunx", "uvx", "pipx", "pnpm", "npm", "yarn", "bun", "uv", "deno", "node", "docker"}
    | {"podman", "python", "python3"}
)
_VERBS: Final = frozenset({"run", "exec", "dlx", "x", "tool"})
_VALUED: Final = frozenset(
    {"-e", "--env", "-v", "--volume", "--mount", "--network", "--name", "-u", "--user", "-w"}
    | {"--workdir", "-p", "--publish", "--env-file", "--from", "--with", "--python", "--directory"}
    | {"--package", "--platform", "--entrypoint"}
)
_EMPTY: Final = re.compile(r"(?:^|[-_.])(?:mcp|server|mcp_server|modelcontextprotocol)(?=$|[-_.])")
_ENDING: Final = re.compile(r"\.(?:m?js|cjs|ts|py|sh|exe|cmd)$")
_HOST: Final = frozenset({"mcp", "api", "www", "app", "server"})


def suggested(entry: Mapping[str, object]) -> str:
    """The nearest valid name for an entry; never empty."""
    match entry:
        case {"url": str(url)}:
            found = _of_address(url)
        case {"command": str(command)}:
            args = entry.get("args")
            texts = [str(arg) for arg in args] if isinstance(args, list) else []
            found = _of_command([command, *texts])
        case _:
            found = ""
    return valid_name(found.lower())


def unique(name: str, taken: Collection[str]) -> str:
    """`name`, or with a number behind it where it is taken."""
    number, found = 2, name
    while found in taken:
        suffix = f"-{number}"
        found = name[: NAME_LIMIT - len(suffix)] + suffix
        number += 1
    return found


def _of_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    labels = host.split(".")
    if "." not in host or labels[-1].isdigit() or ":" in host:
        return _plain(parts.path.strip("/").rpartition("/")[2]) or "local"
    told = [label for label in labels[:-1] if label not in _HOST]
    return told[-1] if told else labels[0]


def _of_command(words: list[str]) -> str:
    first = PurePath(words[0]).name
    rest = iter(words[1:]) if first in _RUNNERS else iter(())
    for word in rest:
        if word in _VALUED:
            next(rest, None)
        elif not word.startswith("-") and word not in _VERBS:
            return _of_package(word) or first
    return _of_package(words[0]) or first


def _of_package(word: str) -> str:
    """Of `@scope/server-name@1.2`, `registry/owner/name:tag`, `pkg[extra]==1` or a path."""
    scope, _, last = word.rstrip("/").rpartition("/")
    bare = re.split(r"[@:\[=<>~!]", last)[0]
    return _plain(_ENDING.sub("", bare)) or _plain(scope.rpartition("/")[2].lstrip("@"))


def _plain(text: str) -> str:
    return _EMPTY.sub("", text.replace("mcp_server_", "")).strip("-_.")
