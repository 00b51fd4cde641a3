"""The names of what is kept, without any value: a keyring cannot be asked for them.

An empty file stands for each, so several processes may write at once.
"""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import quote, unquote

from mcpmux_tui.paths import private_dir

_log = logging.getLogger(__name__)


class Index:
    """Names in a folder of their own; what cannot be written is logged and no more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """All, sorted."""
        try:
            return tuple(sorted(unquote(path.name) for path in self._folder.iterdir()))
        except OSError:
            return ()

    def has(self, item: str) -> bool:
        """Whether it is kept."""
        return self._path(item).exists()

    def since(self, item: str) -> float | None:
        """Unix time at which it was last kept, as far as that can be told."""
        try:
            return self._path(item).stat().st_mtime
        except OSError:
            return None

    def add(self, item: str) -> None:
        """It is kept from now on."""
        try:
            private_dir(self._folder)
            self._path(item).touch(mode=0o600)
        except OSError as error:
            _log.warning("%s is kept, but its name is not noted: %s", item, error.strerror)

    def remove(self, item: str) -> None:
        """It is kept no longer."""
        try:
            self._path(item).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s is gone, but its name is still noted: %s", item, error.strerror)

    def _path(self, item: str) -> Path:
        return self._folder / quote(item, safe="")
