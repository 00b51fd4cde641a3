"""The one interface to kept secrets: async, cached, in bounded time.

Backends block, ask the person to unlock them, or hang (SECURITY F2): each call runs in a thread of
its own, one at a time, and one that does not come back is given up with its thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.vault.backend import Backend
from mcpmux_tui.vault.index import Index

T = TypeVar("T")
Task = Callable[[], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds; tests scale them."""

    call: float = 5.0
    """One call to the keyring."""
    prompt: float = 30.0
    """The same where a dialog may ask the person to unlock it."""
    stuck: int = 3
    """Calls that never came back, after which no more are made."""


class Vault:
    """Implements Secrets. `make` finds the backend; it runs in the thread, at the first use."""

    def __init__(
        self,
        make: Callable[[], Backend],
        index: Index,
        *,
        limits: Limits | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._make = make
        self.index = index
        self._limits = limits or Limits()
        dialogs = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
        self._patience = self._limits.prompt if dialogs else self._limits.call
        self._backend: Backend | None = None
        self._cache: dict[str, str | None] = {}
        self._changes: Counter[str] = Counter()
        """How often each item was written or deleted here."""
        self._reading: dict[str, asyncio.Future[str | None]] = {}
        self._thread = _Thread()
        self._stuck = 0

    @property
    def _shaky(self) -> bool:
        return self._backend is not None and not self._backend.lasting

    @property
    def passing(self) -> str:
        """Why what is written now does not outlive this process; empty where it does, and before
        the first use."""
        return "" if self._backend is None or self._backend.lasting else self._backend.name

    def passing_names(self, prefix: str) -> tuple[str, ...]:
        """Without the prefix, the names of what is used here and does not outlive this process."""
        if not self._shaky:
            return ()
        return tuple(
            item.removeprefix(prefix)
            for item, value in self._cache.items()
            if value is not None and item.startswith(prefix)
        )

    async def keeps(self) -> str:
        """What keeps values over restarts, for people; empty where nothing does.

        Raises VaultError.
        """
        return await self._call(lambda backend: backend.name if backend.lasting else "")

    async def read(self, item: str, *, fresh: bool = False) -> str | None:
        """The value, None where there is none; `fresh`: as it is now, not as it was cached.

        Many who ask at once share one call. Raises VaultError.
        """
        if not fresh and item in self._cache:
            return self._cache[item]
        # A keyring is not unlocked, nor even looked for, for what was never kept.
        if not self._shaky and not await asyncio.to_thread(self.index.has, item):
            return None
        if not fresh and item in self._cache:
            # Another one has read it meanwhile.
            return self._cache[item]
        reading = self._reading.get(item)
        if reading is None or fresh:
            reading = asyncio.ensure_future(self._call(lambda backend: backend.get(item)))
            self._reading[item] = reading
            changes = self._changes[item]
            reading.add_done_callback(lambda done: self._have_read(item, changes, done))
        # Who asked may leave; the others still wait.
        return await asyncio.shield(reading)

    async def write(self, item: str, value: str) -> None:
        """Keep a value. Where that fails it is used until the end all the same.

        Raises VaultError.
        """
        self._want(item, value)

        def write(backend: Backend) -> None:
            backend.set(item, value)
            if backend.lasting:
                self.index.add(item)

        await self._call(write, item)

    async def delete(self, item: str) -> None:
        """Keep it no longer. Where that fails it is not used any more all the same.

        Raises VaultError.
        """
        self._want(item, None)

        def delete(backend: Backend) -> None:
            backend.delete(item)
            self.index.remove(item)

        await self._call(delete, item)

    def close(self) -> None:
        """Let the thread end once it is idle; nobody waits for one that is stuck."""
        self._thread.end()

    def _want(self, item: str, value: str | None) -> None:
        self._cache[item] = value
        self._changes[item] += 1

    def _have_read(self, item: str, changes: int, reading: asyncio.Future[str | None]) -> None:
        if self._reading.get(item) is reading:
            del self._reading[item]
        # What was written meanwhile is newer.
        fresh = self._changes[item] == changes
        if fresh and not reading.cancelled() and reading.exception() is None:
            self._cache[item] = reading.result()

    def _as_wanted(self, item: str) -> Task:
        """Have the backend hold what it should by now: a call that was given up has changed it."""

        def work() -> None:
            value = self._cache.get(item)
            try:
                if self._backend is not None and value is not None:
                    self._backend.set(item, value)
                elif self._backend is not None:
                    self._backend.delete(item)
            except VaultError as error:
                _log.warning("%s may not be kept as it is: %s", item, error)

        return work

    async def _call(self, act: Callable[[Backend], T], changed: str = "") -> T:
        """What `act` returns; `changed` is the item it changes."""
        if self._stuck >= self._limits.stuck:
            raise _silent(self._patience)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        thread = self._thread

        def work() -> None:
            try:
                if self._backend is None:
                    self._backend = self._make()
                result = act(self._backend)
            except VaultError as error:
                _hand_over(loop, answer, error)
            except Exception as error:  # noqa: BLE001 - the thread's edge: the caller has to know
                _hand_over(loop, answer, VaultError(_stumbled(error), trouble="refused"))
            else:
                _hand_over(loop, answer, None, result)
            if changed and thread is not self._thread:
                self._thread.do(self._as_wanted(changed))

        thread.do(work)
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(answer)
        except TimeoutError:
            answer.cancel()
            if thread is self._thread:
                # Those that wait behind it go on in another thread.
                self._stuck += 1
                self._thread = thread.abandoned()
                _log.warning("a call to the keyring did not come back and is given up")
            raise _silent(self._patience) from None


class _Thread:
    """Does one thing after another, and keeps no process from ending."""

    def __init__(self, tasks: queue.SimpleQueue[Task | None] | None = None) -> None:
        self._tasks: queue.SimpleQueue[Task | None] = tasks or queue.SimpleQueue()
        self._left = False
        self._started = False

    def do(self, task: Task) -> None:
        """Do it when its turn comes."""
        self._tasks.put(task)
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name="vault", daemon=True).start()

    def abandoned(self) -> _Thread:
        """Another thread for what waits, as this one is stuck."""
        self._left = True
        successor = _Thread(self._tasks)
        if not self._tasks.empty():
            successor.do(lambda: None)
        return successor

    def end(self) -> None:
        """No more will come."""
        self._tasks.put(None)

    def _run(self) -> None:
        while not self._left and (task := self._tasks.get()) is not None:
            task()


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[T],
    error: VaultError | None,
    result: T | None = None,
) -> None:
    def settle() -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop was closed meanwhile: nobody waits any more.
        return


def _silent(seconds: float) -> VaultError:
    return VaultError(
        f"The keyring did not answer within {seconds:g} s.",
        "Look whether a window asks you to unlock it; then retry.",
        "silent",
    )


def _stumbled(error: Exception) -> str:
    return f"mcpmux itself stumbled over the keyring ({type(error).__name__})."
