"""When the catalog is made anew, and when clients hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.ports import Upstream
from mcpmux_tui.proxy.catalog import Catalog, Listing, build


class LiveCatalog:
    """The current catalog: rebuilt when somebody looks after a change.

    `tell` is called for an endpoint (None: all servers) and a capability whose lists differ from
    those told last, or of which a server itself said so: at once, then at most once per `interval`
    seconds, and never dropped. A list that changed and changed back meanwhile is not worth a word.
    """

    def __init__(self, tell: Callable[[str | None, str], None], interval: float) -> None:
        self._tell = tell
        self._interval = interval
        self._upstreams: Mapping[str, Upstream] = {}
        self._catalog = Catalog()
        self._stale = False
        self._told = self._catalog
        self._told_at = float("-inf")
        self._announced: dict[str, frozenset[str]] = {}
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

    def changed(self, server: str = "", announced: frozenset[str] = frozenset()) -> None:
        """A list, a state or a spec is not what it was; `announced` are the capabilities whose
        lists the server itself said have changed."""
        if announced:
            self._announced[server] = self._announced.get(server, frozenset()) | announced
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
        announced, self._announced = self._announced, {}
        if before is now and not announced:
            return
        self._told = now
        for endpoint in (None, *now.servers):
            old, new = before.listing(endpoint) or Listing(), now.listing(endpoint)
            if new is None:
                continue
            said = frozenset[str]().union(
                *(of for server, of in announced.items() if endpoint in {None, server})
            )
            changed = {kind.capability for kind in Kind if old.lists[kind] != new.lists[kind]}
            for capability in sorted(changed | said):
                self._told_at = asyncio.get_running_loop().time()
                self._tell(endpoint, capability)
