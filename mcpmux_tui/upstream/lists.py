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
from mcpmux_tui.upstream.limits import KIB, Limits

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
        if len(found.tools) >= limits.tools:
            found.skip(f"The list is longer than {limits.tools} tools; the rest is left out.")
            break
    else:
        found.skip(f"The list has more than {limits.pages} pages; the rest is left out.")
    return found.lists()


@dataclass
class _Found:
    limits: Limits
    tools: dict[str, Tool] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
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
        if len(self.tools) < self.limits.tools:
            description = definition.get("description")
            self.tools[name] = Tool(
                name,
                element.raw.encode(),
                clean(description) if type(description) is str else "",
            )
        return None

    def skip(self, sentence: str) -> None:
        """Say what is not used, and why."""
        if len(self.skipped) < self.limits.skipped:
            self.skipped.append(sentence)
        else:
            self._more += 1

    def lists(self) -> Lists:
        """What was found."""
        more = (f"{self._more} more definitions could not be used.",) if self._more else ()
        return Lists(tuple(self.tools.values()), (*self.skipped, *more))


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
