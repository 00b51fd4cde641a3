"""What the doctor says of a server that wants a sign-in, and that looking changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mcpmux_tui.auth import fetch
from mcpmux_tui.auth.challenge import parse
from mcpmux_tui.engine import offline_doctor
from mcpmux_tui.engine.doctor import signing
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.engine.person import Person
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.server import Health
from tests.engine.test_doctor import REMOTE, SIGN_IN, found
from tests.engine.test_hub import running
from tests.engine.test_sign_ins import SESSION, comes, remote, sign_in
from tests.fixtures.asgi import serving
from tests.fixtures.evil_as import EvilAs
from tests.fixtures.evil_as import running as guarding


async def said(hub: Hub, name: str = "acme") -> dict[str, str]:
    """What each check says."""
    return {check.name: check.said for check in await Person(hub).examine(name)}


async def test_each_step_to_a_sign_in_is_told_and_none_is_taken(tmp_path: Path) -> None:
    async with (
        guarding() as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        await comes(hub, Health.NEEDS_SIGN_IN)
        names, last = await found(hub, "acme")
        assert names == SIGN_IN
        assert (last.said, last.mend) == ("Nobody is signed in.", Mend.SIGN_IN)
        told = await said(hub)
        assert told["challenge"] == "it asks for a sign-in and says where that is described"
        assert told["metadata"] == (
            "127.0.0.1 signs people in: it knows PKCE with S256, registers clients by itself."
        )
        assert told["registration"] == "mcpmux registers there at the sign-in"
        assert server.forms == []
        assert {"/register", "/authorize", "/token", "/device"}.isdisjoint(server.counts)

        await sign_in(hub)
        await comes(hub, Health.CONNECTED)
        before = list(server.forms)
        names, last = await found(hub, "acme")
        assert (names, last.ok) == ([*SIGN_IN, "initialize", "list"], True)
        told = await said(hub)
        assert told["registration"] == "mcpmux has registered there before"
        assert told["token"].startswith("signed in as ada@example.com, token good until 20")
        assert told["initialize"] == "connected, MCP 2025-11-25, guarded 1"
        assert told["list"] == "1 tools, 0 prompts, 0 resources"
        assert server.forms == before


async def test_metadata_that_no_sign_in_would_use_fails(tmp_path: Path) -> None:
    evil = EvilAs(metadata={"code_challenge_methods_supported": None})
    async with (
        guarding(evil) as server,
        running(
            tmp_path,
            SESSION,
            remote("acme", server.mcp),
            remote("lets", server.mcp, "oauth = { allow_missing_pkce_metadata = true }"),
        ) as hub,
    ):
        names, last = await found(hub, "acme")
        assert names[-1] == "metadata"
        assert "does not say that it knows PKCE" in last.said
        assert (last.mend, "allow_missing_pkce_metadata" in last.fix) == (Mend.EDIT, True)
        assert (
            "does not say that it knows PKCE, which its entry lets pass"
            in (await said(hub, "lets"))["metadata"]
        )
        server.metadata = {"issuer": "https://elsewhere.example"}
        names, last = await found(hub, "acme")
        assert (names[-1], "speaks for another issuer" in last.said) == ("metadata", True)
        server.metadata_status = 503
        names, last = await found(hub, "acme")
        assert (names[-1], "HTTP 503" in last.said) == ("metadata", True)


async def test_no_server_of_the_internet_leads_the_doctor_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def outside(host: str) -> bool:
        return False

    async with (
        guarding() as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        await comes(hub, Health.NEEDS_SIGN_IN)
        server.counts.clear()
        monkeypatch.setattr(fetch, "is_within", outside)
        names, last = await found(hub, "acme")
        assert (names[-1], "leads into your own network" in last.said) == ("metadata", True)
        assert set(server.counts) == {"/mcp"}


async def test_a_client_is_configured_described_or_nobody_can_sign_in(tmp_path: Path) -> None:
    evil = EvilAs(
        metadata={"registration_endpoint": None, "client_id_metadata_document_supported": True}
    )
    document = "https://example.com/mcpmux.json"
    async with (
        guarding(evil) as server,
        running(
            tmp_path,
            SESSION,
            remote("acme", server.mcp),
            remote("by_hand", server.mcp, "oauth = { client_id = 'c-1' }"),
            remote("document", server.mcp, f"oauth = {{ client_metadata_url = {document!r} }}"),
        ) as hub,
    ):
        names, last = await found(hub, "acme")
        assert names == SIGN_IN[:-1]
        assert last.said == "Its authorization server registers no clients by itself."
        assert (last.mend, "client_id" in last.fix) == (Mend.EDIT, True)
        told = await said(hub, "by_hand")
        assert told["registration"] == "the client c-1 of its entry"
        assert "takes client metadata documents, registers no clients" in told["metadata"]
        told = await said(hub, "document")
        assert told["registration"] == f"the client metadata document {document} of its entry"
        assert told["token"] == "Nobody is signed in."


async def test_where_nobody_says_how_to_sign_in_it_may_be_a_key_that_is_wanted(
    tmp_path: Path,
) -> None:
    async def closed(scope: object, receive: object, send: object) -> None:
        status = 401 if scope["path"] == "/mcp" else 404  # type: ignore[index]
        headers = [(b"www-authenticate", b"Basic realm=x")]
        await send({"type": "http.response.start", "status": status, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    async with (
        serving(closed) as url,
        running(tmp_path, SESSION, remote("acme", f"{url}/mcp")) as hub,
    ):
        told = await said(hub)
        assert "names Basic and no Bearer" in told["challenge"]
        assert "does not say where one signs in" in told["metadata"]
        names, last = await found(hub, "acme")
        assert names == SIGN_IN
        assert last.fix == "If it wants a key instead, put that into `headers` of its entry."


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "it lacks `WWW-Authenticate`"),
        (["Bearer"], "lacks `resource_metadata`"),
        (['Bearer resource_metadata="javascript:x"'], "lacks `resource_metadata`"),
        (["Negotiate", "Basic realm=x"], "names Negotiate, Basic and no Bearer"),
    ],
)
def test_it_says_what_a_challenge_lacks(lines: list[str], words: str) -> None:
    assert words in signing._challenged(parse(lines), lines, asks=True)


async def test_a_server_with_headers_of_its_own_is_nothing_to_sign_in_to(tmp_path: Path) -> None:
    async with (
        guarding() as server,
        running(
            tmp_path,
            SESSION,
            remote("own", server.mcp, "headers = { Authorization = 'Bearer k' }"),
            remote("key", server.mcp, "headers = { X-Key = 'k' }\nenabled = false"),
            remote("both", server.mcp, "headers = { X-Region = 'eu' }"),
        ) as hub,
    ):
        await comes(hub, Health.NEEDS_SIGN_IN, "both")
        await comes(hub, Health.NEEDS_SIGN_IN, "own")
        names, last = await found(hub, "own")
        assert names == [*REMOTE, "initialize"]
        assert last.mend is Mend.RETRY
        assert (await found(hub, "key"))[0] == [*REMOTE, "initialize"]
        assert (await found(hub, "both"))[0] == SIGN_IN


async def test_a_configured_client_wants_a_sign_in_though_the_server_asks_for_none(
    tmp_path: Path,
) -> None:
    class Open(EvilAs):
        def _mcp(self, headers: object, body: object) -> tuple[int, bytes, tuple[()]]:
            return 200, b"{}", ()

    async with (
        guarding(Open()) as server,
        running(
            tmp_path,
            SESSION,
            remote("acme", server.mcp, "oauth = { client_id = 'c-1' }"),
            remote("open", server.mcp, "enabled = false"),
        ) as hub,
    ):
        assert (await found(hub, "acme"))[0] == SIGN_IN
        assert "`client_id` in its entry does" in (await said(hub))["challenge"]
        assert (await found(hub, "open"))[0] == [*REMOTE, "initialize"]


async def test_without_an_engine_the_kept_sign_in_is_told(tmp_path: Path) -> None:
    kept = "[vault]\nbackend = 'file'"
    instance = Instance(tmp_path / "config.toml", True, tmp_path / "state")
    async with guarding() as server:
        async with running(tmp_path, kept, remote("acme", server.mcp)) as hub:
            await comes(hub, Health.NEEDS_SIGN_IN)
            async with offline_doctor.door(instance) as door:
                last = (await door.doctor("acme")).checks[-1]
                assert (last.name, last.command) == ("token", "mcpmux login acme")
            await sign_in(hub)
            await comes(hub, Health.CONNECTED)
        async with offline_doctor.door(instance) as door:
            checks = (await door.doctor("acme")).checks
        assert [check.name for check in checks] == SIGN_IN
        assert checks[-1].said.startswith("signed in as ada@example.com")


async def test_a_server_that_never_answers_about_sign_ins_ends_the_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "_MOST", 0.2)
    evil = EvilAs(metadata_hold=asyncio.Event())
    async with (
        guarding(evil) as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        names, last = await found(hub, "acme")
        assert names[-1] == "metadata"
        assert last.said == "Where one signs in was not to be learned within 0.2 s."
