"""Notices that a server has stopped answering: by a ping, when nothing was heard for a while.

While calls are under way, no missed ping counts, for their own silence limits rule: many servers do
one thing at a time. A call that was silent to its limit is a doubt, which pings settle.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from mcpmux_tui.model.errors import ConnectionLost, RequestTimeout, RpcError, UpstreamError
from mcpmux_tui.model.protocol import METHOD_NOT_FOUND
from mcpmux_tui.upstream.limits import Limits


class Liveness:
    """Watches one session; `run` ends when there is nothing more to find out."""

    def __init__(
        self,
        ping: Callable[[float], Awaitable[None]],
        *,
        busy: Callable[[], bool],
        late: Callable[[], None],
        lost: Callable[[UpstreamError], None],
        note: Callable[[str], None],
        limits: Limits,
    ) -> None:
        """`ping` sends one that may stay unanswered for some seconds; `late` is called when only
        a later one was answered: other connections to the server may be dead."""
        self._ping = ping
        self._busy = busy
        self._late = late
        self._lost = lost
        self._note = note
        self._limits = limits
        self._last = time.monotonic()
        self._doubted = asyncio.Event()
        self._woken = False

    def heard(self) -> None:
        """Something arrived from the server."""
        self._last = time.monotonic()

    def doubt(self) -> None:
        """A request stayed unanswered: find out at once."""
        self._doubted.set()

    def wake(self) -> None:
        """Connections may have died in a sleep of the machine: one short ping has to tell."""
        self._woken = True
        self._doubted.set()

    async def run(self) -> None:
        """Ping when it is time; report a server that does not answer."""
        while True:
            await self._due()
            doubted = self._doubted.is_set()
            patience, chances = self._limits.ping, self._limits.ping_misses
            if self._woken:
                patience, chances = self._limits.wake_ping, 1
            self._woken = False
            self._doubted.clear()
            try:
                answers = await self._answers(patience, chances)
            except RpcError as error:
                # An answer all the same.
                if error.code == METHOD_NOT_FOUND:
                    return self._note("knows no ping: only its calls tell whether it still answers")
            else:
                if not answers and (doubted or not self._busy()):
                    silent = patience * chances
                    return self._lost(
                        ConnectionLost(
                            f"stopped answering: no reply to a ping within {silent:g} s",
                            "It is being reconnected.",
                        )
                    )
            self.heard()

    async def _due(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait := self._last + self._limits.ping_after - loop.time()) > 0:
            try:
                async with asyncio.timeout(wait):
                    await self._doubted.wait()
                    return
            except TimeoutError:
                # Something may have been heard meanwhile.
                continue

    async def _answers(self, patience: float, chances: int) -> bool:
        for missed in range(chances):
            asked = asyncio.get_running_loop().time()
            try:
                await self._ping(patience)
            except RequestTimeout:
                if self._last > asked:
                    return True
            except RpcError:
                raise
            except UpstreamError:
                # Odd, or gone for all; the request itself has seen to that.
                return True
            else:
                if missed:
                    self._late()
                return True
        return False
