"""Values that a backend takes in pieces only: Windows refuses more than 1,280 characters.

The parts are written first, under names of their own; then the header under the item's name. So a
write that is cut short leaves the old value whole, and a header whose parts are not, is noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.vault.backend import Backend

SIZE: Final = 1_000
"""Characters of a part."""
_HEADER: Final = "mcpmux-parts"


class InParts:
    """A backend over another one, for values of any length."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.lasting = backend.name, backend.lasting

    def get(self, item: str) -> str | None:
        """The value; None where there is none. Raises VaultError, also for one that is damaged."""
        value = self._backend.get(item)
        if value is None or (found := _header(value)) is None:
            return value
        parts = [self._backend.get(name) for name in _names(item, *found)]
        whole = "".join(part for part in parts if part is not None)
        if None in parts or _digest(whole) != found[1]:
            raise VaultError(
                f"What the keyring holds as {item} is not whole.",
                "Set it again: sign in anew, or enter the value.",
                "damaged",
            )
        return whole

    def set(self, item: str, value: str) -> None:
        """Keep a value, in parts only if the backend does not take it whole."""
        before = self._parts_of(item)
        try:
            if _header(value) is not None:
                raise VaultError("It looks like a header.", trouble="refused")
            self._backend.set(item, value)
            kept: list[str] = []
        except VaultError as error:
            if error.trouble != "refused" or (len(value) <= SIZE and _header(value) is None):
                raise
            kept = self._set_parts(item, value)
        self._drop(name for name in before if name not in kept)

    def delete(self, item: str) -> None:
        """Keep it no longer, nor any part of it."""
        before = self._parts_of(item)
        self._backend.delete(item)
        for name in before:
            self._backend.delete(name)

    def _set_parts(self, item: str, value: str) -> list[str]:
        digest = _digest(value)
        pieces = [value[at : at + SIZE] for at in range(0, len(value), SIZE)]
        names = list(_names(item, len(pieces), digest))
        try:
            for name, piece in zip(names, pieces, strict=True):
                self._backend.set(name, piece)
            self._backend.set(item, f"{_HEADER}:{len(pieces)}:{digest}")
        except VaultError:
            self._drop(iter(names))
            raise
        return names

    def _parts_of(self, item: str) -> list[str]:
        try:
            value = self._backend.get(item)
        except VaultError:
            return []
        found = None if value is None else _header(value)
        return [] if found is None else list(_names(item, *found))

    def _drop(self, names: Iterator[str]) -> None:
        for name in names:
            # What is left over harms nobody: no header names it.
            with suppress(VaultError):
                self._backend.delete(name)


def _header(value: str) -> tuple[int, str] | None:
    """The number of parts and the digest of the whole, if a value is a header."""
    kind, _, rest = value.partition(":")
    count, _, digest = rest.partition(":")
    if kind != _HEADER or not (count.isascii() and count.isdigit() and len(count) < 5):
        return None
    return int(count), digest


def _names(item: str, count: int, digest: str) -> Iterator[str]:
    for number in range(count):
        yield f"{item}#{digest[:8]}.{number}"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]
