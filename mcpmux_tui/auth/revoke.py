"""Logging out: tokens are revoked where that can be (RFC 7009), and deleted in any case.

These functions need no manager: a command may use them on a server's record while no engine runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from mcpmux_tui.auth.grant import Grant
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.auth.record import Record
from mcpmux_tui.model.errors import McpmuxError, VaultError

if TYPE_CHECKING:
    from mcpmux_tui.auth.exchange import Clients

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """How a logout went."""

    told: bool
    """The authorization server was told; True as well where there was nothing to tell."""
    kept: Grant | None
    """What stays: the registration."""


def _nothing_in_hand() -> Grant | None:
    return None


async def logout(
    record: Record,
    *,
    reset: bool = False,
    in_hand: Callable[[], Grant | None] = _nothing_in_hand,
    clients: Clients | None = None,
    limits: Limits | None = None,
) -> Left:
    """Revoke and delete a server's tokens; `reset`: delete its registration too.

    `in_hand` gives tokens that a process holds besides. Raises VaultError where what is kept cannot
    be deleted, and Busy.
    """
    async with record.locked():
        left = await _revoked(record, in_hand, clients, limits or Limits())
        if reset or left.kept is None:
            await record.delete()
            return Left(told=left.told, kept=None)
        await record.write(left.kept)
        return left


async def forget(
    record: Record,
    *,
    in_hand: Callable[[], Grant | None] = _nothing_in_hand,
    clients: Clients | None = None,
    limits: Limits | None = None,
) -> Left:
    """Log out a server that is removed: nothing of it stays. Raises VaultError and Busy."""
    async with record.locked():
        left = await _revoked(record, in_hand, clients, limits or Limits())
        await record.delete()
        record.remove_lock()
    return Left(told=left.told, kept=None)


async def _revoked(
    record: Record,
    in_hand: Callable[[], Grant | None],
    clients: Clients | None,
    limits: Limits,
) -> Left:
    try:
        stored = await record.read(fresh=True)
    except VaultError as error:
        # What cannot be read can still be deleted.
        _log.warning("The sign-in to %s cannot be read: %s", record.server, error)
        stored = None
    grants = [each for each in (in_hand(), stored) if each is not None]
    told = await _tell(grants, clients, limits)
    return Left(told=told, kept=stored.signed_out() if stored else None)


async def _tell(grants: Iterable[Grant], clients: Clients | None, limits: Limits) -> bool:
    todo: dict[tuple[str, str], tuple[str, Grant]] = {}
    for kind in ("refresh", "access"):
        for grant in grants:
            token = getattr(grant.tokens, kind, None)
            if token:
                todo[grant.issuer, token.reveal()] = (kind, grant)
    told = True
    try:
        async with asyncio.timeout(limits.revocation):
            for (_, token), (kind, grant) in todo.items():
                url = grant.endpoints.revocation
                told = url is not None and await _post(url, token, kind, grant, clients) and told
    except TimeoutError:
        told = False
    return told


async def _post(url: str, token: str, kind: str, grant: Grant, clients: Clients | None) -> bool:
    exchange = await asyncio.to_thread(_exchange)
    # Servers made with the MCP SDK refuse a form without `client_secret`, whoever the client is;
    # one without a value counts as none (RFC 6749, 3.2).
    form = {"token": token, "token_type_hint": f"{kind}_token", "client_secret": ""}
    try:
        await exchange.post_form(url, form, grant.registration, clients=clients)
    except McpmuxError as error:
        _log.warning("A token could not be revoked: %s", error.message)
        return False
    return True


def _exchange() -> ModuleType:
    from mcpmux_tui.auth import exchange

    return exchange
