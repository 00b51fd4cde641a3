"""Public tool names: `<prefix>__<tool>`, made once and looked up in tables, never parsed.

Clients put a prefix of their own before a name and cut or refuse the whole beyond 60 or 64
characters, so a public name has at most 50.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

LIMIT = 50
_HASH = 8
_OTHER = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class Named:
    """The tools of one server, by its own names; `prefix` "" asks for bare names."""

    server: str
    prefix: str
    tools: Sequence[str]

    @cached_property
    def plain(self) -> Mapping[str, str]:
        """Own name -> the public name of a tool that collides with no other, if short enough."""
        return {tool: _plain(self.prefix, tool) for tool in self.tools}


def assign(servers: Iterable[Named]) -> Mapping[str, Mapping[str, str]]:
    """Return server -> own name -> public name; every public name occurs once.

    Who comes first keeps a name; a later one gets a hash that depends on nothing but its server
    and tool, so it stays the same from start to start.
    """
    taken: set[str] = set()
    tables: dict[str, dict[str, str]] = {}
    for entry in servers:
        table = tables.setdefault(entry.server, {})
        for tool, plain in entry.plain.items():
            if tool not in table:
                table[tool] = _public(entry, tool, plain, taken)
                taken.add(table[tool])
    return tables


def _plain(prefix: str, tool: str) -> str:
    return _OTHER.sub("-", f"{prefix}__{tool}" if prefix else tool)


def _public(entry: Named, tool: str, name: str, taken: Container[str]) -> str:
    public = name if len(name) <= LIMIT else _hashed(name, entry.server, tool, 0)
    salt = 0
    while public in taken:
        public = _hashed(name, entry.server, tool, salt)
        salt += 1
    return public


def _hashed(name: str, server: str, tool: str, salt: int) -> str:
    # Names come from servers: what UTF-8 cannot hold must not end the assignment.
    seed = f"{server}\0{tool}\0{salt}".encode("utf-8", "surrogatepass")
    return f"{name[: LIMIT - _HASH - 1]}_{hashlib.sha256(seed).hexdigest()[:_HASH]}"
