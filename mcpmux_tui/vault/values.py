"""The values people gave by name, `${secret:NAME}` and the like: kept, or for this session only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcpmux_tui.model.secret import Secret
from mcpmux_tui.vault.store import Vault

_PREFIX: Final = "secret/"


@dataclass(frozen=True, slots=True)
class Named:
    """One value, without it."""

    name: str
    kept: bool
    """Else it lasts as long as this process."""
    since: float | None = None
    """Unix time at which it was last given, where that is known."""


class NamedValues:
    """Implements Stored. `hide` is told each value before anybody gets it, for the redactor.

    Every method raises VaultError.
    """

    def __init__(self, vault: Vault, *, hide: Callable[[Secret], None] = lambda _: None) -> None:
        self._vault = vault
        self._hide = hide
        self._session: dict[str, str] = {}

    async def value(self, name: str) -> str | None:
        """The value, None where nobody gave one."""
        value = self._session.get(name)
        if value is None:
            value = await self._vault.read(_PREFIX + name)
        if value is not None:
            self._hide(Secret(value))
        return value

    async def give(self, name: str, value: str, *, session: bool) -> None:
        """Keep a value; with `session` until this process ends, and what was kept stays kept."""
        self._hide(Secret(value))
        if session:
            self._session[name] = value
            return
        await self._vault.write(_PREFIX + name, value)
        self._session.pop(name, None)

    async def remove(self, name: str) -> bool:
        """Forget a value; whether there was one."""
        was = self._session.pop(name, None) is not None
        if await self._vault.read(_PREFIX + name) is not None:
            await self._vault.delete(_PREFIX + name)
            return True
        return was

    def names(self) -> tuple[Named, ...]:
        """All, sorted by name. Blocks on a small folder."""
        kept = {
            item.removeprefix(_PREFIX): self._vault.index.since(item)
            for item in self._vault.index.names()
            if item.startswith(_PREFIX)
        }
        found = [Named(name, kept=True, since=at) for name, at in kept.items()]
        found += [
            Named(name, kept=False)
            for name in {*self._session, *self._vault.passing_names(_PREFIX)} - kept.keys()
        ]
        return tuple(sorted(found, key=lambda each: each.name))
