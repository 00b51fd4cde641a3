"""Signing in and out while no engine runs, and who is signed in where."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcpmux_tui.config.resolve import Resolver
from mcpmux_tui.control.protocol import LoggedOut, Login, LoginDone, LoginStep
from mcpmux_tui.engine import offline
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.engine.sign_ins import SignIns, in_words
from mcpmux_tui.model.errors import ControlError, McpmuxError, NoSuchServer
from mcpmux_tui.model.frozen import Frozen
from mcpmux_tui.model.spec import Config, HttpLaunch
from mcpmux_tui.text import one_line
from mcpmux_tui.vault.choice import vault
from mcpmux_tui.vault.store import Vault
from mcpmux_tui.vault.values import NamedValues


class Signed(Frozen):
    """One remote server of `auth status`."""

    name: str
    signed_in: bool | None
    """None: that cannot be told."""
    account: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    trouble: str = ""

    @property
    def words(self) -> str:
        """For people."""
        if self.signed_in is None:
            return f"cannot tell: {self.trouble}"
        if not self.signed_in:
            return "not signed in"
        return in_words(self.account, self.expires_at)


class Alone:
    """Does for a command what the engine's doors do."""

    def __init__(self, config: Config, kept: Vault, sign_ins: SignIns) -> None:
        self._config = config
        self._vault = kept
        self._sign_ins = sign_ins

    async def login(self, wish: Login) -> LoginStep:
        """Begin a sign-in."""
        return await self._sign_ins.begin(
            wish, await remote_launch(self._config, self._vault, wish.server)
        )

    async def login_wait(self, server: str) -> LoginDone:
        """Wait for its end."""
        return await self._sign_ins.wait(server)

    async def login_paste(self, server: str, address: str) -> None:
        """Take the address at which a browser ended."""
        self._sign_ins.paste(server, address)

    async def login_cancel(self, server: str) -> None:
        """End it."""
        self._sign_ins.cancel(server)

    async def logout(self, server: str, *, reset: bool) -> LoggedOut:
        """Revoke and delete a server's tokens."""
        launch = await remote_launch(self._config, self._vault, server)
        return LoggedOut(told=await self._sign_ins.logout(server, launch, reset=reset))


@asynccontextmanager
async def door(instance: Instance) -> AsyncIterator[Alone]:
    """A door without an engine behind it."""
    config = offline.load(instance)
    instance.prepare()
    kept = vault(instance.folder, config.vault)
    sign_ins = SignIns(kept, instance.folder)
    try:
        yield Alone(config, kept, sign_ins)
    finally:
        await sign_ins.close()
        kept.close()


async def forget(instance: Instance, server: str) -> None:
    """A server was removed: nothing of its sign-in stays. Raises McpmuxError."""
    config = offline.load(instance)
    instance.prepare()
    kept = vault(instance.folder, config.vault)
    try:
        await SignIns(kept, instance.folder).forget(server)
    finally:
        kept.close()


async def status(instance: Instance) -> tuple[Signed, ...]:
    """Every remote server that one signs in to, in the config's order."""
    config = offline.load(instance)
    instance.prepare()
    kept = vault(instance.folder, config.vault)
    sign_ins = SignIns(kept, instance.folder)
    rows: list[Signed] = []
    for spec in config.servers:
        launch = spec.launch
        if not isinstance(launch, HttpLaunch) or launch.brings_authorization:
            continue
        try:
            found = await sign_ins.look(spec.name, await remote_launch(config, kept, spec.name))
        except McpmuxError as error:
            rows.append(Signed(name=spec.name, signed_in=None, trouble=one_line(error.message)))
            continue
        rows.append(
            Signed(
                name=spec.name,
                signed_in=found.signed_in,
                account=found.account or "",
                scopes=found.scopes,
                expires_at=found.expires_at,
            )
        )
    kept.close()
    return tuple(rows)


async def remote_launch(config: Config, kept: Vault, name: str) -> HttpLaunch:
    """The address of a remote server, placeholders filled. Raises McpmuxError."""
    spec = next((each for each in config.servers if each.name == name), None)
    if spec is None:
        raise NoSuchServer(one_line(name))
    launch = (
        None
        if spec.launch is None
        else await Resolver(
            os.environ, stored=NamedValues(kept), inputs=lambda: config.inputs
        ).resolve(spec.launch)
    )
    if not isinstance(launch, HttpLaunch):
        raise ControlError(
            f"{name} has no address: nobody signs in to it.",
            "What it needs to know goes into its entry.",
        )
    return launch
