"""The tokens of one server: kept, renewed, and given to its requests.

For who joins the rooms: make one TokenManager per remote server that brings no `Authorization`
header of its own (`HttpLaunch.brings_authorization`), and give `attach.BearerAuth(manager, url)` to
its HTTP client. A sign-in ends with `adopt`; `sign_in` is what the row shows, `changed` is called
whenever it may differ; `challenge` is where a server said that one signs in. Await `close` when the
engine ends: a renewal under way may hold the only good tokens.

There is no timer: a call, or the supervisor's ping, renews what runs out soon and goes on with the
token it has; a server nobody uses renews nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final

from mcpmux_tui.auth import revoke
from mcpmux_tui.auth.challenge import Challenge, parse
from mcpmux_tui.auth.clock import Clock
from mcpmux_tui.auth.grant import Grant, Tokens
from mcpmux_tui.auth.kept import Kept
from mcpmux_tui.auth.lifetime import Lifetime
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.auth.record import Busy, Record
from mcpmux_tui.auth.turns import Turns
from mcpmux_tui.model.errors import (
    McpmuxError,
    NotConnected,
    SignInRequired,
    TokenUnavailable,
    VaultError,
)
from mcpmux_tui.model.secret import Secret
from mcpmux_tui.text import one_line

if TYPE_CHECKING:
    from mcpmux_tui.auth.exchange import Clients, Refused

_log = logging.getLogger(__name__)
_OVER: Final = frozenset(
    {"invalid_grant", "invalid_client", "unauthorized_client", "bad_refresh_token"}
)
"""Errors after which only a person can help; after any other the tokens may still be good.

RFC 6749, 5.2; the last is GitHub's word for the first.
"""
_UNKNOWN_CLIENT: Final = "invalid_client"


@dataclass(frozen=True, slots=True)
class SignIn:
    """One server's sign-in, for its row and `auth status`. Times are wall clock."""

    signed_in: bool = False
    account: str | None = None
    issuer: str | None = None
    scopes: tuple[str, ...] = ()
    missing_scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    renews_at: float | None = None
    """When the first call renews the token; None where that cannot be, or need not be known."""
    trouble: str = ""
    """Why its token cannot be renewed now, as a phrase."""
    warning: str = ""
    """A sentence a person should read while all still works."""


class TokenManager:
    """Implements Credentials for one server.

    `binding` is that of `grant.binding`; `hide` is told each secret before its first use, for the
    redactor of logs; `turns` is shared by all servers. With `wanted`, nothing is sent before a
    person signed in: the config names a client for that.
    """

    def __init__(
        self,
        record: Record,
        *,
        binding: str,
        hide: Callable[[Secret], None],
        changed: Callable[[str], None],
        turns: Turns,
        wanted: bool = False,
        clients: Clients | None = None,
        clock: Clock | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.server = record.server
        self.challenge: Challenge | None = None
        """The last one of HTTP 401, for discovery."""
        self._record = record
        self._changed = changed
        self._turns = turns
        self._wanted = wanted
        self._clients = clients
        self._clock = clock or Clock()
        self._limits = limits or Limits()
        self._kept = Kept(
            record, binding=binding, hide=hide, clock=self._clock, limits=self._limits
        )
        self._early = random.uniform(0.0, self._limits.spread)  # noqa: S311
        self._life: Lifetime | None = None
        self._flight: asyncio.Task[None] | None = None
        self._beside: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._trouble: NotConnected | None = None
        self._next_try = 0.0

    # What others see

    @property
    def sign_in(self) -> SignIn:
        """What is known of the sign-in; before `load`, nothing."""
        grant, tokens = self.grant, self._kept.tokens
        if grant is None:
            return SignIn(warning=self._kept.warning)
        life = self._lifetime(tokens) if tokens else None
        return SignIn(
            signed_in=tokens is not None
            and life is not None
            and (tokens.refresh is not None or not life.is_over),
            account=grant.account,
            issuer=grant.issuer,
            scopes=tokens.scopes if tokens else (),
            missing_scopes=grant.missing_scopes,
            expires_at=tokens.expires_at if tokens else None,
            renews_at=life.renews_at if life else None,
            trouble=self._trouble.message if self._trouble else "",
            warning=self._kept.warning,
        )

    @property
    def grant(self) -> Grant | None:
        """What is kept, after `load`; without tokens while signed out."""
        return self._kept.grant

    async def load(self) -> None:
        """Read the vault, once. Raises SignInRequired where it cannot be read."""
        try:
            news = await self._kept.load()
        except VaultError as error:
            raise _locked(error) from error
        if news:
            self._changed(self.server)

    async def headers(self) -> Mapping[str, str]:
        """Implements Credentials."""
        await self.load()
        if self._kept.wants_saving:
            self._start_beside(self._kept.save())
        tokens = self._kept.tokens
        if tokens is not None and tokens.refresh is not None:
            await self._keep_fresh(tokens)
            tokens = self._kept.tokens
        if tokens is None:
            if self._wanted:
                raise self._required("is set up for a sign-in")
            return {}
        life = self._lifetime(tokens)
        # One that ran out and cannot be renewed counts as none: the server may be open.
        return {} if life.is_over and not life.is_new else _bearer(tokens)

    async def refused(
        self, status: int, challenges: Sequence[str], sent: Mapping[str, str], *, again: bool
    ) -> bool:
        """Implements Credentials."""
        challenge = parse(challenges)
        await self.load()
        if challenge is not None and challenge.error == "insufficient_scope":
            return self._lacks(challenge.scopes)
        if status != 401:
            return False
        self.challenge = challenge
        tokens = self._kept.tokens
        if tokens is None or (tokens.refresh is None and not sent):
            raise self._required("asks for a sign-in")
        if dict(sent) != _bearer(tokens):
            # Another call had it renewed, or a person signed in meanwhile.
            return not again
        if tokens.refresh is None:
            raise self._required("does not accept its token any more")
        if again or self._lifetime(tokens).is_new:
            raise self._required("does not accept a token that was just issued for it")
        await self._renew(tokens)
        return self._kept.tokens is not None

    # What a person does

    async def adopt(self, grant: Grant) -> None:
        """Use and keep what a sign-in brought. `sign_in.warning` says if it could not be kept."""
        if grant.tokens is None:
            raise ValueError("a sign-in brings tokens")
        try:
            async with self._record.locked():
                await self._kept.keep(grant)
        except Busy as busy:
            _log.warning("%s", busy)
            await self._kept.keep(grant)
        self._recovered()
        self._changed(self.server)

    async def decline(self, scopes: tuple[str, ...]) -> None:
        """Remember for a day that a person did not grant `scopes`.

        Calls that need them fail, and the row asks for nothing. Raises SignInRequired where the
        vault cannot be read.
        """
        await self.load()
        now = self._clock.wall()
        await self._kept.change(lambda grant: grant.refused(scopes, now))
        self._changed(self.server)

    async def forget_registration(self) -> None:
        """Drop a client that its authorization server knows no more: the next sign-in registers."""
        await self._kept.change(lambda grant: grant.signed_out(drop_registration=True))
        self._changed(self.server)

    async def logout(self, *, reset: bool = False) -> bool:
        """Revoke and delete the tokens; `reset`: the registration too.

        A renewal under way ends first, and its tokens are revoked. Returns whether the
        authorization server was told. Raises VaultError and Busy: then tokens may still be kept.
        """
        return await self._leave(
            revoke.logout(
                self._record,
                reset=reset,
                in_hand=lambda: self.grant,
                clients=self._clients,
                limits=self._limits,
            )
        )

    async def forget(self) -> bool:
        """Log out a server that is removed: nothing of it stays. Returns and raises as `logout`."""
        return await self._leave(
            revoke.forget(
                self._record, in_hand=lambda: self.grant, clients=self._clients, limits=self._limits
            )
        )

    async def close(self) -> None:
        """Let a renewal under way end and be kept, within a limit."""
        running = {*self._beside, *({self._flight} if self._flight else ())}
        if running:
            _, late = await asyncio.wait(running, timeout=self._limits.closing)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # Renewing

    async def _keep_fresh(self, tokens: Tokens) -> None:
        """Renew what has run out, begin to renew what soon will."""
        life = self._lifetime(tokens)
        if life.is_new:
            return
        if life.is_pressing:
            try:
                await self._renew(tokens)
            except NotConnected:
                if self._kept.tokens is None or life.is_over:
                    raise
        elif life.is_due and self._flight is None and self._clock.monotonic() >= self._next_try:
            self._start_flight(tokens)

    async def _renew(self, stale: Tokens) -> None:
        """Have newer tokens than `stale`. Raises SignInRequired and TokenUnavailable."""
        flight = self._flight
        if flight is None:
            if self._trouble is not None and self._clock.monotonic() < self._next_try:
                raise self._still(self._trouble)
            flight = self._start_flight(stale)
        # The renewal goes on without who waits for it: what it brings is good only once.
        await asyncio.wait({flight}, timeout=self._limits.patience)
        if not flight.done() or flight.cancelled():
            raise TokenUnavailable(
                "needs a new token, and its authorization server is slow",
                "Try again in a moment.",
            )
        error = flight.exception()
        if isinstance(error, NotConnected):
            # One object raised in many tasks would collect all their tracebacks.
            raise self._still(error) from error
        if error is not None:
            raise error

    def _start_flight(self, stale: Tokens) -> asyncio.Task[None]:
        flight = asyncio.create_task(self._refresh(stale), name=f"renew the token of {self.server}")
        self._flight = flight
        flight.add_done_callback(self._landed)
        return flight

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        if not flight.cancelled() and (error := flight.exception()) is not None:
            _log.warning("%s: %s", self.server, error)
        self._changed(self.server)

    async def _refresh(self, stale: Tokens) -> None:
        at = self.grant.endpoints.token if self.grant else ""
        try:
            async with self._turns.at(at), self._record.locked():
                grant = await self._newest(stale)
                if grant is not None:
                    await self._replace(grant)
        except Busy as busy:
            waits = TokenUnavailable("waits for another mcpmux to renew its token", busy.hint)
            raise self._fail(waits) from busy
        except VaultError as error:
            raise self._fail(_locked(error)) from error
        self._recovered()

    async def _newest(self, stale: Tokens) -> Grant | None:
        """The grant to renew; None if another process has done it and its token is good.

        Raises SignInRequired and VaultError.
        """
        grant = await self._kept.newest()
        if grant is None or grant.tokens is None:
            raise self._required("was signed out")
        if grant.tokens.access != stale.access and not self._lifetime(grant.tokens).is_over:
            return None
        if grant.tokens.refresh is None:
            raise self._required("has a token that ran out and cannot be renewed")
        return grant

    async def _replace(self, grant: Grant) -> None:
        # Imported here: the engine starts without an HTTP client.
        exchange = await asyncio.to_thread(_exchange)
        try:
            tokens = await exchange.refresh(
                grant, wall=self._clock.wall, clients=self._clients, limits=self._limits
            )
        except exchange.Refused as error:
            if error.error in _OVER:
                raise await self._turned_down(grant, error) from error
            raise self._put_off(error) from error
        except McpmuxError as error:
            raise self._put_off(error) from error
        await self._kept.keep(grant.renewed(tokens))
        self._life = Lifetime(tokens, self._clock, self._limits, early=self._early, issued=True)

    async def _turned_down(self, grant: Grant, error: Refused) -> SignInRequired:
        """Drop what is of no use any more, and say what to do."""
        made_here = grant.registration is not None and grant.registration.made_here
        unknown = error.error == _UNKNOWN_CLIENT
        await self._kept.keep(grant.signed_out(drop_registration=unknown and made_here))
        self._recovered()
        said = f"{error.error}: {error.description}" if error.description else error.error
        if unknown and not made_here:
            return SignInRequired(
                f"is a client that its authorization server does not know ({said})",
                "Correct `client_id` and `client_secret` under `oauth` in its entry, then sign in.",
            )
        return self._required(f"was signed out by its authorization server ({said})")

    def _put_off(self, error: McpmuxError) -> NotConnected:
        """The error for a failure that may pass."""
        unavailable = TokenUnavailable(
            f"needs a new token, but {error.message.rstrip('.')}",
            "A later call tries again; nobody has to sign in for it.",
        )
        return self._fail(unavailable, getattr(error, "retry_after", None))

    def _fail(self, trouble: NotConnected, pause: float | None = None) -> NotConnected:
        """Take note of a trouble: before `_next_try` nothing is asked again."""
        limits = self._limits
        # Beyond 2**30 only the cap matters; a larger exponent would overflow a float one day.
        step = min(limits.retry_most, limits.retry_first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        self._trouble = trouble
        self._next_try = self._clock.monotonic() + max(step, pause or 0.0)
        return trouble

    def _still(self, trouble: NotConnected) -> NotConnected:
        """The same trouble, for one more call."""
        if isinstance(trouble, SignInRequired):
            return SignInRequired(
                trouble.message,
                trouble.hint,
                scopes=trouble.scopes,
                unreadable=trouble.unreadable,
            )
        rest = max(0.0, self._next_try - self._clock.monotonic())
        return TokenUnavailable(trouble.message, trouble.hint, retry_after=rest)

    def _recovered(self) -> None:
        self._failures, self._trouble, self._next_try = 0, None, 0.0

    def _lacks(self, scopes: tuple[str, ...]) -> bool:
        """The server wants scopes besides (RFC 6750, 3.1). Raises SignInRequired, or says that
        nothing can be done because a person did not grant them."""
        grant = self.grant
        granted = grant.tokens.scopes if grant and grant.tokens else ()
        missing = tuple(scope for scope in scopes if scope not in granted) or scopes
        if grant is not None:
            if grant.lately_refused(missing, self._clock.wall()):
                return False
            if not set(missing) <= set(grant.missing_scopes):
                self._kept.grant = grant.missing(missing)
                self._start_beside(self._kept.change(lambda kept: kept.missing(missing)))
        wanted = one_line(", ".join(missing), 200)
        raise self._required(
            f"asks for more rights{f': {wanted}' if wanted else ''}", scopes=missing
        )

    # The rest

    async def _leave(self, leaving: Awaitable[revoke.Left]) -> bool:
        try:
            left = await leaving
        except VaultError:
            # What could not be deleted is no longer used here.
            self._kept.left_with(None)
            raise
        else:
            self._kept.left_with(left.kept)
            self._recovered()
        finally:
            self._changed(self.server)
        return left.told

    def _lifetime(self, tokens: Tokens) -> Lifetime:
        life = self._life
        if life is None or life.tokens.access != tokens.access:
            life = self._life = Lifetime(tokens, self._clock, self._limits, early=self._early)
        return life

    def _required(self, what: str, *, scopes: tuple[str, ...] = ()) -> SignInRequired:
        how = f"Press `Sign in` on its row, or run `mcpmux login {self.server}`."
        return SignInRequired(what, how, scopes=scopes)

    def _start_beside(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._done_beside)

    def _done_beside(self, task: asyncio.Task[None]) -> None:
        self._beside.discard(task)
        self._changed(self.server)


def _bearer(tokens: Tokens) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.access.reveal()}"}


def _locked(error: VaultError) -> SignInRequired:
    return SignInRequired(
        f"has its sign-in in the keyring, which gives nothing: {error.message.rstrip('.')}",
        error.hint,
        unreadable=True,
    )


def _exchange() -> ModuleType:
    from mcpmux_tui.auth import exchange

    return exchange
