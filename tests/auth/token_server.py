"""A small authorization server on loopback with a resource behind it: tokens, no sign-in.

Refresh tokens rotate, and one used twice ends the family, as RFC 9700 (4.14.2) advises.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson

from tests.fixtures.asgi import serving

Scope = Mapping[str, Any]
Send = Callable[[Mapping[str, Any]], Any]
Receive = Callable[[], Any]


@dataclass(frozen=True)
class Canned:
    """An answer that stands in for the usual one."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass
class Asked:
    """One request to an endpoint of the authorization server."""

    path: str
    form: dict[str, str]
    headers: dict[str, str]


@dataclass
class TokenServer:
    """Its state, and switches for tests."""

    url: str = ""
    life: int | None = 3600
    """`expires_in`."""
    rotates: bool = True
    gives_scope: str | None = None
    asked: list[Asked] = field(default_factory=list)
    canned: dict[str, deque[Canned]] = field(default_factory=dict)
    """Answers by path, used one after the other before the usual ones."""
    hold: asyncio.Event | None = None
    """What the token endpoint waits for before it answers."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    good: set[str] = field(default_factory=set)
    """Access tokens the resource accepts."""
    current: str = "refresh-0"
    """The refresh token that is good."""
    spent: set[str] = field(default_factory=set)
    family_ended: bool = False
    calls: list[str] = field(default_factory=list)
    """The `Authorization` of each request to the resource."""
    served: int = 0
    at_once: int = 0
    most_at_once: int = 0
    issued: int = 0

    def to(self, path: str) -> list[Asked]:
        """What was asked of one endpoint."""
        return [each for each in self.asked if each.path == path]

    def answer_with(self, path: str, *canned: Canned) -> None:
        """Have the next requests to `path` answered so."""
        self.canned.setdefault(path, deque()).extend(canned)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        headers = {k.decode().lower(): v.decode() for k, v in scope["headers"]}
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        path = scope["path"].rstrip("/")
        queue = self.canned.get(path)
        canned = queue.popleft() if queue else None
        if path == "/mcp":
            self.calls.append(headers.get("authorization", ""))
            answer = canned or self._resource(headers)
        else:
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self.asked.append(Asked(path, form, headers))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.arrived.set()
            if self.hold is not None:
                await self.hold.wait()
            self.at_once -= 1
            if canned is None and path == "/token":
                canned = self._token(form)
            answer = canned or Canned()
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        )
        await send({"type": "http.response.body", "body": answer.body})

    def _resource(self, headers: Mapping[str, str]) -> Canned:
        if headers.get("authorization", "").removeprefix("Bearer ") in self.good:
            self.served += 1
            return Canned(body=b"{}")
        metadata = f"{self.url}/.well-known/oauth-protected-resource"
        told = f'Bearer error="invalid_token", resource_metadata="{metadata}"'
        return Canned(401, b"x" * 100_000, ((b"www-authenticate", told.encode()),))

    def _token(self, form: Mapping[str, str]) -> Canned:
        sent = form.get("refresh_token", "")
        if sent in self.spent:
            self.family_ended = True
            self.good.clear()
        if self.family_ended or sent != self.current:
            return refusal("invalid_grant")
        self.issued += 1
        access = f"access-{self.issued}"
        self.good = {access}
        answer: dict[str, object] = {"access_token": access, "token_type": "bearer"}
        if self.life is not None:
            answer["expires_in"] = self.life
        if self.gives_scope is not None:
            answer["scope"] = self.gives_scope
        if self.rotates:
            self.spent.add(sent)
            self.current = answer["refresh_token"] = f"refresh-{self.issued}"
        return Canned(body=orjson.dumps(answer))


def refusal(error: str, description: str = "", status: int = 400) -> Canned:
    """An OAuth error (RFC 6749, 5.2)."""
    answer = {"error": error, "error_description": description}
    return Canned(status, orjson.dumps(answer), ((b"content-type", b"application/json"),))


@asynccontextmanager
async def running(server: TokenServer | None = None) -> AsyncIterator[TokenServer]:
    """Serve on a free loopback port."""
    server = server or TokenServer()

    def told(url: str) -> None:
        server.url = url

    async with serving(server, told):
        try:
            yield server
        finally:
            if server.hold is not None:
                server.hold.set()
