"""Requests to an authorization server's own endpoints, and what its answers may tell.

Forms are posted to addresses a person agreed to; a redirect is an error, an answer is read up to a
cap, and its words are cleaned, cut, and rid of what was sent. This module imports httpx2: import it
at the first request, in a thread.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Final
from urllib.parse import quote, quote_plus

import httpx2

from mcpmux_tui import __version__
from mcpmux_tui.auth.challenge import DESCRIPTION_LIMIT, error_code, scope_list
from mcpmux_tui.auth.grant import Grant, Registration, Tokens
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.hosts import is_loopback
from mcpmux_tui.model.retry_after import asked_pause
from mcpmux_tui.model.secret import MASK, Secret
from mcpmux_tui.text import one_line

Clients = Callable[[str], AbstractAsyncContextManager[httpx2.AsyncClient]]
"""Gives a client for one request to an address; a new one each, so that no cookie is kept."""

_HIDDEN: Final = frozenset(
    {
        "client_secret",
        "code",
        "code_verifier",
        "device_code",
        "refresh_token",
        "state",
        "token",
    }
)
"""Fields of a form whose values an answer must not bring to light."""
_SENDABLE = re.compile(r"[\x21-\x7e]{1,65536}")
_LAST_PORT: Final = 65_535
_LONGEST_LIFE: Final = 10 * 365 * 86_400.0


class Refused(McpmuxError):
    """An authorization server said no in OAuth's own words (RFC 6749, 5.2).

    `error` is its code, such as "invalid_grant".
    """

    def __init__(self, host: str, error: str, description: str = "") -> None:
        super().__init__(f"{host} refused: {error}{f' ({description})' if description else ''}.")
        self.error = error
        self.description = description


class NoAnswer(McpmuxError):
    """An authorization server could not be reached, or answered nothing that can be used.

    What was agreed with it stays good; a later try may do. `retry_after`: seconds it asked for.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message, "Try again later.")
        self.retry_after = retry_after


@asynccontextmanager
async def new_client(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """The usual client: the system's trust, no cookies of others, no redirects."""
    parsed = httpx2.URL(url)
    client = httpx2.AsyncClient(
        headers={"user-agent": f"mcpmux/{__version__}"},
        verify=await asyncio.to_thread(_trust, parsed.scheme),
        follow_redirects=False,
        # A proxy from the environment has no way to this machine's loopback.
        trust_env=not is_loopback(parsed.host),
    )
    async with client:
        yield client


def is_protected(url: str) -> bool:
    """Whether a secret may be sent to `url`: by https, or to this machine."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    if not parsed.host or parsed.userinfo or (parsed.port or 0) > _LAST_PORT:
        return False
    return parsed.scheme == "https" or (parsed.scheme == "http" and is_loopback(parsed.host))


def written(url: str) -> str:
    """An address as it may be shown, copied and opened: ASCII alone, so nothing in it acts, hides
    or looks like another name (other scripts in a host's name are punycode)."""
    return str(httpx2.URL(url))


async def post_form(
    url: str,
    form: Mapping[str, str],
    registration: Registration | None,
    *,
    clients: Clients | None = None,
    limits: Limits | None = None,
) -> dict[str, object]:
    """Post `form` as the client that `registration` describes; return the JSON object answered.

    An empty dict stands for an empty or other answer with status 200. Raises Refused and NoAnswer.
    """
    limits = limits or Limits()
    host = _host(url)
    if not is_protected(url):
        raise NoAnswer(f"{host} is not asked: its address is not https.")
    fields, headers = _as_client(form, registration)
    try:
        async with (
            asyncio.timeout(limits.answer),
            (clients or new_client)(url) as client,
            client.stream(
                "POST", url, data=fields, headers=headers, follow_redirects=False, timeout=None
            ) as response,
        ):
            body = await _body(response, limits.body)
    except TimeoutError:
        raise NoAnswer(f"{host} did not answer within {limits.answer:g} s.") from None
    except (httpx2.HTTPError, OSError) as error:
        raise NoAnswer(f"{host} could not be asked ({type(error).__name__}).") from error
    secrets = [value for name, value in fields.items() if name in _HIDDEN]
    if registration is not None and registration.client_secret:
        secrets.append(registration.client_secret.reveal())
    return _read(response, body, host, secrets)


async def refresh(
    grant: Grant,
    *,
    wall: Callable[[], float],
    clients: Clients | None = None,
    limits: Limits | None = None,
) -> Tokens:
    """Newer tokens for those of `grant` (RFC 6749, 6; RFC 8707). Raises Refused and NoAnswer."""
    tokens = grant.tokens
    if tokens is None or tokens.refresh is None:
        raise ValueError("nothing to refresh")
    form = {
        "grant_type": "refresh_token",
        "refresh_token": tokens.refresh.reveal(),
        "resource": grant.resource,
    }
    if tokens.scopes:
        form["scope"] = " ".join(tokens.scopes)
    url = grant.endpoints.token
    answer = await post_form(url, form, grant.registration, clients=clients, limits=limits)
    return tokens_in(answer, _host(url), now=wall(), before=tokens)


def tokens_in(
    answer: Mapping[str, object], host: str, *, now: float, before: Tokens | None = None
) -> Tokens:
    """The tokens of a token endpoint's answer (RFC 6749, 5.1).

    What it leaves out stays as it was `before`. Scopes that it leaves out at a sign-in are those
    asked for. Raises NoAnswer.
    """
    access = answer.get("access_token")
    kind = answer.get("token_type", "bearer")
    if not isinstance(access, str) or not _SENDABLE.fullmatch(access):
        raise NoAnswer(f"{host} answered without an access token that can be used.")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NoAnswer(f"{host} answered with another kind of token than Bearer.")
    renewing = answer.get("refresh_token") or None
    if renewing is not None and not (isinstance(renewing, str) and _SENDABLE.fullmatch(renewing)):
        raise NoAnswer(f"{host} answered with a refresh token that cannot be used.")
    scope = answer.get("scope")
    life = _seconds(answer.get("expires_in"))
    return Tokens(
        access=Secret(access),
        refresh=Secret(renewing) if renewing else (before.refresh if before else None),
        obtained_at=now,
        expires_at=None if life is None else now + life,
        scopes=scope_list(scope)
        if isinstance(scope, str) and scope
        else (before.scopes if before else ()),
    )


def _as_client(
    form: Mapping[str, str], registration: Registration | None
) -> tuple[dict[str, str], dict[str, str]]:
    """The form and the headers by which a client proves itself (RFC 6749, 2.3.1)."""
    fields, headers = dict(form), {"accept": "application/json"}
    if registration is None:
        return fields, headers
    # Beside Basic too: servers made with the MCP SDK look for it there first.
    fields["client_id"] = registration.client_id
    secret = registration.client_secret.reveal() if registration.client_secret else ""
    if registration.auth_method == "client_secret_basic":
        basic = httpx2.BasicAuth(quote_plus(registration.client_id), quote_plus(secret))
        request = next(basic.sync_auth_flow(httpx2.Request("POST", "https://localhost")))
        headers["authorization"] = request.headers["authorization"]
    elif registration.auth_method == "client_secret_post":
        fields["client_secret"] = secret
    return fields, headers


async def _body(response: httpx2.Response, cap: int) -> bytes:
    body = b""
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > cap:
                break
    return body[:cap]


def _read(
    response: httpx2.Response, body: bytes, host: str, secrets: list[str]
) -> dict[str, object]:
    status = response.status_code
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    if status == 200 and "error" not in answer:
        return answer
    pause = asked_pause(response.headers.get("retry-after"))
    if 300 <= status < 400:
        raise NoAnswer(f"{host} redirects where it should answer (HTTP {status}).")
    told = answer.get("error")
    error = error_code(told)
    if error is None or error in secrets or status >= 500 or status == 429:
        raise NoAnswer(f"{host} answered HTTP {status}.", retry_after=pause)
    description = answer.get("error_description")
    raise Refused(host, error, _told(description if isinstance(description, str) else "", secrets))


def _told(text: str, secrets: list[str]) -> str:
    """What an answer says, for people: short, clean, and without what was sent."""
    for secret in secrets:
        for form in {secret, quote(secret, safe=""), quote_plus(secret)} - {""}:
            text = text.replace(form, MASK)
    return one_line(text, DESCRIPTION_LIMIT)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds) or seconds <= 0:
        return None
    return min(seconds, _LONGEST_LIFE)


def _host(url: str) -> str:
    try:
        return one_line(httpx2.URL(url).netloc.decode("ascii"), 200) or "the authorization server"
    except httpx2.InvalidURL:
        return "the authorization server"


def _trust(scheme: str) -> ssl.SSLContext:
    # Loading the system's certificates takes a while: not for plain HTTP, and only once.
    return _system_trust() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _system_trust() -> ssl.SSLContext:
    return httpx2.create_ssl_context()
