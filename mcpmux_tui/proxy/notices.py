"""When the catalog is made anew, and when clients hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from mcpmux_tui.model.ports import Upstream
from mcpmux_tui.proxy.catalog import Catalog, build


class LiveCatalog:
    """The current catalog: rebuilt when somebody looks after a change.

    `tell` is called for an endpoint (None: all servers) whose list differs from the one told
    last: at once, then at most once per `interval` seconds, and never dropped. A list that
    changed and changed back meanwhile is not worth a word.
    """

    def __init__(self, tell: Callable[[str | None], None], interval: float) -> None:
        self._tell = tell
        self._interval = interval
        self._upstreams: Mapping[str, Upstream] = {}
        self._catalog = Catalog()
        self._stale = False
        self._told = self._catalog
        self._told_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def current(self) -> Catalog:
        """The catalog as of now."""
        if self._stale:
            self._catalog = build(self._upstreams, self._catalog)
            self._stale = False
        return self._catalog

    def replace(self, upstreams: Mapping[str, Upstream]) -> None:
        """These are the servers now, in this order."""
        self._upstreams = dict(upstreams)
        self.changed()

    def changed(self) -> None:
        """A list, a state or a spec is not what it was."""
        self._stale = True
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait = max(0.0, self._told_at + self._interval - loop.time())
            self._timer = loop.call_later(wait, self._flush)

    def close(self) -> None:
        """Say nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        self._timer = None
        before, now = self._told, self.current
        if before is now:
            return
        self._told = now
        for endpoint in (None, *now.servers):
            old, new = before.listing(endpoint), now.listing(endpoint)
            if new is not None and (old is None or old.tools != new.tools):
                self._told_at = asyncio.get_running_loop().time()
                self._tell(endpoint)
