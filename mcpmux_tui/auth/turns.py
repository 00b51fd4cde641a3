"""After a sleep or a start, many servers would ask the same authorization server at once."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from mcpmux_tui.auth.limits import Limits


class Turns:
    """At most `limits.turns` renewals at once for each host. One for all servers of an engine."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._most = (limits or Limits()).turns
        self._hosts: dict[str, asyncio.Semaphore] = {}

    def at(self, url: str) -> asyncio.Semaphore:
        """What to hold during a renewal at the host of `url`."""
        host = urlsplit(url).netloc.lower()
        return self._hosts.setdefault(host, asyncio.Semaphore(self._most))
