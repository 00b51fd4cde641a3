"""The demo's authorization server: one consent page, everything in memory.

Whoever can open the page is who they say they are; this is a place to try a sign-in, not to keep
anything. The endpoints and their rules are the SDK's (`mcp.server.auth`).
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from html import escape
from typing import Final, TypeVar

from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    RegistrationError,
    construct_redirect_uri,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

CONSENT: Final = "/consent"
LIFE: Final = 300
"""Seconds an access token is good for."""
_CODE_LIFE: Final = 60
_MOST: Final = 100
"""Of each kind; the oldest goes first."""
_NAME: Final = 40
_HEADERS: Final = {
    # The answer to the form leads to the listener of whoever asked, on this machine.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline';"
    " form-action 'self' http://127.0.0.1:*; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sign in</title>
<meta name="viewport" content="width=device-width">
<style>
 body {{ font: 17px/1.5 system-ui, sans-serif; max-width: 27em; margin: 4em auto; padding: 0 1em;
        color: #1d242c; background: #fbfcfd }}
 main {{ border: 1px solid #b3bfcb; border-radius: 8px; padding: 1em 1.5em }}
 input, button {{ font: inherit; padding: .35em .8em; border: 1px solid #b3bfcb;
                 border-radius: 6px }}
 button[value=allow] {{ background: #0b5cad; border-color: #0b5cad; color: #fff }}
 small {{ color: #566270 }}
</style>
<main>
 <h1>{title}</h1>
 {body}
</main>
"""
_FORM: Final = """<p><b>{client}</b> asks to read and write the demo's journal in your name.</p>
 <form method="post">
  <input type="hidden" name="ticket" value="{ticket}">
  <p><label>Your name <input name="name" value="Ada" maxlength="{most}" required></label></p>
  <p><button name="answer" value="allow">Allow</button>
     <button name="answer" value="deny" formnovalidate>Deny</button></p>
 </form>
 <small>The answer goes to {host}. Nothing leaves this machine.</small>"""

T = TypeVar("T")


class Tokens(OAuthToken):
    """Tokens, and who they belong to (OpenID Connect Core, 3.1.3.3)."""

    id_token: str


class Accounts(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Who may do what, and the page that asks people."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._clients: dict[str, OAuthClientInformationFull] = {}
        self._asked: dict[str, tuple[OAuthClientInformationFull, AuthorizationParams]] = {}
        self._codes: dict[str, AuthorizationCode] = {}
        self._access: dict[str, AccessToken] = {}
        self._refresh: dict[str, RefreshToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        """A registered client."""
        return self._clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Take one in. Raises RegistrationError where answers would leave this machine."""
        for uri in client_info.redirect_uris or ():
            if uri.host not in {"127.0.0.1", "localhost", "[::1]"}:
                raise RegistrationError("invalid_redirect_uri", "Only this machine.")
        _keep(self._clients, client_info.client_id or "", client_info)

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        """Where a person consents."""
        ticket = secrets.token_urlsafe(24)
        _keep(self._asked, ticket, (client, params))
        return f"{self._issuer}{CONSENT}?ticket={ticket}"

    async def consent(self, request: Request) -> Response:
        """The page, and what a person answers there."""
        form = await request.form() if request.method == "POST" else request.query_params
        ticket = str(form.get("ticket", ""))
        asked = self._asked.get(ticket)
        if asked is None:
            return _page("Too late", "<p>This sign-in is over. Begin again.</p>", status=400)
        client, params = asked
        name = str(form.get("name", "")).strip()[:_NAME]
        match form.get("answer"):
            case "allow" if name:
                answer = {"code": self._code(client, params, name)}
            case "deny":
                answer = {"error": "access_denied"}
            case _:
                host = params.redirect_uri.host or ""
                who = client.client_name or "A program"
                return _page(
                    "Sign in",
                    _FORM.format(
                        client=escape(who), ticket=escape(ticket), host=escape(host), most=_NAME
                    ),
                )
        del self._asked[ticket]
        target = construct_redirect_uri(
            str(params.redirect_uri), state=params.state, iss=self._issuer, **answer
        )
        return RedirectResponse(target, status_code=303, headers=_HEADERS)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        """A code, which is good once."""
        return self._codes.pop(authorization_code, None)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        """Tokens for it."""
        return self._issue(authorization_code, authorization_code.scopes)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        """A refresh token."""
        return self._refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        """Newer tokens; the old ones are good no more."""
        await self.revoke_token(refresh_token)
        return self._issue(refresh_token, scopes)

    async def load_access_token(self, token: str) -> AccessToken | None:
        """An access token that has not run out."""
        found = self._access.get(token)
        return found if found is not None and (found.expires_at or 0) > time.time() else None

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        """End what one client may do in one person's name."""
        ended = (token.client_id, token.subject)
        self._access = {
            key: each
            for key, each in self._access.items()
            if (each.client_id, each.subject) != ended
        }
        self._refresh = {
            key: each
            for key, each in self._refresh.items()
            if (each.client_id, each.subject) != ended
        }

    def _code(
        self, client: OAuthClientInformationFull, params: AuthorizationParams, name: str
    ) -> str:
        code = AuthorizationCode(
            code=secrets.token_urlsafe(24),
            scopes=params.scopes or [],
            expires_at=time.time() + _CODE_LIFE,
            client_id=client.client_id or "",
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
            subject=name,
        )
        _keep(self._codes, code.code, code)
        return code.code

    def _issue(self, grant: AuthorizationCode | RefreshToken, scopes: list[str]) -> Tokens:
        access = AccessToken(
            token=secrets.token_urlsafe(24),
            client_id=grant.client_id,
            scopes=scopes,
            expires_at=int(time.time()) + LIFE,
            resource=grant.resource,
            subject=grant.subject,
        )
        refresh = RefreshToken(
            token=secrets.token_urlsafe(24),
            client_id=grant.client_id,
            scopes=scopes,
            resource=grant.resource,
            subject=grant.subject,
        )
        _keep(self._access, access.token, access)
        _keep(self._refresh, refresh.token, refresh)
        return Tokens(
            access_token=access.token,
            refresh_token=refresh.token,
            expires_in=LIFE,
            id_token=f"{_part({'alg': 'none'})}.{_part({'name': grant.subject or ''})}.",
        )


def _keep(kept: dict[str, T], key: str, value: T) -> None:
    kept[key] = value
    if len(kept) > _MOST:
        del kept[next(iter(kept))]


def _part(claims: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode("ascii")


def _page(title: str, body: str, *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=title, body=body), status, headers=_HEADERS)
