"""The checks of one server while no engine runs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcpmux_tui.config.resolve import Resolver
from mcpmux_tui.control.protocol import Checkup
from mcpmux_tui.engine import offline
from mcpmux_tui.engine.doctor import examine
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.engine.sign_ins import SignIns
from mcpmux_tui.model.errors import NoSuchServer
from mcpmux_tui.model.spec import Config
from mcpmux_tui.text import one_line
from mcpmux_tui.vault.choice import vault
from mcpmux_tui.vault.redact import Redactor
from mcpmux_tui.vault.store import Vault
from mcpmux_tui.vault.values import NamedValues


class Alone:
    """Does for a command what the engine's doors do."""

    def __init__(self, config: Config, kept: Vault, sign_ins: SignIns, redactor: Redactor) -> None:
        self._config = config
        self._vault = kept
        self._sign_ins = sign_ins
        self._redactor = redactor

    async def doctor(self, server: str) -> Checkup:
        """Check one server. Raises NoSuchServer."""
        spec = next((each for each in self._config.servers if each.name == server), None)
        if spec is None:
            raise NoSuchServer(one_line(server))
        redactor = self._redactor
        resolver = Resolver(
            os.environ,
            stored=NamedValues(self._vault, hide=redactor.hide),
            inputs=lambda: self._config.inputs,
            hide=redactor.hide,
        )
        checks = examine(spec, resolver, self._sign_ins, lambda: None, redactor.clean)
        return Checkup(checks=tuple([each async for each in checks]))


@asynccontextmanager
async def door(instance: Instance) -> AsyncIterator[Alone]:
    """A door without an engine behind it."""
    config = offline.load(instance)
    instance.prepare()
    kept = vault(instance.folder, config.vault)
    redactor = Redactor()
    sign_ins = SignIns(kept, instance.folder, hide=redactor.hide)
    try:
        yield Alone(config, kept, sign_ins, redactor)
    finally:
        await sign_ins.close()
        kept.close()
