"""Sessions at one server beside the one that everybody shares.

A 2025 session fixes the client's capabilities when it is opened: over HTTP each client that the
server may ask something has its own. A process speaks one era: at one that speaks 2026 the older
clients that can be asked share a second one. And some servers are to have a process per client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcpmux_tui.model.channel import Caller, Wishes
from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.upstream.limits import Limits

if TYPE_CHECKING:
    from mcpmux_tui.upstream.session import Session


@dataclass(slots=True, eq=False)
class _Personal:
    session: Session
    opening: asyncio.Task[None]
    last_used: float
    waiting: int = 0
    """Callers for whom it is being opened."""
    idle: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """Whether it is being opened, or open."""
        failed = self.opening.done() and (
            self.opening.cancelled() or self.opening.exception() is not None
        )
        return not failed and not self.session.lost_with.done()

    @property
    def busy(self) -> bool:
        """Whether a request is under way, or about to be."""
        return self.waiting > 0 or self.session.busy


class PersonalSessions:
    """Opened at a client's first call, by `make`; let go when idle."""

    def __init__(self, make: Callable[[Caller], Session], limits: Limits) -> None:
        self._make = make
        self._limits = limits
        self._sessions: dict[str, _Personal] = {}
        self._wishes = Wishes()
        self._closing: set[asyncio.Task[None]] = set()

    async def of(self, caller: Caller) -> Session:
        """The open session of this caller. Raises UpstreamError."""
        now = asyncio.get_running_loop().time()
        personal = self._sessions.get(caller.key)
        if personal is None or not personal.usable:
            self._drop(caller.key)
            self._make_room()
            personal = self._sessions[caller.key] = self._opened(caller, now)
        personal.last_used = now
        personal.waiting += 1
        try:
            # Not awaited itself: its end by a stop is no cancel of this caller.
            await asyncio.wait({personal.opening})
        finally:
            personal.waiting -= 1
        if personal.opening.cancelled():
            raise ConnectionLost("was stopped", "Try again.")
        personal.opening.result()
        return personal.session

    def wish(self, wishes: Wishes) -> None:
        """Have these servers, too, tell what clients want to hear."""
        self._wishes = wishes
        for personal in self._sessions.values():
            personal.session.wish(wishes)

    def forget(self, key: str) -> None:
        """That client is gone."""
        self._drop(key)

    async def close(self) -> None:
        """End them all."""
        for key in list(self._sessions):
            self._drop(key)
        if self._closing:
            await asyncio.wait(self._closing)

    def _opened(self, caller: Caller, now: float) -> _Personal:
        session = self._make(caller)
        session.wish(self._wishes)
        opening = asyncio.create_task(session.open_alone(), name="personal-session")
        personal = _Personal(session, opening, now)
        self._look_when_idle(caller.key, personal, self._limits.personal_idle)

        def lost(_: object) -> None:
            if self._sessions.get(caller.key) is personal:
                self._drop(caller.key)

        session.lost_with.add_done_callback(lost)
        return personal

    def _look_when_idle(self, key: str, personal: _Personal, wait: float) -> None:
        loop = asyncio.get_running_loop()

        def look() -> None:
            left = personal.last_used + self._limits.personal_idle - loop.time()
            if left > 0 or personal.busy:
                self._look_when_idle(key, personal, max(left, self._limits.ping))
            else:
                self._drop(key)

        personal.idle = loop.call_later(wait, look)

    def _make_room(self) -> None:
        """Let the one go that is idle longest, if need be. Raises ConnectionLost."""
        if len(self._sessions) < self._limits.personal:
            return
        idle = [key for key, each in self._sessions.items() if not each.busy]
        if not idle:
            raise ConnectionLost(
                f"serves {self._limits.personal} clients already, and all of them are busy",
                "Try again when one of them is done.",
            )
        self._drop(min(idle, key=lambda key: self._sessions[key].last_used))

    def _drop(self, key: str) -> None:
        if (personal := self._sessions.pop(key, None)) is not None:
            if personal.idle is not None:
                personal.idle.cancel()
            task = asyncio.create_task(_end(personal), name="personal-session-end")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _end(personal: _Personal) -> None:
    personal.opening.cancel()
    await asyncio.wait({personal.opening})
    await personal.session.close(ConnectionLost("was stopped", "Try again."))
