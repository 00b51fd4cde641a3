"""Notices that a server has stopped answering: by a ping, when nothing was heard for a while.

While calls are under way, their own silence limits rule: many servers do one thing at a time and
answer no ping meanwhile. A call that was silent to its limit is a doubt, which a ping settles.
"""

from __future__ import annotations

import asyncio
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
        remote: bool,
        busy: Callable[[], bool],
        late: Callable[[], None],
        lost: Callable[[UpstreamError], None],
        limits: Limits,
    ) -> None:
        """`ping` sends one that may stay unanswered for some seconds; `late` is called when only
        a later one was answered: other connections to the server may be dead."""
        self._ping = ping
        self._remote = remote
        self._busy = busy
        self._late = late
        self._lost = lost
        self._limits = limits
        self._last = asyncio.get_running_loop().time()
        self._doubted = asyncio.Event()
        self._woken = False

    def heard(self) -> None:
        """Something arrived from the server."""
        self._last = asyncio.get_running_loop().time()

    def doubt(self) -> None:
        """A request stayed unanswered: find out at once."""
        self._doubted.set()

    def wake(self) -> None:
        """The machine was asleep: connections to other machines may be dead."""
        self._woken = True
        self._doubted.set()

    async def run(self) -> None:
        """Ping when it is time; report a server that does not answer."""
        while True:
            await self._due()
            if self._busy() and not self._doubted.is_set():
                self.heard()
                continue
            patience, chances = self._limits.ping, self._limits.ping_misses
            if self._woken and self._remote:
                patience, chances = self._limits.wake_ping, 1
            self._woken = False
            self._doubted.clear()
            try:
                if not await self._answers(patience, chances):
                    silent = patience * chances
                    return self._lost(
                        ConnectionLost(
                            f"stopped answering: no reply to a ping within {silent:g} s",
                            "It is being started again.",
                        )
                    )
            except RpcError as error:
                # An answer all the same; who knows no ping is not asked again.
                if error.code == METHOD_NOT_FOUND:
                    return None
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
