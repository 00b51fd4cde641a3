"""Secrets in plain text, moved from the config to the keyring, and back if one thinks twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mcpmux_tui.config import edit
from mcpmux_tui.config.plain import Plain, plain_secrets
from mcpmux_tui.model.errors import ControlError, McpmuxError, VaultError
from mcpmux_tui.model.spec import ServerSpec
from mcpmux_tui.vault.store import Vault
from mcpmux_tui.vault.values import NamedValues


@dataclass(frozen=True, slots=True)
class _Moved:
    names: tuple[str, ...]
    before: bytes
    after: bytes


class Securing:
    """Moves the secrets of one server at a time; the last move can be undone."""

    def __init__(self, config: Path, values: NamedValues, vault: Vault) -> None:
        self._config = config
        self._values = values
        self._vault = vault
        self._last: _Moved | None = None

    async def move(self, spec: ServerSpec) -> tuple[str, ...]:
        """Keep a server's plain secrets and have its entry refer to them; their names.

        Raises ControlError, ConfigError; the file is then as before.
        """
        found = [] if spec.launch is None else list(plain_secrets(spec.name, spec.launch))
        if not found:
            raise ControlError(f"{spec.name} has no secrets in plain text.")
        kept: list[str] = []
        try:
            if not await self._vault.keeps():
                raise ControlError(
                    f"There is no keyring to move them to ({self._vault.passing}).",
                    "The entry stays as it is.",
                )
            named = {each.where: await self.named(each, spec.name) for each in found}
            for each in named.values():
                await self._values.give(each.name, each.value, session=False)
                kept.append(each.name)
            before, after = await asyncio.to_thread(
                edit.rewrite, self._config, spec.name, referring(list(named.values()))
            )
        except McpmuxError as error:
            for name in kept:
                await self._values.remove(name)
            if isinstance(error, VaultError):
                raise ControlError(f"Nothing was moved: {error.message}", error.hint) from error
            raise
        self._last = _Moved(tuple(kept), before, after)
        return self._last.names

    async def undo(self) -> tuple[str, ...]:
        """Put the file back as it was before the last move; the names. Raises ControlError."""
        last = self._last
        if last is None:
            raise ControlError("There is nothing to undo.")
        await asyncio.to_thread(edit.put_back, self._config, last.before, last.after)
        self._last = None
        for name in last.names:
            await self._values.remove(name)
        return last.names

    async def passing(self) -> str:
        """Why what is kept would not outlast this process; empty where it does."""
        try:
            return "" if await self._vault.keeps() else self._vault.passing
        except VaultError as error:
            raise ControlError(error.message, error.hint) from error

    @asynccontextmanager
    async def keeping(self, found: Sequence[Plain]) -> AsyncIterator[None]:
        """Keep secrets before an entry refers to them; where that fails, they go again.

        Raises ControlError where they cannot be kept.
        """
        new: list[str] = []
        try:
            for each in found:
                if await self._values.value(each.name) is None:
                    new.append(each.name)
                    await self._values.give(each.name, each.value, session=False)
            yield
        except McpmuxError as error:
            for name in new:
                await self._values.remove(name)
            if isinstance(error, VaultError):
                raise ControlError(f"Nothing was added: {error.message}", error.hint) from error
            raise

    async def named(self, plain: Plain, server: str) -> Plain:
        """The same under a name that no other value has. Raises ControlError."""
        try:
            return await self._named(plain, server)
        except VaultError as error:
            raise ControlError(error.message, error.hint) from error

    async def _named(self, plain: Plain, server: str) -> Plain:
        if await self._values.value(plain.name) in {None, plain.value}:
            return plain
        return plain.renamed(f"{plain.name}_{server}".upper().replace("-", "_").replace(".", "_"))


def referring(found: Sequence[Plain]) -> edit.Rewrite:
    """Has an entry refer to secrets that stood in it."""
    places = {(each.where, each.written): each.text for each in found}
    return lambda where, text: places.get((where, text), text)
