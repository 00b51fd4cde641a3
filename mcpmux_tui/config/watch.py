"""Notice of changes to one file, whatever an editor does to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path

_log = logging.getLogger(__name__)

_DEBOUNCE_MS = 400
_QUIET_MS = 50
_LOOK_MS = 1_000

_Stamp = tuple[int, int, int, int] | None


async def changes(path: Path) -> AsyncIterator[None]:
    """Yield at once, then each time the content of `path` may have changed, until cancelled.

    From the first on no change is missed: who reads the file at each has always the last one.
    The file may come later, go, be replaced, and be or become a symbolic link; so may its folder.
    Once a second it is looked at without any notice, for file systems that send none.
    """
    seen = await asyncio.to_thread(_stamp, path)
    yield
    async with contextlib.aclosing(_notices(path)) as notices:
        async for _ in notices:
            now = await asyncio.to_thread(_stamp, path)
            if now != seen:
                seen = now
                yield


async def _notices(path: Path) -> AsyncGenerator[None]:
    awatch = await asyncio.to_thread(_awatch)
    while True:
        folders = await asyncio.to_thread(_folders, path)
        watching = awatch(
            *(folder for folder, _ in folders),
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_QUIET_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        )
        try:
            async with contextlib.aclosing(watching):
                async for _ in watching:
                    yield
                    if await asyncio.to_thread(_folders, path) != folders:
                        break
        except (OSError, RuntimeError) as error:
            # The folder went this moment, or the system has no watches left (watchfiles' own
            # RuntimeError): looking still works.
            _log.debug("no notices for %s: %s", path, error)
            await asyncio.sleep(_LOOK_MS / 1_000)
            yield


def _awatch() -> Callable[..., AsyncGenerator[object]]:
    """Imports watchfiles, which takes a while."""
    from watchfiles import awatch

    return awatch


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _folders(path: Path) -> frozenset[tuple[Path, int]]:
    """The folders to watch, with their inodes: of the path and of what it leads to."""
    places = [path.absolute()]
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: links in a circle
        places.append(path.resolve())
    nearest = (_existing(place.parent) for place in places)
    return frozenset((folder, _inode(folder)) for folder in nearest)


def _existing(folder: Path) -> Path:
    # Path.is_dir raises where a folder above may not be entered.
    return next(each for each in (folder, *folder.parents) if os.path.isdir(each))  # noqa: PTH112


def _inode(folder: Path) -> int:
    try:
        return folder.stat().st_ino
    except OSError:
        return 0
