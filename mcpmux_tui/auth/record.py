"""One server's vault item, and the lock that tasks, threads and processes take around its use.

A refresh token that rotates is good once; who sends it a second time has the whole family revoked.
So it is read, used and replaced under the lock, and read anew each time.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from mcpmux_tui.auth.grant import Grant, item
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.ports import Secrets
from mcpmux_tui.paths import private_dir

_log = logging.getLogger(__name__)
_FOLDER: Final = "sign-in"
_LOOK: Final = 0.05
"""Seconds between two looks whether the lock is free."""


class Busy(McpmuxError):
    """Another process has held the lock for too long."""


class Record:
    """The grant of one server in the vault. `folder` is the instance's state folder."""

    def __init__(
        self, server: str, *, secrets: Secrets, folder: Path, limits: Limits | None = None
    ) -> None:
        self.server = server
        self._secrets = secrets
        self._item = item(server)
        self._path = folder / _FOLDER / f"{server}.lock"
        self._limits = limits or Limits()

    async def read(self, *, fresh: bool = False) -> Grant | None:
        """What is kept; `fresh`: as it is now, not as it was cached. Raises VaultError."""
        text = await self._secrets.read(self._item, fresh=fresh)
        return None if text is None else Grant.parse(text, self.server)

    async def write(self, grant: Grant) -> None:
        """Keep `grant`. Raises VaultError."""
        await self._secrets.write(self._item, grant.to_item())

    async def delete(self) -> None:
        """Keep nothing. Raises VaultError."""
        await self._secrets.delete(self._item)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the lock. Raises Busy."""
        descriptor = await self._take()
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def remove_lock(self) -> None:
        """Remove the lock's file: the last thing to do while it is held."""
        with suppress(OSError):
            self._path.unlink()

    async def _take(self) -> int | None:
        try:
            async with asyncio.timeout(self._limits.lock):
                while True:
                    # In a thread: a network disk may keep it waiting. No thread is held between.
                    trying = asyncio.ensure_future(asyncio.to_thread(_try, self._path))
                    try:
                        descriptor = await asyncio.shield(trying)
                    except asyncio.CancelledError:
                        trying.add_done_callback(_let_go)
                        raise
                    if descriptor is not None:
                        return descriptor
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise Busy(
                f"Another mcpmux has been busy with the sign-in to {self.server} for"
                f" {self._limits.lock:g} s.",
                "Try again; if it stays so, end that process.",
            ) from None
        except OSError as error:
            # Some file systems have no locks; without one, one process works as well.
            _log.warning("%s cannot be locked: %s", self._path, error.strerror)
            return None


def _try(path: Path) -> int | None:
    """Take the lock if it is free; None if it is not. Raises OSError."""
    private_dir(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is(descriptor, path):
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is(descriptor: int, path: Path) -> bool:
    """Whether `path` still names the open file: who forgets a server removes it."""
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return stat.S_ISREG(here.st_mode) and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _let_go(trying: asyncio.Future[int | None]) -> None:
    if not trying.cancelled() and trying.exception() is None:
        descriptor = trying.result()
        if descriptor is not None:
            os.close(descriptor)
