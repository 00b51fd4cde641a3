"""Requests under way: their ids, the silence each may last, and their common end."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from mcpmux_tui.model.channel import Client
from mcpmux_tui.model.errors import ConnectionLost, NotConnected, RequestTimeout
from mcpmux_tui.model.params import token_in, with_token
from mcpmux_tui.model.protocol import PROGRESS


@dataclass(eq=False, slots=True)
class Call:
    """One request that waits for its answer, as long as its block lasts.

    Raises there RequestTimeout, and ConnectionLost when it was failed.
    """

    id: bytes
    method: str
    patience: float
    """Seconds it may be silent."""
    cap: float | None
    """Seconds it may last however lively."""
    end: float
    """When that is over, in the loop's time."""
    due: float
    """When it is over as it stands."""
    progress_token: bytes | None
    calls: Calls
    client: Client | None = None
    """Who hears of it meanwhile."""
    failure: ConnectionLost | None = None
    questions: int = 0
    """What its server waits for just now; meanwhile its silence is no sign of anything."""
    task: asyncio.Task[object] | None = None
    over: bool = False
    """Its task was told that nothing will come."""
    cancelling: int = 0

    def __enter__(self) -> Call:
        self.task = asyncio.current_task(self.calls.loop)
        if self.task is None:
            raise RuntimeError("a call needs a task")
        self.cancelling = self.task.cancelling()
        self.calls.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.calls.discard(self)
        if not self.over or self.task is None or self.task.uncancel() > self.cancelling:
            return
        if kind is None or not issubclass(kind, asyncio.CancelledError):
            return
        if self.failure is not None:
            raise self.failure from None
        if self.calls.loop.time() >= self.end:
            raise RequestTimeout(
                f"{self.method} did not end within {self.cap:g} s",
                "Its entry's `deadlines.call` sets how many seconds a call may last.",
            ) from None
        raise RequestTimeout(
            f"no answer to {self.method} within {self.patience:g} s",
            "Its entry's `timeout` sets how many seconds a call may be silent.",
        ) from None

    def heard(self) -> None:
        """Something of its answer arrived."""
        self.alive()
        self.calls.heard()

    def alive(self) -> None:
        """Start its silence anew."""
        silent = self.calls.loop.time() + self.patience
        self.due = self.end if self.questions else min(silent, self.end)
        self.calls.watch(self.due)

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
        if not self.over:
            self.failure = error
            self.expire()

    def expire(self) -> None:
        """End its wait."""
        if not self.over and self.task is not None:
            self.over = True
            self.task.cancel()


class Turns:
    """How many calls one server works on at once; others wait in order."""

    def __init__(self, at_once: int, queue: int) -> None:
        self._at_once = at_once
        self._queue = queue
        self._free = at_once
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a turn if one is free; `leave` must follow."""
        if self._free:
            self._free -= 1
            return True
        return False

    async def come(self) -> None:
        """Wait for a turn; `leave` must follow. Raises NotConnected where too many wait."""
        if self.take():
            return
        if len(self._waiting) >= self._queue:
            raise NotConnected(
                f"is busy: {self._at_once} calls are under way and {len(self._waiting)} wait",
                "Try again later; `concurrency` of its entry says how many it works on at once.",
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave()  # it had just come
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def leave(self) -> None:
        """Hand the turn on."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Calls:
    """All requests of one session, and one timer for all: most never need it."""

    def __init__(self, heard: Callable[[], None]) -> None:
        """`heard` is called when something of an answer arrives before its end."""
        self.heard = heard
        self.loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._waiting: dict[bytes, Call] = {}
        self._one_less = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def begin(
        self,
        method: str,
        patience: float | None,
        cap: float | None,
        token: bytes | None,
        client: Client | None,
    ) -> Call:
        """One request: at most `cap` seconds, `patience` in silence."""
        now = self.loop.time()
        silence = math.inf if patience is None else patience
        end = math.inf if cap is None else now + cap
        due = min(now + silence, end)
        return Call(b"%d" % next(self._ids), method, silence, cap, end, due, token, self, client)

    def add(self, call: Call) -> None:
        """It waits from now on."""
        self._waiting[call.id] = call
        self.watch(call.due)

    def discard(self, call: Call) -> None:
        """It does not wait any more."""
        self._waiting.pop(call.id, None)
        self._one_less.set()

    def watch(self, due: float) -> None:
        """Look at all calls at that time, or before."""
        if due != math.inf and (self._timer is None or self._timer.when() > due):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(due, self._look)

    def close(self) -> None:
        """Leave no timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now = self.loop.time()
        for call in list(self._waiting.values()):
            if call.due <= now:
                call.expire()
            else:
                self.watch(call.due)

    def progress(self, params: bytes) -> None:
        """A progress notification: the call it names is alive, and its client hears of it.

        A server is given a call's own id as the token, so tokens of two clients never meet.
        """
        token = token_in(params)
        call = self._waiting.get(token) if token is not None else None
        if call is None or call.progress_token is None:
            return
        call.alive()
        if call.client is not None:
            own = with_token(params, call.progress_token)
            call.client.notified(PROGRESS, own)

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
