"""Requests under way: their ids, the silence each may last, and their common end."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.channel import Client
from mcpmux_tui.model.errors import ConnectionLost, NotConnected, RequestTimeout
from mcpmux_tui.model.protocol import PROGRESS


@dataclass(eq=False, slots=True)
class Call:
    """One request that waits for its answer."""

    id: bytes
    patience: float
    """Seconds it may be silent."""
    end: float
    """When it is over however lively, in the loop's time."""
    progress_token: str | None
    clock: asyncio.Timeout
    client: Client | None = None
    """Who hears of it meanwhile."""
    failure: ConnectionLost | None = None
    questions: int = 0
    """What its server waits for just now; meanwhile its silence is no sign of anything."""

    def alive(self) -> None:
        """Start its silence anew."""
        if not self.clock.expired():
            silent = asyncio.get_running_loop().time() + self.patience
            self.clock.reschedule(self.end if self.questions else min(silent, self.end))

    @contextmanager
    def questioned(self) -> Iterator[None]:
        """Its server waits for an answer as long as the block lasts."""
        self.questions += 1
        self.alive()
        try:
            yield
        finally:
            self.questions -= 1
            self.alive()

    def fail(self, error: ConnectionLost) -> None:
        """End its wait with `error`."""
        if not self.clock.expired():
            self.failure = error
            self.clock.reschedule(asyncio.get_running_loop().time())


class Turns:
    """How many calls one server works on at once; others wait in order."""

    def __init__(self, at_once: int, queue: int) -> None:
        self._at_once = at_once
        self._queue = queue
        self._free = asyncio.Semaphore(at_once)
        self._waiting = 0

    async def __aenter__(self) -> None:
        """Wait for a turn. Raises NotConnected where too many do."""
        if self._free.locked() and self._waiting >= self._queue:
            raise NotConnected(
                f"is busy: {self._at_once} calls are under way and {self._waiting} wait",
                "Try again later; `concurrency` of its entry says how many it works on at once.",
            )
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._free.release()


class Calls:
    """All requests of one session."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._waiting: dict[bytes, Call] = {}
        self._one_less = asyncio.Event()

    @asynccontextmanager
    async def begin(
        self,
        method: str,
        patience: float | None,
        cap: float | None,
        token: str | None,
        client: Client | None,
    ) -> AsyncIterator[Call]:
        """One request, as long as the block lasts: at most `cap` seconds, `patience` in silence.

        Raises RequestTimeout, and ConnectionLost when all were failed.
        """
        now = asyncio.get_running_loop().time()
        silence = math.inf if patience is None else patience
        end = math.inf if cap is None else now + cap
        clock = asyncio.timeout_at(min(now + silence, end))
        call = Call(b"%d" % next(self._ids), silence, end, token, clock, client)
        try:
            async with clock:
                self._waiting[call.id] = call
                yield call
        except TimeoutError:
            if call.failure is not None:
                raise call.failure from None
            if asyncio.get_running_loop().time() >= end:
                raise RequestTimeout(
                    f"{method} did not end within {cap:g} s",
                    "Its entry's `deadlines.call` sets how many seconds a call may last.",
                ) from None
            raise RequestTimeout(
                f"no answer to {method} within {patience:g} s",
                "Its entry's `timeout` sets how many seconds a call may be silent.",
            ) from None
        finally:
            self._waiting.pop(call.id, None)
            self._one_less.set()

    def progress(self, params: bytes) -> None:
        """A progress notification: the call it names is alive, and its client hears of it.

        A server is given a call's own id as the token, so tokens of two clients never meet.
        """
        token = progress_token(params)
        call = self._waiting.get(token.encode()) if token is not None else None
        if call is None or call.progress_token is None:
            return
        call.alive()
        if call.client is not None:
            own = jsonrpc.splice(params.decode(), {"progressToken": call.progress_token})
            call.client.notified(PROGRESS, own.encode())

    def about(self, raw_id: bytes | None) -> list[Call]:
        """The calls that a message of the server may belong to, one for each client.

        `raw_id` is the call in whose answer it came, None where the connection does not tell.
        """
        if raw_id is not None:
            call = self._waiting.get(raw_id)
            return [] if call is None or call.client is None else [call]
        newest = {
            id(call.client.owner or call.client): call
            for call in self._waiting.values()
            if call.client is not None
        }
        return list(newest.values())

    def fail_all(self, error: ConnectionLost) -> None:
        """End every wait with `error`."""
        for call in self._waiting.values():
            call.fail(error)

    async def drained(self) -> None:
        """Wait until no request is under way."""
        while self._waiting:
            self._one_less.clear()
            await self._one_less.wait()


def progress_token(params: bytes, *path: str) -> str | None:
    """The raw `progressToken` below a path of keys, or None."""
    if b'"progressToken"' not in params:
        return None
    token = jsonrpc.member(params, *path, "progressToken")
    return None if token is None else token.raw
