"""What clients may list and call: one immutable table per endpoint, its list kept as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.channel import Tool
from mcpmux_tui.model.jsonrpc import Malformed
from mcpmux_tui.model.ports import Upstream
from mcpmux_tui.model.spec import ToolFilter
from mcpmux_tui.proxy import names


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call to a public name goes."""

    upstream: Upstream
    tool: str
    """The server's own name."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The tools of one endpoint. What is not in `targets` cannot be called."""

    upstreams: tuple[Upstream, ...] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)
    tools: bytes = b"[]"
    """The JSON array of all definitions."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All endpoints at one moment."""

    merged: Listing = Listing()
    """`/mcp`: every server's tools under public names."""
    servers: Mapping[str, Listing] = field(default_factory=dict)
    """`/mcp/<server>`: one server's tools under its own names."""
    public: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Server -> own name -> public name."""
    renamed: Mapping[tuple[Tool, str], bytes] = field(default_factory=dict, repr=False)
    """Definitions under their public names, kept for the next catalog."""

    def listing(self, endpoint: str | None) -> Listing | None:
        """The table of `/mcp` (None) or of one server; None for an unknown server."""
        return self.merged if endpoint is None else self.servers.get(endpoint)


def build(upstreams: Mapping[str, Upstream], previous: Catalog) -> Catalog:
    """Return the catalog of these servers, in this order, reusing the work of the previous one."""
    offered = {name: _offered(upstream) for name, upstream in upstreams.items()}
    public = names.assign(
        names.Named(name, _prefix(name, upstreams[name]), tuple(tools))
        for name, tools in offered.items()
    )
    renamed: dict[tuple[Tool, str], bytes] = {}
    targets: dict[str, Target] = {}
    for name, tools in offered.items():
        for tool in tools.values():
            title = public[name][tool.name]
            own = previous.renamed.get((tool, title)) or _rename(tool.definition, title)
            if own is not None:
                renamed[tool, title] = own
                targets[title] = Target(upstreams[name], tool.name)
    merged = Listing(
        upstreams=tuple(upstreams.values()),
        targets=targets,
        tools=_array(renamed.values()),
    )
    servers = {
        name: Listing(
            upstreams=(upstreams[name],),
            targets={own: Target(upstreams[name], own) for own in tools},
            tools=_array(tool.definition for tool in tools.values()),
        )
        for name, tools in offered.items()
    }
    return Catalog(merged, servers, public, renamed)


def _prefix(name: str, upstream: Upstream) -> str:
    prefix = upstream.spec.prefix
    return name if prefix is None else prefix


def _offered(upstream: Upstream) -> dict[str, Tool]:
    """A server's tools by own name, filtered; of two with one name the first."""
    if not upstream.spec.enabled:
        return {}
    offered: dict[str, Tool] = {}
    for tool in upstream.lists.tools:
        if tool.name not in offered and _passes(tool.name, upstream.spec.tools):
            offered[tool.name] = tool
    return offered


def _passes(tool: str, filters: ToolFilter) -> bool:
    return any(fnmatchcase(tool, glob) for glob in filters.allow) and not any(
        fnmatchcase(tool, glob) for glob in filters.deny
    )


def _rename(definition: bytes, name: str) -> bytes | None:
    """The definition under another name; None for one in which that is no matter of one key."""
    try:
        text = jsonrpc.decode(definition)
        return jsonrpc.splice(text, {"name": json.dumps(name)}).encode("utf-8")
    except Malformed:
        return None


def _array(definitions: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(definitions) + b"]"
