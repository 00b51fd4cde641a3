"""How a server's lists are kept fresh, and what clients want to hear of it is asked for.

Spec: 2025-11-25 basic/transports (the GET stream), server/resources (subscriptions); 2026-07-28
server/utilities/subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Protocol

from mcpmux_tui.model import rawjson
from mcpmux_tui.model.channel import Lists, Wishes
from mcpmux_tui.model.errors import RequestTimeout, RpcError, SignInRequired, UpstreamError
from mcpmux_tui.upstream.backoff import Backoff
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.lists import fetch
from mcpmux_tui.upstream.negotiation import Era, Peer
from mcpmux_tui.upstream.transport import Transport
from mcpmux_tui.upstream.troubles import SessionExpired, Unreachable

Listed = Callable[[Lists | None, UpstreamError | None, frozenset[str]], None]
"""Called with new lists, or with why they could not be refreshed, and with the capabilities whose
lists the server itself said have changed."""


class Connection(Protocol):
    """What is needed of the session."""

    @property
    def peer(self) -> Peer: ...

    @property
    def epoch(self) -> int:
        """How often a new 2025 session replaced an expired one."""
        ...

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a task until the session is closed."""
        ...

    async def ask(self, method: str, params: bytes, patience: float | None) -> bytes:
        """Send a request of mcpmux's own. Raises UpstreamError."""
        ...

    def suspect(self) -> None:
        """One request met a closed door: find out whether the server is gone for all."""
        ...

    async def check(self) -> None:
        """Ping, and end the session if the server is gone."""
        ...


class Changes:
    """Follows what a server announces; looks now and then where it announces nothing."""

    def __init__(
        self,
        connection: Connection,
        transport: Transport,
        *,
        limits: Limits,
        listed: Listed,
        note: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._limits = limits
        self._listed = listed
        self._note = note
        self._announced: set[str] = set()
        self._stale = asyncio.Event()
        self._wishes = Wishes()
        self._granted = Wishes()
        self._wished = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def _peer(self) -> Peer:
        return self._connection.peer

    def start(self) -> None:
        """Keep the lists fresh, and grant wishes, from now on."""
        if self._peer.kinds:
            self._connection.spawn(self._refresh())
        self._connection.spawn(self._grant_wishes())

    def watch(self) -> None:
        """Watch for changes from now on, on a connection that is not older than now."""
        if self._watching is not None:
            self._watching.cancel()
        if self._may_follow:
            self._watching = self._connection.spawn(self._watch_changes())

    def announce(self, capability: str) -> None:
        """The server says that one of its lists has changed."""
        self._announced.add(capability)
        self._stale.set()

    def missed(self) -> None:
        """The lists may not be what they were."""
        self._stale.set()

    def renewed(self) -> None:
        """A new 2025 session knows of no wish yet."""
        self._granted = Wishes()
        self._wished.set()
        self._stale.set()

    def wish(self, wishes: Wishes) -> None:
        """Have the server tell what clients want to hear from now on."""
        if wishes != self._wishes:
            listened = self._wishes.resources
            self._wishes = wishes
            self._wished.set()
            if self._peer.era is Era.MODERN and wishes.resources != listened:
                self.watch()

    async def fetch(self) -> Lists:
        """All that the server lists now. Raises UpstreamError."""

        async def page(method: str, params: bytes) -> bytes:
            return await self._connection.ask(method, params, self._limits.page)

        try:
            async with asyncio.timeout(self._limits.listing):
                found = await self._transport.learn(
                    await fetch(self._peer.kinds, page, self._limits)
                )
                return replace(
                    found,
                    capabilities=self._peer.capabilities,
                    instructions=self._peer.instructions,
                )
        except TimeoutError:
            raise RequestTimeout(
                f"its list was not complete after {self._limits.listing:g} s"
            ) from None

    async def _refresh(self) -> None:
        """Fetch the lists again whenever they may have changed: at once, then with pauses."""
        limits = self._limits
        backoff = Backoff(limits.retry_first, limits.retry_most, limits.jitter)
        while True:
            await self._stale.wait()
            self._stale.clear()
            announced = frozenset(self._announced)
            try:
                lists = await self.fetch()
                self._announced -= announced
                self._listed(lists, None, announced)
            except UpstreamError as error:
                self._listed(None, error, frozenset())
                self._stale.set()
                await asyncio.sleep(max(backoff.next(), error.retry_after or 0.0))
            else:
                backoff.reset()
                await asyncio.sleep(limits.refresh_pause)

    @property
    def _may_follow(self) -> bool:
        if self._peer.era is Era.MODERN:
            return bool(self._peer.announces or self._wishes.resources)
        return not self._transport.pushes

    async def _watch_changes(self) -> None:
        """Hear of changes from the server; from one that tells nothing, by looking now and then."""
        await self._follow()
        while self._peer.kinds:
            await asyncio.sleep(self._limits.relist)
            self._stale.set()

    async def _follow(self) -> None:
        """Hold the stream open on which the server announces changes, again and again."""
        limits = self._limits
        backoff = Backoff(limits.retry_first, limits.retry_most, limits.jitter)
        loop = asyncio.get_running_loop()
        while True:
            opened = loop.time()
            epoch = self._connection.epoch
            try:
                if not await self._stream():
                    return
            except RpcError as error:
                self._note(f"changes of its lists cannot be followed: {error.message}")
                return
            except SessionExpired:
                # Some servers mean by 404 that they have no such stream: a ping tells.
                await self._connection.check()
                if self._connection.epoch == epoch:
                    return
            except (Unreachable, SignInRequired):
                self._connection.suspect()
            except UpstreamError as error:
                self._note(f"the stream of its changes broke: {error.message}")
            if loop.time() - opened > limits.healthy:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _stream(self) -> bool:
        if self._peer.era is Era.LEGACY:
            return await self._transport.follow(self.following)
        wanted: dict[str, object] = {f"{each}ListChanged": True for each in self._peer.announces}
        if self._wishes.resources:
            wanted["resourceSubscriptions"] = sorted(self._wishes.resources)
        params = rawjson.dumps({"notifications": wanted})
        await self._connection.ask("subscriptions/listen", params, None)
        return True

    async def _grant_wishes(self) -> None:
        """Tell a 2025 server what clients want to hear, whenever that changes."""
        while True:
            await self._wished.wait()
            self._wished.clear()
            if self._peer.era is Era.MODERN:
                continue
            try:
                await self._grant(self._wishes)
            except UpstreamError as error:
                self._note(f"a subscription or log level was not accepted: {error.message}")

    async def _grant(self, wishes: Wishes) -> None:
        granted, self._granted = self._granted, wishes
        asked: list[tuple[str, dict[str, object]]] = []
        if "resources.subscribe" in self._peer.capabilities:
            for method, uris in (
                ("resources/subscribe", wishes.resources - granted.resources),
                ("resources/unsubscribe", granted.resources - wishes.resources),
            ):
                asked += [(method, {"uri": uri}) for uri in sorted(uris)]
        if "logging" in self._peer.capabilities and wishes.log_level not in {
            None,
            granted.log_level,
        }:
            asked.append(("logging/setLevel", {"level": wishes.log_level}))
        for method, params in asked:
            try:
                await self._connection.ask(method, rawjson.dumps(params), self._limits.page)
            except RpcError as error:
                self._note(f"{method} was refused: {error.message}")

    def following(self) -> None:
        """The stream of changes is open; what changed before went unheard."""
        if self._peer.announces:
            self._stale.set()
