"""A server's tools, prompts, resources and templates: all pages, as received, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from mcpmux_tui.model import rawjson
from mcpmux_tui.model.channel import Item, Kind, Lists
from mcpmux_tui.model.errors import ConnectionLost, RpcError
from mcpmux_tui.model.protocol import METHOD_NOT_FOUND
from mcpmux_tui.model.rawjson import Malformed, Member
from mcpmux_tui.text import NAME_LIMIT, clean, one_line
from mcpmux_tui.upstream.limits import KIB, MIB, Limits

_SMALL = 256 * KIB
"""A page up to this size is read on the loop."""


Ask = Callable[[str, bytes], Awaitable[bytes]]
"""Sends (method, params) and returns the raw result."""


async def fetch(kinds: Iterable[Kind], ask: Ask, limits: Limits) -> Lists:
    """All that a server lists of these kinds.

    Raises what `ask` raises, and ConnectionLost for a page that is no list. An error in answer to
    anything but `tools/list` costs that kind alone: some servers declare more than they have.
    """
    items: dict[Kind, tuple[Item, ...]] = {}
    skipped: list[str] = []
    for kind in kinds:
        try:
            found = await _fetch(kind, ask, limits)
        except RpcError as error:
            if kind is Kind.TOOLS:
                raise
            if error.code != METHOD_NOT_FOUND:
                skipped.append(f"Its {kind.noun}s could not be listed: {error.message}")
            continue
        items[kind] = tuple(found.items.values())
        skipped += found.sentences()
    return Lists(items, tuple(skipped))


def merged(first: Lists, others: Iterable[Lists]) -> Lists:
    """What several processes of one server list: of items with one name the first one's."""
    rest = tuple(others)
    items: dict[Kind, tuple[Item, ...]] = {}
    for kind in Kind:
        found: dict[str, Item] = {}
        for lists in (first, *rest):
            for item in lists.of(kind):
                found.setdefault(item.name, item)
        items[kind] = tuple(found.values())
    return replace(first, items=items) if rest else first


async def _fetch(kind: Kind, ask: Ask, limits: Limits) -> _Found:
    found = _Found(kind, limits)
    cursor: bytes | None = None
    cursors: set[bytes] = set()
    for _ in range(limits.pages):
        params = b"{}" if cursor is None else b'{"cursor":%b}' % cursor
        page = await ask(kind.method, params)
        if len(page) > _SMALL:
            cursor = await asyncio.to_thread(found.add, page)
        else:
            cursor = found.add(page)
        if cursor is None:
            break
        if cursor in cursors:
            found.skip("The list repeats one of its pages; what came so far is used.")
            break
        cursors.add(cursor)
        if found.left_out:
            break
    else:
        found.skip(f"The list has more than {limits.pages} pages; the rest is left out.")
    return found


@dataclass
class _Found:
    kind: Kind
    limits: Limits
    items: dict[str, Item] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    left_out: int = 0
    """Items for which there was no room; none is taken after the first of them."""
    _size: int = 0
    _values: int = 0
    _more: int = 0

    def add(self, page: bytes) -> bytes | None:
        """Take one page; the raw JSON of its next cursor. Raises ConnectionLost."""
        try:
            members = rawjson.parse_object(page)
            listed = members.get(self.kind.value)
            elements = rawjson.parse_array(listed.raw) if listed is not None else None
        except Malformed as error:
            raise ConnectionLost(f"its {self.kind.noun} list could not be read: {error}") from error
        if elements is None:
            raise ConnectionLost(f"answered a {self.kind.noun} list without {self.kind.noun}s")
        for element in elements:
            self._take(element)
        following = members.get("nextCursor")
        return None if following is None or following.value is None else following.raw

    def _take(self, element: Member) -> None:
        definition = element.value
        noun, key = self.kind.noun, self.kind.key
        if not isinstance(definition, dict):
            return self.skip(f"A {noun}'s definition is not an object.")
        name = definition.get(key)
        # Numbers come as a subclass of str.
        if type(name) is not str or not name:
            return self.skip(f"A {noun} has no {key}.")
        shown = one_line(name, NAME_LIMIT)
        if not _is_text(name):
            return self.skip(f"The {key} of {noun} {shown} is not valid text.")
        if name in self.items:
            return self.skip(f"{noun.capitalize()} {shown} is listed twice; the first one is used.")
        raw = element.raw
        if len(raw) > self.limits.definition:
            most = self.limits.definition // KIB
            return self.skip(f"The definition of {noun} {shown} is larger than {most} KiB.")
        try:
            if not rawjson.unique(raw):
                rawjson.parse_object(raw)
        except Malformed as error:
            return self.skip(f"The definition of {noun} {shown} cannot be used: {error}.")
        if self.left_out or not self._fits(raw):
            self.left_out += 1
            return None
        description = definition.get("description")
        self.items[name] = Item(name, raw, clean(description) if type(description) is str else "")
        return None

    def _fits(self, raw: bytes) -> bool:
        self._size += len(raw)
        self._values += rawjson.values(raw)
        limits = self.limits
        return (
            len(self.items) < limits.items
            and self._size <= limits.definitions
            and self._values <= limits.values
        )

    def skip(self, sentence: str) -> None:
        """Say what is not used, and why."""
        if len(self.skipped) < self.limits.skipped:
            self.skipped.append(sentence)
        else:
            self._more += 1

    def sentences(self) -> list[str]:
        """What is not used, and why."""
        sentences = list(self.skipped)
        if self._more:
            sentences.append(f"{self._more} more definitions could not be used.")
        if self.left_out:
            noun = self.kind.noun
            count = f"{self.left_out} {noun}{'' if self.left_out == 1 else 's'}"
            most = f"{self.limits.items} {noun}s, {self.limits.definitions // MIB} MiB"
            sentences.append(
                f"The list is longer than mcpmux takes ({most}, {self.limits.values} values):"
                f" {count} and any later page are left out."
            )
        return sentences


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
