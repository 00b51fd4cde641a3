"""Which addresses a server's resource template stands for (RFC 6570)."""

from __future__ import annotations

import re
from typing import Final

_EXPRESSION: Final = re.compile(r"\{[^{}]*\}")


class Template:
    """A resource template as a pattern: each expression stands for any text.

    The server judges the address itself; here only the server is found that it is meant for. The
    match is one pass over the address, whatever the template looks like.
    """

    __slots__ = ("_first", "_last", "_middle", "weight")

    def __init__(self, text: str) -> None:
        parts = _EXPRESSION.split(text)
        self._first, *middle = parts
        self._last = middle.pop() if middle else None
        self._middle = tuple(middle)
        self.weight = (len(self._first), sum(map(len, parts)))
        """The more of the address it fixes, the heavier."""

    def matches(self, uri: str) -> bool:
        """Whether the address may come from this template."""
        if self._last is None:
            return uri == self._first
        end = len(uri) - len(self._last)
        at = len(self._first)
        if at > end or not uri.startswith(self._first) or not uri.endswith(self._last):
            return False
        for part in self._middle:
            at = uri.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True
