"""From a server's address to where and how one signs in to it.

Spec: MCP 2025-11-25 basic/authorization; RFC 9728 (the resource's metadata), RFC 8414 and OpenID
Connect Discovery (the authorization server's). This module imports httpx2 and the SDK.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    issuers_match,
)

from mcpmux_tui.auth.challenge import Challenge, scope_list
from mcpmux_tui.auth.exchange import is_protected, written
from mcpmux_tui.auth.failed import SignInFailed
from mcpmux_tui.auth.fetch import Answer, Fetcher, shown
from mcpmux_tui.auth.grant import Endpoints
from mcpmux_tui.model.spec import OAuthSpec

_OFFLINE: Final = "offline_access"
_SCOPES: Final = 100


@dataclass(frozen=True, slots=True)
class Discovery:
    """Everything a sign-in needs to know of the other side."""

    resource: str
    """The resource indicator (RFC 8707): as the server publishes it, else its address."""
    issuer: str
    endpoints: Endpoints
    scopes: tuple[str, ...] = ()
    """To ask for."""
    takes_metadata_url: bool = False
    """Whether a client id may be the address of a document (client id metadata)."""
    names_issuer: bool = False
    """Whether its answers carry `iss` (RFC 9207)."""
    auth_methods: tuple[str, ...] = ()
    """How clients may prove themselves at the token endpoint; empty where it does not say."""
    pkce: bool = False
    """Whether it says that it knows PKCE with S256 (RFC 7636)."""
    guessed: bool = False
    """Nobody says where one signs in: the usual addresses are taken."""
    concerns: tuple[str, ...] = ()
    """What a person should say yes to before anything is sent, a sentence each."""


async def discover(
    url: str,
    challenge: Challenge | None,
    spec: OAuthSpec,
    fetcher: Fetcher,
    *,
    missing: Sequence[str] = (),
) -> Discovery:
    """Find out where one signs in; `missing` are scopes to ask for besides. Raises SignInFailed."""
    try:
        return await _discover(url, challenge, spec, fetcher, missing)
    except ValueError as error:
        raise SignInFailed(
            "What the server says about signing in holds an address that is none.",
            "Ask its operator.",
        ) from error


async def _discover(
    url: str,
    challenge: Challenge | None,
    spec: OAuthSpec,
    fetcher: Fetcher,
    missing: Sequence[str],
) -> Discovery:
    resource = canonical(url)
    told = challenge.resource_metadata if challenge is not None else None
    metadata = await _resource_metadata(url, told, fetcher)
    concerns: list[str] = []
    listed: tuple[str, ...] = ()
    guessed = False
    if metadata is None:
        issuer = _origin(url)
        concerns.append(
            f"The server does not say where one signs in; {urlsplit(url).netloc} itself is asked."
        )
        server = await _server_metadata(None, url, fetcher)
        if not server:
            server, guessed = _guessed(issuer), True
            concerns.append("It does not say how either: the usual addresses are tried.")
    else:
        resource, concern = _published(metadata.get("resource"), resource)
        if concern:
            concerns.append(concern)
        named = metadata.get("authorization_servers")
        first = named[0] if isinstance(named, list) and named else None
        if not isinstance(first, str):
            raise SignInFailed(
                "The server names no authorization server.", "Ask its operator how to sign in."
            )
        issuer = first
        listed = _strings(metadata.get("scopes_supported"))
        server = await _server_metadata(issuer, url, fetcher)
        if not server:
            raise SignInFailed(
                f"{shown(issuer)} does not say how one signs in there.",
                "Ask the server's operator.",
            )
        issuer = str(server.get("issuer"))
    _require_pkce(server, spec)
    endpoints = await _endpoints(server, fetcher)
    concerns += _elsewhere(issuer, endpoints)
    wanted = spec.scopes or (challenge.scopes if challenge is not None else ()) or listed
    scopes = dict.fromkeys((*wanted, *missing))
    if scopes and _OFFLINE in _strings(server.get("scopes_supported")):
        scopes[_OFFLINE] = None
    return Discovery(
        resource=resource,
        issuer=issuer,
        endpoints=endpoints,
        scopes=tuple(scopes)[:_SCOPES],
        takes_metadata_url=server.get("client_id_metadata_document_supported") is True,
        names_issuer=server.get("authorization_response_iss_parameter_supported") is True,
        auth_methods=_strings(server.get("token_endpoint_auth_methods_supported")),
        pkce=not guessed and "S256" in _strings(server.get("code_challenge_methods_supported")),
        guessed=guessed,
        concerns=tuple(concerns),
    )


def canonical(url: str) -> str:
    """A server's address as a resource indicator: no fragment, no query, no trailing slash."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{path}"


async def _resource_metadata(
    url: str, told: str | None, fetcher: Fetcher
) -> Mapping[str, object] | None:
    for address in build_protected_resource_metadata_discovery_urls(told, url):
        answer = await fetcher.get(address)
        if answer.status == 200 and answer.body:
            return answer.body
        _require_absence(answer, address)
    return None


async def _server_metadata(
    issuer: str | None, url: str, fetcher: Fetcher
) -> Mapping[str, object] | None:
    """The metadata of an authorization server; None where it has none. Raises SignInFailed."""
    for address in build_oauth_authorization_server_metadata_discovery_urls(issuer, url):
        answer = await fetcher.get(address)
        if answer.status == 200 and answer.body:
            named = answer.body.get("issuer")
            expected = issuer or _origin(url)
            if not isinstance(named, str) or not issuers_match(named, expected):
                raise SignInFailed(
                    f"{shown(address)} speaks for another issuer than {shown(expected)}.",
                    "This may be an attack; ask the server's operator.",
                )
            return answer.body
        _require_absence(answer, address)
    return None


def _require_absence(answer: Answer, address: str) -> None:
    """Only "not here" leads on to the next address: trouble is no reason to guess (C22)."""
    if answer.status in {400, 401, 403, 404, 405, 410} or answer.status == 200:
        return
    raise SignInFailed(f"{shown(address)} answered HTTP {answer.status}.", "Try again later.")


def _require_pkce(server: Mapping[str, object], spec: OAuthSpec) -> None:
    methods = server.get("code_challenge_methods_supported")
    if methods is None and spec.allow_missing_pkce_metadata:
        return
    if "S256" not in _strings(methods):
        raise SignInFailed(
            "Its authorization server does not say that it knows PKCE with S256, without which a"
            " sign-in can be stolen.",
            "If you trust it: `oauth = { allow_missing_pkce_metadata = true }` in its entry."
            if methods is None
            else "Ask its operator.",
        )


async def _endpoints(server: Mapping[str, object], fetcher: Fetcher) -> Endpoints:
    found = {
        kind: address
        for kind, key in (
            ("authorization", "authorization_endpoint"),
            ("token", "token_endpoint"),
            ("revocation", "revocation_endpoint"),
            ("device", "device_authorization_endpoint"),
            ("registration", "registration_endpoint"),
        )
        if isinstance(address := server.get(key), str) and address
    }
    for need in ("authorization", "token"):
        if need not in found:
            raise SignInFailed(
                f"Its authorization server names no {need} endpoint.", "Ask its operator."
            )
    for kind, address in found.items():
        if not is_protected(address):
            raise SignInFailed(
                f"Its authorization server names an unsafe {kind} endpoint: {shown(address)}.",
                "Only https is used, or http on this machine. Ask its operator.",
            )
        if kind != "authorization":
            await fetcher.check(address)
    return Endpoints(
        authorization=found["authorization"],
        token=found["token"],
        revocation=found.get("revocation"),
        device=found.get("device"),
        registration=found.get("registration"),
    )


def _published(named: object, resource: str) -> tuple[str, str]:
    """The resource a server says it is, to the letter (RFC 9728, 3.3), and what a person should
    know about that. Raises SignInFailed."""
    if not isinstance(named, str):
        return resource, ""
    theirs = canonical(named) if "#" not in named else ""
    if theirs == resource:
        return named, ""
    if theirs == _origin(resource):
        host = urlsplit(resource).netloc
        return named, f"The sign-in is good for all of {host}, not this server alone."
    raise SignInFailed(
        f"The server says that it is {shown(named)}, which is not its address.",
        "Correct `url` in its entry, or ask its operator.",
    )


def _elsewhere(issuer: str, endpoints: Endpoints) -> list[str]:
    """Endpoints on another site than their issuer (C5)."""
    own = urlsplit(issuer).hostname or ""
    return [
        f"Its {kind} endpoint is at {urlsplit(written(address)).hostname}, not at {own}."
        for kind, address in (
            ("token", endpoints.token),
            ("registration", endpoints.registration),
            ("device", endpoints.device),
        )
        if address is not None and not _same_site(own, urlsplit(address).hostname or "")
    ]


def _same_site(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        ipaddress.ip_address(one)
    except ValueError:
        return other.endswith(f".{one}") or one.endswith(f".{other}")
    return False


def _guessed(origin: str) -> dict[str, object]:
    """The addresses of MCP 2025-03-26, where a server says nothing."""
    return {
        "issuer": origin,
        "authorization_endpoint": urljoin(origin, "/authorize"),
        "token_endpoint": urljoin(origin, "/token"),
        "registration_endpoint": urljoin(origin, "/register"),
        "code_challenge_methods_supported": ["S256"],
    }


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return scope_list(" ".join(each for each in value if isinstance(each, str)))
