"""What an earlier run left behind: found once, shown, and ended when a person says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from mcpmux_tui.upstream.children import Children

AFTER = 6.0
"""Seconds from the start to the look."""

_log = logging.getLogger(__name__)


class Leftovers:
    """`changed` is called when `found` is not what it was."""

    def __init__(self, children: Children, changed: Callable[[], None]) -> None:
        self.found: tuple[str, ...] = ()
        """The processes and containers, in words."""
        self._children = children
        self._changed = changed

    async def look(self) -> None:
        """Look for them, some time after the start."""
        # The watchdog of an engine that was killed just now may still be at its work.
        await asyncio.sleep(AFTER)
        self.found = await asyncio.to_thread(self._children.leftovers)
        if self.found:
            _log.warning("left behind by an earlier run: %s", ", ".join(self.found))
            self._changed()

    async def end(self) -> None:
        """End them, in bounded time."""
        await asyncio.to_thread(self._children.end_leftovers)
        self.found = await asyncio.to_thread(self._children.leftovers)
        self._changed()
