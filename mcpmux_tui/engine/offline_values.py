"""Values given by name while no engine runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcpmux_tui.config.resolve import names_in
from mcpmux_tui.control.protocol import SecretLine, SecretList
from mcpmux_tui.engine import offline
from mcpmux_tui.engine.given import check, no_value
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.model.errors import ControlError, VaultError
from mcpmux_tui.model.spec import Config
from mcpmux_tui.vault.choice import vault
from mcpmux_tui.vault.store import Vault
from mcpmux_tui.vault.values import NamedValues


class Alone:
    """Does for a command what the engine's doors do."""

    def __init__(self, config: Config, kept: Vault) -> None:
        self._config = config
        self._vault = kept
        self._values = NamedValues(kept)

    async def secret_set(self, name: str, value: str) -> None:
        """Keep a value under a name."""
        check(name, value)
        try:
            keeps = await self._vault.keeps()
            if not keeps:
                raise ControlError(
                    f"No keyring ({self._vault.passing}): {name} would be gone at once.",
                    'Choose `[vault] backend = "file"`, or set the variable'
                    f" MCPMUX_SECRET_{name} for mcpmux.",
                )
            await self._values.give(name, value, session=False)
        except VaultError as error:
            raise ControlError(f"It is not kept: {error.message}", error.hint) from error

    async def secret_remove(self, name: str) -> None:
        """Forget the value under a name."""
        try:
            if not await self._values.remove(name):
                raise no_value(name)
        except VaultError as error:
            raise ControlError(error.message, error.hint) from error

    async def secrets(self) -> SecretList:
        """What was given, and who uses it."""
        users: dict[str, list[str]] = {}
        for spec in self._config.servers:
            if spec.launch is not None:
                for name in names_in(spec.launch, self._config.inputs):
                    users.setdefault(name, []).append(spec.name)
        known = await asyncio.to_thread(self._values.names)
        return SecretList(
            secrets=tuple(
                SecretLine(
                    name=each.name,
                    kept=each.kept,
                    since=each.since,
                    users=tuple(users.get(each.name, ())),
                )
                for each in known
            )
        )


@asynccontextmanager
async def door(instance: Instance) -> AsyncIterator[Alone]:
    """A door without an engine behind it."""
    config = offline.load(instance)
    instance.prepare()
    kept = vault(instance.folder, config.vault)
    try:
        yield Alone(config, kept)
    finally:
        kept.close()
