"""What clients may list and use: one immutable table per endpoint, its lists kept as bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.channel import Item, Kind
from mcpmux_tui.model.jsonrpc import Malformed
from mcpmux_tui.model.ports import Upstream
from mcpmux_tui.model.spec import ToolFilter
from mcpmux_tui.proxy import names
from mcpmux_tui.proxy.uris import Template

_EMPTY: Final[Mapping[Kind, bytes]] = dict.fromkeys(Kind, b"[]")
_NAMED: Final = (Kind.TOOLS, Kind.PROMPTS)
"""Kinds that get public names; addresses stay as they are."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request for a public name or an address goes."""

    upstream: Upstream
    name: str
    """The server's own name, or the address."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What one endpoint offers. What is not in its tables cannot be used."""

    upstreams: tuple[Upstream, ...] = ()
    tools: Mapping[str, Target] = field(default_factory=dict)
    prompts: Mapping[str, Target] = field(default_factory=dict)
    resources: Mapping[str, Target] = field(default_factory=dict)
    """By address: what is listed, and the `ui://` pages that tools name (MCP Apps)."""
    templates: Mapping[str, Target] = field(default_factory=dict)
    patterns: tuple[tuple[Template, Target], ...] = ()
    """The same templates, for addresses made from them; the most particular first."""
    definitions: Mapping[Kind, tuple[bytes, ...]] = field(default_factory=dict, repr=False)
    lists: Mapping[Kind, bytes] = field(default_factory=lambda: _EMPTY, repr=False)
    """The JSON arrays of all definitions."""
    instructions: str = ""
    """Those of servers whose entry says so."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All endpoints at one moment."""

    merged: Listing = Listing()
    """`/mcp`: every server's tools and prompts under public names."""
    servers: Mapping[str, Listing] = field(default_factory=dict)
    """`/mcp/<server>`: one server under its own names."""
    public: Mapping[Kind, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    """Tools and prompts: server -> own name -> public name."""
    collisions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Server -> what of it has a name or an address that an earlier server has, in sentences."""
    renamed: Mapping[tuple[Item, str], bytes] = field(default_factory=dict, repr=False)
    """Definitions under their public names, kept for the next catalog."""

    def listing(self, endpoint: str | None) -> Listing | None:
        """The tables of `/mcp` (None) or of one server; None for an unknown server."""
        return self.merged if endpoint is None else self.servers.get(endpoint)


Offered = Mapping[str, Mapping[Kind, Mapping[str, Item]]]
"""Server -> kind -> own name -> item, filtered."""


def build(upstreams: Mapping[str, Upstream], previous: Catalog) -> Catalog:
    """Return the catalog of these servers, in this order, reusing the work of the previous one."""
    offered: Offered = {name: _offered(upstream) for name, upstream in upstreams.items()}
    public = {kind: _assigned(kind, offered, upstreams) for kind in _NAMED}
    renamed: dict[tuple[Item, str], bytes] = {}
    named: dict[Kind, dict[str, Target]] = {kind: {} for kind in _NAMED}
    definitions: dict[Kind, dict[str, bytes]] = {kind: {} for kind in Kind}
    for server, kinds in offered.items():
        for kind, items in kinds.items():
            for item in items.values():
                if kind in _NAMED:
                    title = public[kind][server][item.name]
                    own = previous.renamed.get((item, title)) or _rename(item.definition, title)
                    if own is None:
                        continue
                    renamed[item, title] = own
                    named[kind][title] = Target(upstreams[server], item.name)
                    definitions[kind][title] = own
                else:
                    # Of one address at two servers the first one in the config is meant.
                    definitions[kind].setdefault(item.name, item.definition)
    merged = _listing(upstreams, offered, named, definitions)
    servers = {
        server: _listing(
            {server: upstreams[server]},
            {server: kinds},
            {
                kind: {own: Target(upstreams[server], own) for own in kinds.get(kind, ())}
                for kind in _NAMED
            },
            {
                kind: {own: item.definition for own, item in kinds.get(kind, {}).items()}
                for kind in Kind
            },
        )
        for server, kinds in offered.items()
    }
    collisions = _collisions(upstreams, offered, public)
    return Catalog(merged, servers, public, collisions, renamed)


def _collisions(
    upstreams: Mapping[str, Upstream],
    offered: Offered,
    public: Mapping[Kind, Mapping[str, Mapping[str, str]]],
) -> Mapping[str, tuple[str, ...]]:
    notes: dict[str, list[str]] = {}
    owners: dict[tuple[Kind, str], str] = {}
    for server, kinds in offered.items():
        prefix = _prefix(server, upstreams[server])
        for kind, items in kinds.items():
            if kind in _NAMED:
                plain = {own: names.wanted(prefix, own) for own in items}
                named = public[kind][server]
                count = sum(
                    name != named[own] and len(name) <= names.LIMIT for own, name in plain.items()
                )
                if count:
                    what = f"{count} of its {kind.noun}s"
                    text = f"{what} would have names that are taken: on /mcp they end with a hash."
                    notes.setdefault(server, []).append(text)
                continue
            first = Counter(owners.setdefault((kind, uri), server) for uri in items)
            for owner, count in first.items():
                if owner != server:
                    what = f"{count} of its {kind.noun}s"
                    text = f"{what} are at {owner} too: on /mcp those of {owner} are read."
                    notes.setdefault(server, []).append(text)
    return {server: tuple(texts) for server, texts in notes.items()}


def _listing(
    upstreams: Mapping[str, Upstream],
    offered: Offered,
    named: Mapping[Kind, Mapping[str, Target]],
    definitions: Mapping[Kind, Mapping[str, bytes]],
) -> Listing:
    templates = _addressed(
        upstreams, {server: kinds.get(Kind.TEMPLATES, ()) for server, kinds in offered.items()}
    )
    pages = _addressed(upstreams, {server: _pages(kinds) for server, kinds in offered.items()})
    listed = _addressed(
        upstreams, {server: kinds.get(Kind.RESOURCES, ()) for server, kinds in offered.items()}
    )
    patterns = [(Template(text), target) for text, target in templates.items()]
    patterns.sort(key=lambda each: each[0].weight, reverse=True)
    return Listing(
        upstreams=tuple(upstreams.values()),
        tools=named[Kind.TOOLS],
        prompts=named[Kind.PROMPTS],
        resources=pages | listed,
        templates=templates,
        patterns=tuple(patterns),
        definitions={kind: tuple(definitions[kind].values()) for kind in Kind},
        lists={kind: b"[" + b",".join(definitions[kind].values()) + b"]" for kind in Kind},
        instructions=_instructions(upstreams),
    )


def _instructions(upstreams: Mapping[str, Upstream]) -> str:
    """What servers have to say to the model, each under its name if there are several."""
    said = {
        name: upstream.lists.instructions
        for name, upstream in upstreams.items()
        if upstream.spec.enabled and upstream.spec.instructions and upstream.lists.instructions
    }
    if len(upstreams) == 1:
        return next(iter(said.values()), "")
    return "\n\n".join(f"# Server {name}\n\n{text}" for name, text in said.items())


def _addressed(
    upstreams: Mapping[str, Upstream], addresses: Mapping[str, Iterable[str]]
) -> dict[str, Target]:
    """Address -> the first server that has it."""
    targets: dict[str, Target] = {}
    for server, uris in addresses.items():
        for uri in uris:
            targets.setdefault(uri, Target(upstreams[server], uri))
    return targets


def _pages(kinds: Mapping[Kind, Mapping[str, Item]]) -> Iterable[str]:
    """The `ui://` addresses that a server's tools name (MCP Apps: `_meta.ui.resourceUri`)."""
    for item in kinds.get(Kind.TOOLS, {}).values():
        if b"ui://" not in item.definition:
            continue
        meta = json.loads(item.definition).get("_meta")
        if not isinstance(meta, dict):
            continue
        ui = meta.get("ui")
        for uri in (
            meta.get("ui/resourceUri"),
            ui.get("resourceUri") if isinstance(ui, dict) else None,
        ):
            if isinstance(uri, str) and uri.startswith("ui://"):
                yield uri


def _assigned(
    kind: Kind, offered: Offered, upstreams: Mapping[str, Upstream]
) -> Mapping[str, Mapping[str, str]]:
    return names.assign(
        names.Named(server, _prefix(server, upstreams[server]), tuple(kinds.get(kind, ())))
        for server, kinds in offered.items()
    )


def _prefix(name: str, upstream: Upstream) -> str:
    prefix = upstream.spec.prefix
    return name if prefix is None else prefix


def _offered(upstream: Upstream) -> Mapping[Kind, Mapping[str, Item]]:
    """What a server offers by own name, tools filtered; of two with one name the first."""
    if not upstream.spec.enabled:
        return {}
    offered: dict[Kind, dict[str, Item]] = {}
    for kind in Kind:
        items = offered[kind] = {}
        for item in upstream.lists.of(kind):
            if kind is not Kind.TOOLS or _passes(item.name, upstream.spec.tools):
                items.setdefault(item.name, item)
    return offered


def _passes(tool: str, filters: ToolFilter) -> bool:
    return any(fnmatchcase(tool, glob) for glob in filters.allow) and not any(
        fnmatchcase(tool, glob) for glob in filters.deny
    )


def _rename(definition: bytes, name: str) -> bytes | None:
    """The definition under another name; None for one in which that is no matter of one key."""
    try:
        return jsonrpc.splice(definition, {"name": jsonrpc.quoted(name)})
    except Malformed:
        return None
