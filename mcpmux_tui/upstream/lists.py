"""A server's tools: all pages, as received, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.channel import Lists, Tool
from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.model.jsonrpc import Malformed, Member
from mcpmux_tui.text import NAME_LIMIT, clean, one_line
from mcpmux_tui.upstream.limits import KIB, MIB, Limits

_SMALL = 256 * KIB
"""A page up to this size is read on the loop."""


async def fetch_tools(ask: Callable[[bytes], Awaitable[bytes]], limits: Limits) -> Lists:
    """All tools of a server; `ask` sends one `tools/list` with the given params.

    Raises what `ask` raises, and ConnectionLost for a page that is no list.
    """
    found = _Found(limits)
    cursor: str | None = None
    cursors: set[str] = set()
    for _ in range(limits.pages):
        page = await ask(b"{}" if cursor is None else b'{"cursor":%b}' % cursor.encode())
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
    return found.lists()


@dataclass
class _Found:
    limits: Limits
    tools: dict[str, Tool] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    left_out: int = 0
    """Tools for which there was no room; none is taken after the first of them."""
    _size: int = 0
    _values: int = 0
    _more: int = 0

    def add(self, page: bytes) -> str | None:
        """Take one page; the raw JSON of its next cursor. Raises ConnectionLost."""
        try:
            members = jsonrpc.parse_object(jsonrpc.decode(page))
            tools = members.get("tools")
            elements = jsonrpc.parse_array(tools.raw) if tools is not None else None
        except Malformed as error:
            raise ConnectionLost(f"its tool list could not be read: {error}") from error
        if elements is None:
            raise ConnectionLost("answered a tool list without tools")
        for element in elements:
            self._take(element)
        following = members.get("nextCursor")
        return None if following is None or following.value is None else following.raw

    def _take(self, element: Member) -> None:
        definition = element.value
        if not isinstance(definition, dict):
            return self.skip("A tool's definition is not an object.")
        name = definition.get("name")
        # Numbers come as a subclass of str.
        if type(name) is not str or not name:
            return self.skip("A tool has no name.")
        shown = one_line(name, NAME_LIMIT)
        if not _is_text(name):
            return self.skip(f"The name of tool {shown} is not valid text.")
        if name in self.tools:
            return self.skip(f"Tool {shown} is listed twice; the first one is used.")
        raw = element.raw.encode()
        if len(raw) > self.limits.definition:
            most = self.limits.definition // KIB
            return self.skip(f"The definition of tool {shown} is larger than {most} KiB.")
        try:
            jsonrpc.parse_object(element.raw)
        except Malformed as error:
            return self.skip(f"The definition of tool {shown} cannot be used: {error}.")
        if self.left_out or not self._fits(raw):
            self.left_out += 1
            return None
        description = definition.get("description")
        self.tools[name] = Tool(name, raw, clean(description) if type(description) is str else "")
        return None

    def _fits(self, raw: bytes) -> bool:
        self._size += len(raw)
        self._values += jsonrpc.values(raw)
        limits = self.limits
        return (
            len(self.tools) < limits.tools
            and self._size <= limits.definitions
            and self._values <= limits.values
        )

    def skip(self, sentence: str) -> None:
        """Say what is not used, and why."""
        if len(self.skipped) < self.limits.skipped:
            self.skipped.append(sentence)
        else:
            self._more += 1

    def lists(self) -> Lists:
        """What was found."""
        sentences = list(self.skipped)
        if self._more:
            sentences.append(f"{self._more} more definitions could not be used.")
        if self.left_out:
            count = f"{self.left_out} tool{'' if self.left_out == 1 else 's'}"
            most = f"{self.limits.tools} tools, {self.limits.definitions // MIB} MiB"
            sentences.append(
                f"The list is longer than mcpmux takes ({most}, {self.limits.values} values):"
                f" {count} and any later page are left out."
            )
        return Lists(tuple(self.tools.values()), tuple(sentences))


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
