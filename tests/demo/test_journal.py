"""The demo's server that one signs in to, as mcpmux meets it and as a browser does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from mcpmux_tui import demo
from mcpmux_tui.auth.exchange import Refused, post_form
from mcpmux_tui.auth.grant import Registration
from mcpmux_tui.control.protocol import Login
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.person import Person
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import Health
from tests.engine.test_hub import running, until
from tests.engine.test_sign_ins import row
from tests.fixtures.evil_as import NO_TLS

Answer = Callable[[str], dict[str, str]]


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(verify=NO_TLS, trust_env=False)


@asynccontextmanager
async def journal(tmp_path: Path) -> AsyncIterator[Hub]:
    """An engine with the demo's journal alone."""
    async with demo.HttpServer() as server:
        entry = f"[servers.journal]\nurl = '{server.origin}/journal/mcp'"
        async with running(tmp_path, "[vault]\nbackend = 'session'", entry) as hub:
            await until(hub, lambda: row(hub, "journal").state is Health.NEEDS_SIGN_IN)
            yield hub


async def sign_in(hub: Hub, **answer: str) -> str:
    """Open the page, answer its form, and end where that leads; the page."""
    step = await Person(hub).login(Login(server="journal"))
    assert step.concerns == ()
    async with client() as browser:
        page = await browser.get(step.address, follow_redirects=True)
        (ticket,) = re.findall(r'name="ticket" value="([^"]+)"', page.text)
        await browser.post(page.url, data={"ticket": ticket, **answer}, follow_redirects=True)
        late = await browser.post(page.url, data={"ticket": ticket, **answer})
        assert late.status_code == 400
    await hub.sign_ins.wait("journal")
    return page.text


async def call(hub: Hub, tool: str, arguments: str = "{}") -> bytes:
    channel = await hub.fleet["journal"].ready(5.0)
    params = f'{{"name":"{tool}","arguments":{arguments}}}'.encode()
    return await channel.request("tools/call", params, caller=Caller(), name=tool)


async def test_a_newcomer_signs_in_writes_and_logs_out(tmp_path: Path) -> None:
    async with journal(tmp_path) as hub:
        page = await sign_in(hub, name=" Grace ", answer="allow")
        assert "<b>mcpmux (journal)</b>" in page
        await until(hub, lambda: row(hub, "journal").state is Health.CONNECTED)
        assert row(hub, "journal").account == "Grace"
        assert b"Entry 1 of Grace" in await call(hub, "write", '{"text":"It works."}')
        assert b"It works." in await call(hub, "read")
        assert await Person(hub).logout("journal", reset=False)
        await until(hub, lambda: row(hub, "journal").state is Health.NEEDS_SIGN_IN)
        # Another person has another journal.
        await sign_in(hub, name="Ada", answer="allow")
        await until(hub, lambda: row(hub, "journal").state is Health.CONNECTED)
        assert b"It works." not in await call(hub, "read")


async def test_a_person_may_deny_it(tmp_path: Path) -> None:
    async with journal(tmp_path) as hub:
        with pytest.raises(McpmuxError, match="was declined"):
            await sign_in(hub, answer="deny")
        assert row(hub, "journal").summary == "The sign-in was declined."


async def test_tokens_are_good_once_renewed_and_end_with_a_logout(tmp_path: Path) -> None:
    async with journal(tmp_path) as hub:
        await sign_in(hub, name="Ada", answer="allow")
        manager = hub.sign_ins._managers["journal"][1]
        grant = manager.grant
        assert grant is not None and grant.tokens is not None and grant.registration is not None
        assert grant.tokens.refresh is not None
        form = {"grant_type": "refresh_token", "refresh_token": grant.tokens.refresh.reveal()}
        newer = await post_form(grant.endpoints.token, form, grant.registration)
        assert newer["refresh_token"] != form["refresh_token"]
        with pytest.raises(Refused, match="invalid_grant"):
            await post_form(grant.endpoints.token, form, grant.registration)
        async with client() as caller:
            for token, status in (
                (grant.tokens.access.reveal(), 401), (str(newer["access_token"]), 400),
            ):  # fmt: skip
                answer = await caller.get(
                    grant.resource, headers={"authorization": f"Bearer {token}"}
                )
                assert answer.status_code == status


async def test_the_page_shows_no_markup_of_a_client_and_answers_go_to_this_machine_alone() -> None:
    async with demo.HttpServer() as server, client() as caller:
        asked: dict[str, object] = {
            "client_name": "<script>alert(1)</script>",
            "redirect_uris": ["http://127.0.0.1:9/x"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        made = (await caller.post(f"{server.origin}/register", json=asked)).json()
        query = {
            "response_type": "code", "client_id": made["client_id"], "state": "s",
            "redirect_uri": "http://127.0.0.1:9/x", "code_challenge": "c" * 43,
            "code_challenge_method": "S256",
        }  # fmt: skip
        page = await caller.get(f"{server.origin}/authorize", params=query, follow_redirects=True)
        assert "<script" not in page.text
        assert "&lt;script&gt;" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        (ticket,) = re.findall(r'name="ticket" value="([^"]+)"', page.text)
        form = {"ticket": ticket, "name": "Ada", "answer": "allow"}
        answer = await caller.post(page.url, data=form)
        back = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (back["state"], back["iss"]) == (["s"], [server.origin])
        # Whoever took the code has not what it was asked for with.
        form = {
            "grant_type": "authorization_code", "code": back["code"][0],
            "redirect_uri": "http://127.0.0.1:9/x", "code_verifier": "v" * 43,
        }  # fmt: skip
        client_of = Registration(issuer=server.origin, client_id=made["client_id"])
        with pytest.raises(Refused, match="invalid_grant"):
            await post_form(f"{server.origin}/token", form, client_of)
        asked["redirect_uris"] = ["https://evil.example/x"]
        refused = await caller.post(f"{server.origin}/register", json=asked)
        assert refused.status_code == 400
