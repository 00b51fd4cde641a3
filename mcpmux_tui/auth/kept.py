"""A server's grant in memory, beside what the keyring holds of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from mcpmux_tui.auth.clock import Clock
from mcpmux_tui.auth.grant import Grant, Tokens
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.auth.record import Busy, Record
from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.model.secret import Secret

_log = logging.getLogger(__name__)


class Kept:
    """What is used now, and whether it is stored.

    A grant that the keyring did not take is used all the same, for it may be the only good one; it
    yields to one that somebody else stored later.
    """

    def __init__(
        self,
        record: Record,
        *,
        binding: str,
        hide: Callable[[Secret], None],
        clock: Clock,
        limits: Limits,
    ) -> None:
        self.grant: Grant | None = None
        self._record = record
        self._binding = binding
        self._hide = hide
        self._clock = clock
        self._limits = limits
        self._stored: Grant | None = None
        """What the keyring held last, as far as this process knows."""
        self._loaded = False
        self._loading = asyncio.Lock()
        self._unsaved = False
        self._next_save = 0.0

    @property
    def tokens(self) -> Tokens | None:
        """Those in use; None while signed out."""
        return self.grant.tokens if self.grant else None

    @property
    def wants_saving(self) -> bool:
        """It is not stored, and it is time to try again."""
        return self._unsaved and self._clock.monotonic() >= self._next_save

    @property
    def warning(self) -> str:
        """A sentence a person should read while all still works."""
        server = self._record.server
        if self._unsaved:
            return (
                f"The newest sign-in to {server} could not be stored: it lasts as long as mcpmux"
                " runs."
            )
        if self._stored is not None and self.grant is None:
            return (
                f"The sign-in to {server} was for another address or client than its entry has"
                " now; it is not used."
            )
        return ""

    async def load(self) -> bool:
        """Read the keyring, unless that was done before. Raises VaultError."""
        async with self._loading:
            if self._loaded:
                return False
            self._use_stored(await self._record.read())
            return True

    async def newest(self) -> Grant | None:
        """What is the newest, read anew while the record is locked. Raises VaultError."""
        try:
            stored = await self._record.read(fresh=True)
        except VaultError:
            if not self._unsaved:
                raise
            stored = self._stored
        if not self._unsaved or stored != self._stored:
            self._use_stored(stored)
        return self.grant

    async def keep(self, grant: Grant) -> None:
        """Store `grant`, then use it, while the record is locked."""
        self._hide_secrets(grant)
        try:
            await self._record.write(grant)
        except VaultError as error:
            _log.warning("The sign-in to %s is not stored: %s", self._record.server, error)
            self._unsaved = True
            self._next_save = self._clock.monotonic() + self._limits.save_again
        else:
            self._stored, self._unsaved = grant, False
        self.grant, self._loaded = grant, True

    async def change(self, change: Callable[[Grant], Grant]) -> None:
        """Change a part of it, as it is by now; at least in memory."""
        try:
            async with self._record.locked():
                if (grant := await self.newest()) is not None:
                    await self.keep(change(grant))
        except (VaultError, Busy) as error:
            _log.warning("A note on %s is not stored: %s", self._record.server, error)
            self.grant = change(self.grant) if self.grant else None

    async def save(self) -> None:
        """Try again to store it."""
        self._next_save = self._clock.monotonic() + self._limits.save_again
        await self.change(lambda grant: grant)

    def left_with(self, grant: Grant | None) -> None:
        """After a logout that kept `grant`."""
        self._use_stored(grant)

    def _use_stored(self, grant: Grant | None) -> None:
        self._stored, self._loaded, self._unsaved = grant, True, False
        self.grant = grant if grant is not None and grant.binding == self._binding else None
        if self.grant is not None:
            self._hide_secrets(self.grant)

    def _hide_secrets(self, grant: Grant) -> None:
        tokens, client = grant.tokens, grant.registration
        held = (
            tokens and tokens.access,
            tokens and tokens.refresh,
            client and client.client_secret,
        )
        for secret in held:
            if secret:
                self._hide(secret)
