"""One sign-in, from a person's wish to tokens: authorization code with PKCE, or a device code.

It begins only where a person asked for it, opens no browser, and holds nothing that a call needs.
RFC 6749, RFC 7636 (PKCE), RFC 8707 (resource), RFC 9207 (`iss`), RFC 8628 (device).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mcpmux_tui.auth import exchange
from mcpmux_tui.auth.callback import Callback, parameters
from mcpmux_tui.auth.challenge import DESCRIPTION_LIMIT, Challenge, error_code
from mcpmux_tui.auth.discovery import Discovery, discover
from mcpmux_tui.auth.failed import ClientUnknown, SignInDeclined, SignInFailed
from mcpmux_tui.auth.fetch import Fetcher
from mcpmux_tui.auth.grant import Grant, Registration, Tokens
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.auth.registration import registration
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.spec import OAuthSpec
from mcpmux_tui.text import one_line

LASTS: Final = 300.0
"""Seconds a person has."""
_UNKNOWN: Final = frozenset({"invalid_client", "unauthorized_client"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one signs in to."""

    server: str
    url: str
    binding: str
    oauth: OAuthSpec
    challenge: Challenge | None = None
    kept: Grant | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """What a person has to do; all text is clean."""

    address: str
    """To open in a browser; empty where `concerns` need a yes first, and nothing was sent yet."""
    host: str
    """Where one consents."""
    scopes: tuple[str, ...]
    """Those asked for."""
    offered: tuple[str, ...]
    """Those that could be asked for."""
    concerns: tuple[str, ...]
    """To say yes to first, a sentence each."""
    redirect: str = ""
    """Where the browser brings the answer by itself."""
    code: str = ""
    """To enter at the address, where it does not."""
    by_device: bool = False
    """Whether one can sign in by such a code."""


class SignIn:
    """Prepared by `begin`, ended by `finish`, by a cancel of it, or by time."""

    def __init__(
        self,
        wanted: Wanted,
        callback: Callback,
        fetcher: Fetcher,
        *,
        limits: Limits | None = None,
        lasts: float = LASTS,
    ) -> None:
        self.server = wanted.server
        self._wanted = wanted
        self._callback = callback
        self._fetcher = fetcher
        self._limits = limits or Limits()
        self._lasts = lasts
        # 256 random bits each.
        self._state = secrets.token_urlsafe(32)
        self._verifier = secrets.token_urlsafe(64)
        self._answer: asyncio.Future[Mapping[str, str]] | None = None
        self._found: Discovery | None = None
        self._client: Registration | None = None
        self._device: Mapping[str, object] = {}

    async def begin(
        self,
        *,
        port: int = 0,
        device: bool = False,
        agreed: bool = False,
        scopes: Sequence[str] | None = None,
    ) -> Pending:
        """Find out where one signs in, and as whom. Raises SignInFailed.

        With concerns that were not `agreed` to it ends there. Of the scopes that could be asked
        for, only those in `scopes` are, where that is given.
        """
        most = self._limits.beginning
        try:
            async with asyncio.timeout(most):
                return await self._begin(port, device, agreed, scopes)
        except TimeoutError:
            raise SignInFailed(
                f"Where one signs in was not to be learned within {most:g} s.", "Try again later."
            ) from None

    async def _begin(
        self, port: int, device: bool, agreed: bool, scopes: Sequence[str] | None
    ) -> Pending:
        wanted = self._wanted
        missing = wanted.kept.missing_scopes if wanted.kept else ()
        found = self._found = await discover(
            wanted.url, wanted.challenge, wanted.oauth, self._fetcher, missing=missing
        )
        concerns = found.concerns
        if wanted.kept is not None and wanted.kept.issuer:
            moved = wanted.kept.differences(found.issuer, found.endpoints)
            concerns += tuple(f"Since the last sign-in: {each}." for each in moved)
        pending = Pending(
            address="",
            host=_host(found.endpoints.authorization),
            scopes=found.scopes,
            offered=found.scopes,
            concerns=concerns,
            by_device=found.endpoints.device is not None,
        )
        if scopes is not None:
            kept_scopes = tuple(scope for scope in found.scopes if scope in scopes)
            found = self._found = replace(found, scopes=kept_scopes)
            pending = replace(pending, scopes=kept_scopes)
        if concerns and not agreed:
            return pending
        kept = wanted.kept.registration if wanted.kept else None
        if device:
            return await self._begin_device(found, kept, pending)
        # Bound before anything is registered or opened: nobody else may take the answer.
        await self._callback.listen(port)
        self._answer = self._callback.expect(self._state)
        try:
            client = self._client = await registration(
                found,
                wanted.oauth,
                kept,
                self._callback.redirect_uri,
                self._fetcher,
                server=wanted.server,
                wall=time.time,
            )
        except BaseException:
            self.close()
            raise
        challenge = hashlib.sha256(self._verifier.encode("ascii")).digest()
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": self._callback.redirect_uri,
            "state": self._state,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode("ascii"),
            "code_challenge_method": "S256",
            "resource": found.resource,
        }
        if found.scopes:
            query["scope"] = " ".join(found.scopes)
        if "offline_access" in found.scopes:
            query["prompt"] = "consent"
        address = _with_query(found.endpoints.authorization, query)
        return replace(pending, address=address, redirect=self._callback.redirect_uri)

    async def finish(self) -> Grant:
        """What the sign-in brings, once the person has consented. Raises SignInFailed."""
        lasts = self._device_lasts if self._device else self._lasts
        try:
            async with asyncio.timeout(lasts):
                tokens = await (self._by_device() if self._device else self._by_code())
        except TimeoutError:
            raise SignInFailed(
                f"Nobody signed in within {lasts / 60:g} minutes.", "Begin again."
            ) from None
        except (exchange.Refused, exchange.NoAnswer) as error:
            raise self._failed(error) from error
        finally:
            self.close()
        found, client = self._settled()
        return Grant(
            binding=self._wanted.binding,
            resource=found.resource,
            issuer=found.issuer,
            endpoints=found.endpoints,
            registration=client,
            tokens=tokens[0],
            account=tokens[1],
        )

    def paste(self, text: str) -> None:
        """Take the address the browser ended at. Raises SignInFailed where it is another's."""
        query = urlsplit(text.strip()).query or text.strip().partition("?")[2]
        given = parameters(query).get("state", "")
        if self._answer is None or not hmac.compare_digest(
            given.encode("utf-8", "replace"), self._state.encode()
        ):
            raise SignInFailed(
                "That address does not belong to this sign-in.",
                "Paste the whole address of the page the browser shows after you consented.",
            )
        self._callback.take(query)

    def close(self) -> None:
        """An answer that comes now is late."""
        self._callback.forget(self._state)

    @property
    def _device_lasts(self) -> float:
        told = self._device.get("expires_in")
        most = self._limits.device_lasts
        return min(float(told), most) if isinstance(told, int | float) and told > 0 else most

    def _failed(self, error: McpmuxError) -> SignInFailed:
        unknown = isinstance(error, exchange.Refused) and error.error in _UNKNOWN
        if unknown and self._client is not None and self._client.made_here:
            return ClientUnknown(error.message, "Begin again: mcpmux registers there anew.")
        return SignInFailed(error.message, error.hint)

    def _settled(self) -> tuple[Discovery, Registration]:
        if self._found is None or self._client is None:
            raise RuntimeError("a sign-in begins before it ends")
        return self._found, self._client

    async def _by_code(self) -> tuple[Tokens, str | None]:
        found, client = self._settled()
        if self._answer is None:
            raise RuntimeError("a sign-in begins before it ends")
        answer = await self._answer
        named = answer.get("iss")
        # Before anything else of it is looked at: it may come from somebody else's server.
        # To the letter: RFC 9207, 2.4 has the two compared as they are.
        if (named is None and found.names_issuer) or named not in {None, found.issuer}:
            raise SignInFailed(
                "The answer came from another server than the one that was asked.",
                "Nothing of it was used. Begin again; if it stays so, ask the server's operator.",
            )
        if "error" in answer:
            raise _declined(answer)
        code = answer.get("code")
        if not code:
            raise SignInFailed("The answer has no code.", "Begin again.")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback_uri(client),
            "code_verifier": self._verifier,
            "resource": found.resource,
        }
        return await self._tokens(found, client, form)

    @staticmethod
    def _callback_uri(client: Registration) -> str:
        return client.redirect_uri or ""

    async def _tokens(
        self, found: Discovery, client: Registration, form: Mapping[str, str]
    ) -> tuple[Tokens, str | None]:
        token = found.endpoints.token
        answer = await exchange.post_form(
            token, form, client, clients=self._fetcher.client, limits=self._limits
        )
        host = urlsplit(token).hostname or "the authorization server"
        tokens = exchange.tokens_in(answer, host, now=time.time())
        if not tokens.scopes:
            tokens = tokens.model_copy(update={"scopes": found.scopes})
        return tokens, _account(answer.get("id_token"))

    async def _begin_device(
        self, found: Discovery, kept: Registration | None, pending: Pending
    ) -> Pending:
        if found.endpoints.device is None:
            raise SignInFailed(
                "Its authorization server offers no device code.",
                "Sign in with a browser instead; the address can be opened on any machine.",
            )
        wanted = self._wanted
        client = self._client = await registration(
            found,
            wanted.oauth,
            kept,
            "http://127.0.0.1/callback",
            self._fetcher,
            server=wanted.server,
            wall=time.time,
        )
        form = {"client_id": client.client_id, "resource": found.resource}
        if found.scopes:
            form["scope"] = " ".join(found.scopes)
        try:
            device = await exchange.post_form(
                found.endpoints.device,
                form,
                client,
                clients=self._fetcher.client,
                limits=self._limits,
            )
        except (exchange.Refused, exchange.NoAnswer) as error:
            raise self._failed(error) from error
        address = device.get("verification_uri")
        code, secret = device.get("user_code"), device.get("device_code")
        usable = isinstance(address, str) and exchange.is_protected(address)
        if not usable or not isinstance(code, str) or not isinstance(secret, str):
            raise SignInFailed("Its authorization server gave no device code that can be used.")
        self._device = device
        return replace(
            pending,
            address=exchange.written(str(address))[:2_000],
            host=_host(str(address)),
            code=one_line(code, 40),
        )

    async def _by_device(self) -> tuple[Tokens, str | None]:
        found, client = self._settled()
        limits = self._limits
        told = self._device.get("interval")
        pause = max(float(told) if isinstance(told, int | float) else 0.0, limits.device_pause)
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": str(self._device["device_code"]),
            "resource": found.resource,
        }
        while True:
            await _pause(pause)
            try:
                return await self._tokens(found, client, form)
            except exchange.Refused as error:
                match error.error:
                    case "authorization_pending":
                        continue
                    case "slow_down":
                        pause = max(pause, min(pause + 5.0, limits.device_pause_most))
                    case "access_denied":
                        raise SignInDeclined from None
                    case "expired_token":
                        raise SignInFailed("The code has expired.", "Begin again.") from None
                    case _:
                        raise


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _declined(answer: Mapping[str, str]) -> McpmuxError:
    error = error_code(answer.get("error")) or "an error"
    if error == "access_denied":
        return SignInDeclined()
    told = one_line(answer.get("error_description", ""), DESCRIPTION_LIMIT)
    return SignInFailed(
        f"The authorization server answered {error}{f' ({told})' if told else ''}.", "Begin again."
    )


def _with_query(address: str, query: Mapping[str, str]) -> str:
    """The address with these parameters, its own others kept, written anew."""
    parts = urlsplit(address)
    own = [(name, value) for name, value in parse_qsl(parts.query) if name not in query]
    whole = (parts.scheme, parts.netloc, parts.path, urlencode([*own, *query.items()]), "")
    return exchange.written(urlunsplit(whole))


def _host(address: str) -> str:
    return one_line(urlsplit(exchange.written(address)).hostname or "", 200)


def _account(id_token: object) -> str | None:
    """Who signed in, for people: from a token that came straight from its issuer (OIDC 3.1.3.7)."""
    if not isinstance(id_token, str) or id_token.count(".") != 2:
        return None
    payload = id_token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(claims, dict):
        return None
    for name in ("email", "preferred_username", "name"):
        if isinstance(found := claims.get(name), str) and found:
            return one_line(found, 100)
    return None
