"""Sessions at one 2025 server over HTTP, each for one client that the server may ask something.

A session of that era fixes the client's capabilities when it is opened, so clients with different
ones cannot share it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.upstream.limits import Limits

if TYPE_CHECKING:
    from mcpmux_tui.upstream.session import Session


@dataclass(slots=True, eq=False)
class _Personal:
    session: Session
    opening: asyncio.Task[None]
    last_used: float

    @property
    def usable(self) -> bool:
        """Whether it is being opened, or open."""
        failed = self.opening.done() and (
            self.opening.cancelled() or self.opening.exception() is not None
        )
        return not failed and not self.session.lost_with.done()


class PersonalSessions:
    """Opened at a client's first call, by `make`; let go when idle."""

    def __init__(self, make: Callable[[Caller], Session], limits: Limits) -> None:
        self._make = make
        self._limits = limits
        self._sessions: dict[str, _Personal] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def of(self, caller: Caller) -> Session:
        """The open session of this caller. Raises UpstreamError."""
        now = asyncio.get_running_loop().time()
        personal = self._sessions.get(caller.key)
        if personal is None or not personal.usable:
            self._drop(caller.key)
            self._make_room(now)
            session = self._make(caller)
            opening = asyncio.create_task(session.open_alone(), name="personal-session")
            personal = self._sessions[caller.key] = _Personal(session, opening, now)
        personal.last_used = now
        # Not awaited itself: its end by a stop is no cancel of this caller.
        await asyncio.wait({personal.opening})
        if personal.opening.cancelled():
            raise ConnectionLost("was stopped", "Try again.")
        personal.opening.result()
        return personal.session

    def forget(self, key: str) -> None:
        """That client is gone."""
        self._drop(key)

    async def close(self) -> None:
        """End them all."""
        for key in list(self._sessions):
            self._drop(key)
        if self._closing:
            await asyncio.wait(self._closing)

    def _make_room(self, now: float) -> None:
        since = now - self._limits.personal_idle
        idle = [key for key, each in self._sessions.items() if not each.session.busy]
        idle.sort(key=lambda key: self._sessions[key].last_used)
        for key in idle:
            full = len(self._sessions) >= self._limits.personal
            if full or self._sessions[key].last_used < since:
                self._drop(key)

    def _drop(self, key: str) -> None:
        if (personal := self._sessions.pop(key, None)) is not None:
            task = asyncio.create_task(_end(personal), name="personal-session-end")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _end(personal: _Personal) -> None:
    personal.opening.cancel()
    await asyncio.wait({personal.opening})
    await personal.session.close(ConnectionLost("was stopped", "Try again."))
