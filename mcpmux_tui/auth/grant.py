"""What is kept of one sign-in: the vault item `server/<name>`, as JSON.

Everything a refresh needs stands here and was agreed to by a person at the sign-in; nothing is
discovered anew without one.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.model.secret import REVEAL, Secret

AuthMethod = Literal["none", "client_secret_post", "client_secret_basic"]
"""How a client proves itself at the token endpoint (RFC 7591, section 2)."""

REFUSAL_LASTS: Final = 24 * 3600.0
"""Seconds for which scopes that a person did not grant are not asked for again."""


class _Kept(BaseModel):
    # What pydantic says about a bad value would repeat the value.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Endpoints(_Kept):
    """An authorization server's endpoints, as a person agreed to them (RFC 8414, section 2)."""

    authorization: str
    token: str
    revocation: str | None = None
    device: str | None = None
    registration: str | None = None


class Registration(_Kept):
    """Who mcpmux is to one authorization server (RFC 7591, section 3.2.1)."""

    issuer: str
    client_id: str
    client_secret: Secret | None = None
    auth_method: AuthMethod = "none"
    redirect_uri: str | None = None
    made_here: bool = False
    """Registered by mcpmux, which may register anew; else it stands in the config."""
    secret_expires_at: float | None = None
    """Wall clock; None: never."""
    scopes: tuple[str, ...] | None = None
    """All it may ask for; None where its registration named none."""

    def serves(
        self, issuer: str, redirect_uri: str, now: float, scopes: tuple[str, ...] = ()
    ) -> bool:
        """Whether a sign-in at `issuer` for `scopes` that returns to `redirect_uri` can use it."""
        return (
            self.issuer == issuer
            and self.redirect_uri == redirect_uri
            and (self.scopes is None or set(scopes) <= set(self.scopes))
            and (self.secret_expires_at is None or now < self.secret_expires_at)
        )


class Tokens(_Kept):
    """Bearer tokens that a token endpoint gave (RFC 6749, section 5.1; RFC 6750)."""

    access: Secret
    refresh: Secret | None = None
    obtained_at: float
    """Wall clock."""
    expires_at: float | None = None
    """Wall clock; None where the server did not say."""
    scopes: tuple[str, ...] = ()


class Refusal(_Kept):
    """Scopes that a person did not grant."""

    scopes: tuple[str, ...]
    at: float
    """Wall clock."""


class Grant(_Kept):
    """All that is kept of one server's sign-in."""

    binding: str
    """What `binding` gave for the server's address and client; under others it is of no use."""
    resource: str
    """The resource indicator tokens were asked for (RFC 8707)."""
    issuer: str
    endpoints: Endpoints
    registration: Registration | None = None
    """None after the authorization server no longer knew the client."""
    tokens: Tokens | None = None
    """None while signed out."""
    account: str | None = None
    """Who is signed in, where the authorization server told."""
    missing_scopes: tuple[str, ...] = ()
    """What the server asked for besides, for the next sign-in to ask for too."""
    refusals: tuple[Refusal, ...] = ()

    @model_validator(mode="after")
    def _credentials_belong_to_the_issuer(self) -> Self:
        if self.registration is not None and self.registration.issuer != self.issuer:
            raise ValueError("the client was registered with another issuer")
        return self

    @classmethod
    def parse(cls, text: str, server: str) -> Self:
        """Read a vault item. Raises VaultError."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            # The cause is left out: it may quote the item.
            del error
        raise VaultError(
            f"What the keyring holds about the sign-in to {server} cannot be read.",
            "Sign in anew; that replaces it.",
        )

    def to_item(self) -> str:
        """The text for the vault, secrets included."""
        return self.model_dump_json(context=REVEAL, exclude_defaults=True)

    def signed_out(self, *, drop_registration: bool = False) -> Self:
        """The same without tokens."""
        kept = None if drop_registration else self.registration
        return self.model_copy(update={"tokens": None, "registration": kept, "account": None})

    def renewed(self, tokens: Tokens) -> Self:
        """The same with newer tokens."""
        return self.model_copy(update={"tokens": tokens})

    def missing(self, scopes: tuple[str, ...]) -> Self:
        """The same, with scopes a server wants besides those granted."""
        more = dict.fromkeys((*self.missing_scopes, *scopes))
        return self.model_copy(update={"missing_scopes": tuple(more)})

    def refused(self, scopes: tuple[str, ...], now: float) -> Self:
        """The same after a person did not grant `scopes`."""
        alive = (each for each in self.refusals if 0 <= now - each.at < REFUSAL_LASTS)
        return self.model_copy(update={"refusals": (*alive, Refusal(scopes=scopes, at=now))})

    def lately_refused(self, scopes: tuple[str, ...], now: float) -> bool:
        """Whether a person did not grant all of `scopes`, less than a day ago."""
        declined = {
            scope
            for each in self.refusals
            if 0 <= now - each.at < REFUSAL_LASTS
            for scope in each.scopes
        }
        return bool(scopes) and declined.issuperset(scopes)

    def differences(self, issuer: str, endpoints: Endpoints) -> tuple[str, ...]:
        """What a discovery found elsewhere than a person agreed to, each as a few plain words.

        Anything here needs a person's yes before a code, a token or a secret is sent there.
        """
        pairs = [("issuer", self.issuer, issuer)] + [
            (f"{kind} endpoint", getattr(self.endpoints, kind), getattr(endpoints, kind))
            for kind in Endpoints.model_fields
        ]
        return tuple(
            f"{what}: {new or 'none'} instead of {old or 'none'}"
            for what, old, new in pairs
            if old != new
        )


def item(server: str) -> str:
    """The name of a server's vault item."""
    return f"server/{server}"


def binding(
    url: str,
    *,
    client_id: str | None = None,
    client_secret: Secret | None = None,
    metadata_url: str | None = None,
) -> str:
    """A digest of the address and the configured client that a grant is good for.

    All with placeholders filled. A change makes a kept grant useless instead of sending its
    tokens elsewhere.
    """
    secret = client_secret.reveal() if client_secret else None
    parts = json.dumps([url, client_id, secret, metadata_url])
    return hashlib.sha256(parts.encode("utf-8")).hexdigest()
