"""What clients may list and use: one immutable table per endpoint, its lists kept as bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from mcpmux_tui.model import rawjson
from mcpmux_tui.model.channel import Item, Kind, Lists
from mcpmux_tui.model.ports import Upstream
from mcpmux_tui.model.rawjson import Malformed
from mcpmux_tui.model.spec import ServerSpec, ToolFilter
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
class Share:
    """What one server offers; the same until its entry or its lists are replaced."""

    upstream: Upstream
    spec: ServerSpec
    lists: Lists
    items: Mapping[Kind, Mapping[str, Item]]
    """Kind -> own name -> item, filtered."""
    named: Mapping[Kind, names.Named]
    """The names of its tools and prompts."""
    pages: tuple[str, ...]
    """The `ui://` addresses that its tools name (MCP Apps)."""

    def of(self, kind: Kind) -> Mapping[str, Item]:
        """The items of one kind, by own name."""
        return self.items.get(kind, {})


@dataclass(frozen=True, slots=True)
class _Part:
    """Tools or prompts of one server as the merged list has them."""

    share: Share
    titles: Mapping[str, str]
    """Own name -> public name."""
    targets: Mapping[str, Target]
    definitions: Mapping[str, bytes]


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
    shares: Mapping[str, Share] = field(default_factory=dict, repr=False)
    parts: Mapping[tuple[str, Kind], _Part] = field(default_factory=dict, repr=False)
    """Both kept for the next catalog: most of the time one server of many has changed."""

    def listing(self, endpoint: str | None) -> Listing | None:
        """The tables of `/mcp` (None) or of one server; None for an unknown server."""
        return self.merged if endpoint is None else self.servers.get(endpoint)


def build(upstreams: Mapping[str, Upstream], previous: Catalog) -> Catalog:
    """Return the catalog of these servers, in this order, reusing the work of the previous one."""
    shares = {
        name: _share(name, upstream, previous.shares.get(name))
        for name, upstream in upstreams.items()
    }
    servers = {
        name: previous.servers[name] if share is previous.shares.get(name) else _own(name, share)
        for name, share in shares.items()
    }
    public = {kind: names.assign(share.named[kind] for share in shares.values()) for kind in _NAMED}
    parts = {
        (name, kind): _part(share, kind, public[kind][name], previous.parts.get((name, kind)))
        for name, share in shares.items()
        for kind in _NAMED
    }
    named: dict[Kind, dict[str, Target]] = {kind: {} for kind in _NAMED}
    definitions: dict[Kind, dict[str, bytes]] = {kind: {} for kind in Kind}
    for (_, kind), part in parts.items():
        named[kind].update(part.targets)
        definitions[kind].update(part.definitions)
    for share in shares.values():
        for kind in (Kind.RESOURCES, Kind.TEMPLATES):
            for item in share.of(kind).values():
                # Of one address at two servers the first one in the config is meant.
                definitions[kind].setdefault(item.name, item.definition)
    merged = _listing(shares, named, definitions)
    return Catalog(merged, servers, public, _collisions(shares, public), shares, parts)


def _share(name: str, upstream: Upstream, previous: Share | None) -> Share:
    spec, lists = upstream.spec, upstream.lists
    if (
        previous is not None
        and previous.upstream is upstream
        and previous.spec is spec
        and previous.lists is lists
    ):
        return previous
    items = _offered(spec, lists)
    prefix = name if spec.prefix is None else spec.prefix
    named = {kind: names.Named(name, prefix, tuple(items.get(kind, ()))) for kind in _NAMED}
    return Share(upstream, spec, lists, items, named, tuple(_pages(items)))


def _part(share: Share, kind: Kind, titles: Mapping[str, str], previous: _Part | None) -> _Part:
    if previous is not None and previous.share is share and previous.titles == titles:
        return previous
    targets: dict[str, Target] = {}
    definitions: dict[str, bytes] = {}
    for own, item in share.of(kind).items():
        title = titles[own]
        if (definition := _rename(item, title)) is not None:
            targets[title] = Target(share.upstream, own)
            definitions[title] = definition
    return _Part(share, titles, targets, definitions)


def _own(name: str, share: Share) -> Listing:
    """The tables of `/mcp/<server>`."""
    return _listing(
        {name: share},
        {kind: {own: Target(share.upstream, own) for own in share.of(kind)} for kind in _NAMED},
        {kind: {own: item.definition for own, item in share.of(kind).items()} for kind in Kind},
    )


def _collisions(
    shares: Mapping[str, Share],
    public: Mapping[Kind, Mapping[str, Mapping[str, str]]],
) -> Mapping[str, tuple[str, ...]]:
    notes: dict[str, list[str]] = {}
    owners: dict[tuple[Kind, str], str] = {}
    for server, share in shares.items():
        for kind, items in share.items.items():
            if kind in _NAMED:
                plain, named = share.named[kind].plain, public[kind][server]
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
    shares: Mapping[str, Share],
    named: Mapping[Kind, Mapping[str, Target]],
    definitions: Mapping[Kind, Mapping[str, bytes]],
) -> Listing:
    templates = _addressed((share, share.of(Kind.TEMPLATES)) for share in shares.values())
    pages = _addressed((share, share.pages) for share in shares.values())
    listed = _addressed((share, share.of(Kind.RESOURCES)) for share in shares.values())
    patterns = [(Template(text), target) for text, target in templates.items()]
    patterns.sort(key=lambda each: each[0].weight, reverse=True)
    return Listing(
        upstreams=tuple(share.upstream for share in shares.values()),
        tools=named[Kind.TOOLS],
        prompts=named[Kind.PROMPTS],
        resources=pages | listed,
        templates=templates,
        patterns=tuple(patterns),
        definitions={kind: tuple(definitions[kind].values()) for kind in Kind},
        lists={kind: b"[" + b",".join(definitions[kind].values()) + b"]" for kind in Kind},
        instructions=_instructions(shares),
    )


def _instructions(shares: Mapping[str, Share]) -> str:
    """What servers have to say to the model, each under its name if there are several."""
    said = {
        name: share.lists.instructions
        for name, share in shares.items()
        if share.spec.enabled and share.spec.instructions and share.lists.instructions
    }
    if len(shares) == 1:
        return next(iter(said.values()), "")
    return "\n\n".join(f"# Server {name}\n\n{text}" for name, text in said.items())


def _addressed(addresses: Iterable[tuple[Share, Iterable[str]]]) -> dict[str, Target]:
    """Address -> the first server that has it."""
    targets: dict[str, Target] = {}
    for share, uris in addresses:
        for uri in uris:
            targets.setdefault(uri, Target(share.upstream, uri))
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


def _offered(spec: ServerSpec, lists: Lists) -> Mapping[Kind, Mapping[str, Item]]:
    """What a server offers by own name, tools filtered; of two with one name the first."""
    if not spec.enabled:
        return {}
    offered: dict[Kind, dict[str, Item]] = {}
    for kind in Kind:
        items = offered[kind] = {}
        for item in lists.of(kind):
            if kind is not Kind.TOOLS or _passes(item.name, spec.tools):
                items.setdefault(item.name, item)
    return offered


def _passes(tool: str, filters: ToolFilter) -> bool:
    return any(fnmatchcase(tool, glob) for glob in filters.allow) and not any(
        fnmatchcase(tool, glob) for glob in filters.deny
    )


def _rename(item: Item, name: str) -> bytes | None:
    """The definition under another name; None for one in which that is no matter of one key."""
    head = b'{"name":' + json.dumps(item.name).encode()
    definition = item.definition
    if definition.startswith((head + b",", head + b"}")) and rawjson.unique(definition):
        # As most are written; no other byte changes.
        return b'{"name":' + json.dumps(name).encode() + definition[len(head) :]
    try:
        return rawjson.splice(definition, {"name": rawjson.quoted(name)})
    except Malformed:
        return None
