"""Who mcpmux is to an authorization server: configured, kept, a document's address, or registered.

Spec: RFC 7591 (dynamic registration), RFC 8252 (native apps). This module imports httpx2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mcpmux_tui.auth.challenge import error_code
from mcpmux_tui.auth.discovery import Discovery
from mcpmux_tui.auth.failed import SignInFailed
from mcpmux_tui.auth.fetch import Fetcher
from mcpmux_tui.auth.grant import AuthMethod, Registration
from mcpmux_tui.model.secret import Secret
from mcpmux_tui.model.spec import OAuthSpec
from mcpmux_tui.text import one_line

_METHODS: Final[tuple[AuthMethod, ...]] = ("none", "client_secret_basic", "client_secret_post")


async def registration(
    discovery: Discovery,
    spec: OAuthSpec,
    kept: Registration | None,
    redirect_uri: str,
    fetcher: Fetcher,
    *,
    server: str,
    wall: Callable[[], float],
) -> Registration:
    """The client to sign in to `server` as. Raises SignInFailed."""
    now = wall()
    client = known(discovery, spec, kept, redirect_uri, now)
    if client is not None:
        return client
    return await _register(discovery, redirect_uri, fetcher, server=server, now=now)


def known(
    discovery: Discovery,
    spec: OAuthSpec,
    kept: Registration | None,
    redirect_uri: str,
    now: float,
) -> Registration | None:
    """The client that needs no registering; None where there is none."""
    issuer, scopes = discovery.issuer, discovery.scopes
    if spec.client_id:
        return Registration(
            issuer=issuer,
            client_id=spec.client_id,
            client_secret=Secret(spec.client_secret) if spec.client_secret else None,
            auth_method=_method(discovery) if spec.client_secret else "none",
            redirect_uri=redirect_uri,
        )
    if spec.client_metadata_url and discovery.takes_metadata_url:
        return Registration(
            issuer=issuer, client_id=spec.client_metadata_url, redirect_uri=redirect_uri
        )
    if kept is not None and kept.made_here and kept.serves(issuer, redirect_uri, now, scopes):
        return kept
    return None


def endpoint(discovery: Discovery) -> str:
    """Where clients register by themselves. Raises SignInFailed."""
    address = discovery.endpoints.registration
    if address is None:
        raise SignInFailed(
            "Its authorization server registers no clients by itself.",
            "Register mcpmux there, and put `oauth = { client_id = ... }` into its entry.",
        )
    return address


def _method(discovery: Discovery) -> AuthMethod:
    """How to prove a secret: as RFC 8414 has it where the server does not say."""
    methods = discovery.auth_methods
    if "client_secret_post" in methods and "client_secret_basic" not in methods:
        return "client_secret_post"
    return "client_secret_basic"


async def _register(
    discovery: Discovery, redirect_uri: str, fetcher: Fetcher, *, server: str, now: float
) -> Registration:
    address = endpoint(discovery)
    device = discovery.endpoints.device is not None
    wish = "none" if not discovery.auth_methods or "none" in discovery.auth_methods else None
    asked: dict[str, object] = {
        # Two rows at one authorization server are two clients: a person can tell them apart there.
        "client_name": f"mcpmux ({server})",
        "application_type": "native",
        "redirect_uris": [redirect_uri],
        "grant_types": [
            "authorization_code",
            "refresh_token",
            *(["urn:ietf:params:oauth:grant-type:device_code"] if device else []),
        ],
        "response_types": ["code"],
        "token_endpoint_auth_method": wish or _method(discovery),
    }
    if discovery.scopes:
        asked["scope"] = " ".join(discovery.scopes)
    answer = await fetcher.post(address, asked)
    if answer.body.get("error") == "invalid_client_metadata" and asked.pop("scope", None):
        # Some know a resource's scopes only where one signs in to it; others need them here.
        answer = await fetcher.post(address, asked)
    client_id = answer.body.get("client_id")
    if answer.status not in {200, 201} or not isinstance(client_id, str) or not client_id:
        why = error_code(answer.body.get("error")) or f"HTTP {answer.status}"
        raise SignInFailed(
            f"Its authorization server did not register mcpmux ({one_line(why, 80)}).",
            "Register it there by hand, and put `oauth = { client_id = ... }` into its entry.",
        )
    secret = answer.body.get("client_secret")
    method = answer.body.get("token_endpoint_auth_method", asked["token_endpoint_auth_method"])
    given = isinstance(secret, str) and bool(secret)
    expires = answer.body.get("client_secret_expires_at")
    lasting = not isinstance(expires, int | float) or isinstance(expires, bool) or expires <= 0
    return Registration(
        issuer=discovery.issuer,
        client_id=client_id,
        client_secret=Secret(str(secret)) if given else None,
        auth_method=method if given and method in _METHODS else "none",
        redirect_uri=redirect_uri,
        made_here=True,
        scopes=discovery.scopes if "scope" in asked else None,
        secret_expires_at=None if lasting else float(expires),  # type: ignore[arg-type]
    )
