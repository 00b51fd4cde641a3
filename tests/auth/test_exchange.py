"""Requests to an authorization server, and what is read of its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest

from mcpmux_tui.auth.exchange import Clients, NoAnswer, Refused, new_client, post_form
from mcpmux_tui.auth.grant import AuthMethod, Registration
from mcpmux_tui.auth.limits import KIB, Limits
from mcpmux_tui.model.secret import Secret
from tests.auth.token_server import Canned, refusal, running

URL = "https://as.example/token"


def answering(response: httpx2.Response, seen: list[httpx2.Request] | None = None) -> Clients:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request)
        return response

    @asynccontextmanager
    async def client(url: str) -> AsyncIterator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as made:
            yield made

    return client


@pytest.mark.behaviour("C21")
async def test_an_endless_answer_is_read_only_so_far() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += KIB
            yield b"x" * KIB

    clients = answering(httpx2.Response(400, content=endless()))
    with pytest.raises(NoAnswer, match="HTTP 400"):
        await post_form(URL, {}, None, clients=clients, limits=replace(Limits(), body=64 * KIB))
    assert read <= 66 * KIB


@pytest.mark.behaviour("LIB-F09")
@pytest.mark.parametrize(
    ("method", "form", "basic"),
    [
        ("none", b"a=b&client_id=c+d", None),
        ("client_secret_post", b"a=b&client_id=c+d&client_secret=s%3A%2B", None),
        ("client_secret_basic", b"a=b&client_id=c+d", "Basic YytkOnMlM0ElMkI="),
    ],
)
async def test_a_client_proves_itself_as_it_was_registered(
    method: AuthMethod, form: bytes, basic: str | None
) -> None:
    seen: list[httpx2.Request] = []
    registration = Registration(
        issuer="https://as.example",
        client_id="c d",
        client_secret=None if method == "none" else Secret("s:+"),
        auth_method=method,
    )
    clients = answering(httpx2.Response(200, json={"ok": 1}), seen)
    assert await post_form(URL, {"a": "b"}, registration, clients=clients) == {"ok": 1}
    [request] = seen
    assert request.content == form
    assert request.headers.get("authorization") == basic
    assert request.headers["accept"] == "application/json"


@pytest.mark.behaviour("C11", "C16")
async def test_no_cookie_is_kept_and_no_redirect_followed() -> None:
    async with running() as server:
        cookie = ((b"set-cookie", b"a=CANARY; path=/"), (b"location", b"/other"))
        server.answer_with("/token", Canned(200, b"{}", cookie), Canned(307, b"", cookie))
        url = f"{server.url}/token"
        await post_form(url, {}, None, clients=new_client)
        with pytest.raises(NoAnswer, match="redirects"):
            await post_form(url, {}, None, clients=new_client)
        assert [each.path for each in server.asked] == ["/token", "/token"]
        assert not [each for each in server.asked if "cookie" in each.headers]


async def test_an_error_with_status_200_is_an_error() -> None:
    async with running() as server:
        server.answer_with("/token", refusal("slow_down", status=200))
        with pytest.raises(Refused) as told:
            await post_form(f"{server.url}/token", {}, None)
        assert told.value.error == "slow_down"
