"""Which requests get a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import httpx2
import pytest

from mcpmux_tui.auth.attach import BearerAuth
from mcpmux_tui.model.spec import HttpLaunch
from tests.auth.rig import Rig, new_grant
from tests.auth.token_server import Canned, running
from tests.fixtures.evil_as import NO_TLS


class Fixed:
    """Credentials that never change and count refusals."""

    def __init__(self) -> None:
        self.refusals: list[tuple[int, list[str], bool]] = []

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer token-{len(self.refusals)}"}

    async def refused(
        self, status: int, challenges: Sequence[str], sent: Mapping[str, str], *, again: bool
    ) -> bool:
        self.refusals.append((status, list(challenges), again))
        return not again


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running() as server:
        yield Rig(server, tmp_path)


@pytest.mark.behaviour("C16", "C11", "C23")
@pytest.mark.parametrize(
    ("own", "other", "attached"),
    [
        ("https://a.example/mcp", "https://a.example/other", True),
        ("https://a.example/mcp", "https://a.example:443/mcp", True),
        ("https://a.example/mcp", "https://b.example/mcp", False),
        ("https://a.example/mcp", "https://x.a.example/mcp", False),
        ("https://a.example/mcp", "https://a.example:8443/mcp", False),
        ("https://a.example/mcp", "http://a.example/mcp", False),
        ("http://a.example/mcp", "http://a.example/mcp", False),
        ("http://localhost:9/mcp", "http://127.0.0.1:9/mcp", True),
        ("http://localhost:9/mcp", "http://[::1]:9/mcp", True),
        ("http://localhost:9/mcp", "http://127.0.0.1:8/mcp", False),
        ("http://127.0.0.1:9/mcp", "http://127.0.0.2:9/mcp", False),
        ("https://a.example/mcp", "https://127.0.0.1/mcp", False),
    ],
)
async def test_only_requests_to_the_servers_own_origin_get_the_token(
    own: str, other: str, attached: bool
) -> None:
    seen: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers.get("authorization"))
        return httpx2.Response(401)

    credentials = Fixed()
    transport = httpx2.MockTransport(answer)
    async with httpx2.AsyncClient(transport=transport, auth=BearerAuth(credentials, own)) as client:
        await client.post(other)
    assert seen == (["Bearer token-0", "Bearer token-1"] if attached else [None])
    assert len(credentials.refusals) == (2 if attached else 0)


@pytest.mark.behaviour("C11", "C16")
@pytest.mark.parametrize("follow", [True, False])
async def test_a_redirect_takes_no_token_along(rig: Rig, follow: bool) -> None:
    async with running() as other:
        rig.store(new_grant(rig.server, rig.hands))
        to = f"{other.url}/mcp".encode()
        rig.server.answer_with("/mcp", Canned(307, b"", ((b"location", to),)))
        url = f"{rig.server.url}/mcp"
        auth = BearerAuth(rig.manager(), url)
        async with httpx2.AsyncClient(
            auth=auth, trust_env=False, verify=NO_TLS, follow_redirects=follow
        ) as client:
            answer = await client.post(url, content=b"{}")
        assert answer.status_code == (401 if follow else 307)
        assert other.calls == ([""] if follow else [])


@pytest.mark.behaviour("H6")
async def test_a_refused_request_is_sent_once_more_as_it_was_and_its_answer_is_not_read() -> None:
    bodies: list[bytes] = []
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x"

    def answer(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.content)
        challenge = {"www-authenticate": 'Bearer error="invalid_token"'}
        return httpx2.Response(401, headers=challenge, content=endless())

    credentials = Fixed()
    url = "https://a.example/mcp"
    async with (
        httpx2.AsyncClient(
            transport=httpx2.MockTransport(answer), auth=BearerAuth(credentials, url)
        ) as client,
        asyncio.timeout(5),
        client.stream("POST", url, content=b"body") as response,
    ):
        assert response.status_code == 401
    assert bodies == [b"body"] * 2
    assert read == 0
    told = ['Bearer error="invalid_token"']
    assert credentials.refusals == [(401, told, False), (401, told, True)]


@pytest.mark.behaviour("MUX-C10", "AMG-C03")
@pytest.mark.parametrize(
    "name", ["Authorization", "authorization", "AUTHORIZATION", " aUthorization "]
)
def test_an_authorization_header_of_its_own_turns_signing_in_off(name: str) -> None:
    assert HttpLaunch("https://a.example", {"X-Other": "1", name: "Bearer x"}).brings_authorization
    assert not HttpLaunch("https://a.example", {"Proxy-Authorization": "x"}).brings_authorization
