"""Values in a plain file that only this user reads: the user's own choice, never a fall-back."""

from __future__ import annotations

import fcntl
import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import tomli_w

from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.paths import shown

T = TypeVar("T")
_NOFOLLOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC


class PlainFile:
    """Implements Backend. Several processes take turns at it."""

    lasting = True

    def __init__(self, path: Path) -> None:
        self.name = "plain file, by your own choice"
        self._path = path

    def get(self, item: str) -> str | None:
        return _in_our_words(self._path, self._read).get(item)

    def set(self, item: str, value: str) -> None:
        def change(values: dict[str, str]) -> None:
            values[item] = value

        self._change(change)

    def delete(self, item: str) -> None:
        self._change(lambda values: values.pop(item, None))

    def _change(self, change: Callable[[dict[str, str]], object]) -> None:
        def work() -> None:
            with self._locked():
                values = self._read()
                change(values)
                self._write(values)

        _in_our_words(self._path, work)

    def _read(self) -> dict[str, str]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | _NOFOLLOW)
        except FileNotFoundError:
            return {}
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.getuid() or found.st_mode & 0o077:
                raise PermissionError(1, "others than you may read it")
            values = tomllib.load(file)
        return {item: value for item, value in values.items() if isinstance(value, str)}

    def _write(self, values: dict[str, str]) -> None:
        draft = self._path.with_name(f".{self._path.name}.draft")
        # Under the lock nobody writes it: one that is there was left by a write that was cut short.
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                tomli_w.dump(values, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._path.with_name(f"{self._path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | _NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _in_our_words(path: Path, act: Callable[[], T]) -> T:
    """What `act` returns. Raises VaultError."""
    try:
        return act()
    except OSError as error:
        why = error.strerror
    except ValueError:
        # What the parser says would repeat the line.
        why = "it is not TOML"
    raise VaultError(
        f"The file with your secrets, {shown(path)}, cannot be used: {why}.",
        "Look at it, its owner and its mode (0600), then retry.",
        "refused",
    )
