"""A file replaced in one step: at any moment it is old or new, and nobody's change is lost."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from mcpmux_tui.config.file import SIZE_LIMIT
from mcpmux_tui.model import textfile
from mcpmux_tui.model.errors import ConfigError
from mcpmux_tui.paths import shown

_DRAFT = "mcpmux-"


def update(path: Path, change: Callable[[bytes], bytes]) -> tuple[bytes, bytes]:
    """Put `change(content)` in the place of the content of `path`; a missing file is empty.

    A symbolic link stays one, and the file keeps its mode; a new one is private. Returns the
    content before and after. Raises ConfigError, and what `change` raises; the file is then as
    before. Blocks.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target.parent):
            _sweep(target)
            there = _read(target)
            before = there or b""
            after = change(before)
            if after != before:
                _replace(target, there, after)
            return before, after
    except OSError as error:
        raise ConfigError(
            f"{shown(path)} could not be written: {error.strerror}. It is as before.",
            "Check its permissions and the free space, then try again.",
            path=path,
        ) from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock against other mcpmux processes, where the file system has locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sweep(target: Path) -> None:
    """Remove drafts of saves that were cut short; under the lock none is still being written."""
    for draft in target.parent.glob(f".{glob.escape(target.name)}.{_DRAFT}*.tmp"):
        draft.unlink(missing_ok=True)


def _read(target: Path) -> bytes | None:
    try:
        return textfile.read_bytes(target, SIZE_LIMIT)
    except FileNotFoundError:
        return None


def _replace(target: Path, before: bytes | None, after: bytes) -> None:
    """Put `after` in the place of `before`, None where there is no file."""
    descriptor, name = tempfile.mkstemp(
        prefix=f".{target.name}.{_DRAFT}", suffix=".tmp", dir=target.parent
    )
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(after)
            file.flush()
            if before is not None:
                os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
            os.fsync(file.fileno())
        if _read(target) != before:
            raise ConfigError(
                f"{shown(target)} was changed by someone else at this moment; it is left so.",
                "Try again.",
                path=target,
            )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
