"""Sign-ins of a running engine: against an authorization server with its person and its faults."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mcpmux_tui.control.protocol import Login, LoginStep
from mcpmux_tui.engine.doors import Doors
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.person import Person
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import ControlError, McpmuxError
from mcpmux_tui.model.server import Action, Health, ServerSnapshot
from mcpmux_tui.vault import backend
from tests.engine.test_hub import entry, running, until
from tests.fixtures.evil_as import EvilAs, as_json, browse
from tests.fixtures.evil_as import running as serving
from tests.fixtures.fake_keyring import FakeKeyring


def remote(name: str, url: str, more: str = "") -> str:
    return f"[servers.{name}]\nurl = {url!r}\n{more}\n"


SESSION = "[vault]\nbackend = 'session'"


def row(hub: Hub, name: str = "acme") -> ServerSnapshot:
    (found,) = (each for each in hub.snapshot().servers if each.name == name)
    return found


async def comes(hub: Hub, state: Health, name: str = "acme") -> ServerSnapshot:
    await until(hub, lambda: row(hub, name).state is state)
    return row(hub, name)


async def begin(hub: Hub, name: str = "acme", **wish: object) -> LoginStep:
    login = Login.model_validate({"server": name, **wish})
    return await Person(hub).login(login)


async def sign_in(hub: Hub, name: str = "acme") -> None:
    step = await begin(hub, name)
    await browse(step.address)
    await hub.sign_ins.wait(name)


async def call(hub: Hub, method: str, name: str = "acme") -> bytes:
    channel = await hub.fleet[name].ready(5.0)
    return await channel.request(method, b'{"name":"hello"}', caller=Caller())


@pytest.mark.behaviour("LUN-A02", "LUN-A03", "LUN-O10", "LIB-F03")
async def test_a_row_says_what_a_sign_in_waits_for_and_then_connects(tmp_path: Path) -> None:
    async with (
        serving() as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        wants = await comes(hub, Health.NEEDS_SIGN_IN)
        assert wants.action is Action.SIGN_IN
        step = await begin(hub)
        waits = row(hub)
        assert waits.state is Health.SIGNING_IN
        assert (waits.since, waits.summary) == (step.since, "at 127.0.0.1")
        assert waits.action is Action.SIGN_IN
        # What is only for the person who signs in is for nobody else.
        assert step.address not in waits.model_dump_json()
        await browse(step.address)
        assert (await hub.sign_ins.wait("acme")).account == "ada@example.com"
        connected = await comes(hub, Health.CONNECTED)
        assert connected.signed_in
        assert connected.account == "ada@example.com"
        assert connected.renews_at is not None
        with pytest.raises(ControlError, match="No sign-in to acme is under way"):
            hub.sign_ins.paste("acme", "http://127.0.0.1/callback?state=x&code=y")
        # Who asks a moment too late hears of it all the same.
        assert (await hub.sign_ins.wait("acme")).account == "ada@example.com"


@pytest.mark.behaviour("LUN-O01", "LUN-O02", "LIB-F01", "MUX-O09")
async def test_all_who_ask_at_once_get_the_same_sign_in(tmp_path: Path) -> None:
    evil = EvilAs(metadata_hold=asyncio.Event())
    async with (
        serving(evil) as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        await comes(hub, Health.NEEDS_SIGN_IN)
        asking = [asyncio.create_task(begin(hub)) for _ in range(3)]
        await asyncio.sleep(0)
        assert evil.metadata_hold is not None
        evil.metadata_hold.set()
        steps = await asyncio.gather(*asking)
        steps.append(await begin(hub))
        assert len({step.address for step in steps}) == 1
        assert server.counts["/register"] == 1


@pytest.mark.behaviour("LUN-O09")
async def test_a_sign_in_that_begins_or_waits_can_be_cancelled(tmp_path: Path) -> None:
    evil = EvilAs(metadata_hold=asyncio.Event())
    async with (
        serving(evil) as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        await comes(hub, Health.NEEDS_SIGN_IN)
        asking = asyncio.create_task(begin(hub))
        await server.metadata_asked.wait()
        hub.sign_ins.cancel("acme")
        with pytest.raises(ControlError, match="was cancelled"):
            await asking
        assert evil.metadata_hold is not None
        evil.metadata_hold.set()
        await begin(hub)
        waiting = asyncio.create_task(hub.sign_ins.wait("acme"))
        await asyncio.sleep(0)
        await Person(hub).act("acme", Action.CANCEL)
        with pytest.raises(ControlError, match="was cancelled"):
            await waiting
        again = await comes(hub, Health.NEEDS_SIGN_IN)
        assert "cancelled" not in again.detail


@pytest.mark.behaviour("LUN-O11", "LIB-F02", "LIB-F04")
async def test_why_a_sign_in_came_to_nothing_is_on_the_row_until_the_next(tmp_path: Path) -> None:
    async with (
        serving(EvilAs(consent="deny")) as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        await comes(hub, Health.NEEDS_SIGN_IN)
        first = await begin(hub)
        await browse(first.address)
        await until(hub, lambda: row(hub).summary == "The sign-in was declined.")
        assert row(hub).state is Health.NEEDS_SIGN_IN
        server.consent = "allow"
        second = await begin(hub)
        assert second.address != first.address
        assert "declined" not in row(hub).detail
        hub.sign_ins.cancel("acme")
        server.metadata_status = 503
        with pytest.raises(McpmuxError, match="HTTP 503"):
            await begin(hub)
        assert "HTTP 503" in row(hub).summary


@pytest.mark.behaviour("C14")
async def test_other_scopes_or_a_code_are_another_sign_in(tmp_path: Path) -> None:
    async with (
        serving(EvilAs(scopes_supported=["read", "write"])) as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        await comes(hub, Health.NEEDS_SIGN_IN)
        whole = await begin(hub)
        assert whole.scopes == whole.offered == ("read", "write")
        less = await begin(hub, scopes=["read"])
        assert (less.scopes, less.offered) == (("read",), ("read", "write"))
        assert less.address != whole.address
        assert await begin(hub, scopes=["read"]) == less
        assert whole.by_device
        assert (await begin(hub, device=True)).code == "WDJB-MJHT"


@pytest.mark.behaviour("C13")
async def test_who_declines_more_rights_goes_on_with_those_there_are(tmp_path: Path) -> None:
    async with (
        serving() as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        await comes(hub, Health.NEEDS_SIGN_IN)
        await sign_in(hub)
        await comes(hub, Health.CONNECTED)
        server.lacks = "admin"
        with pytest.raises(McpmuxError, match="admin"):
            await call(hub, "tools/call")
        wants = await comes(hub, Health.NEEDS_SIGN_IN)
        assert "admin" in wants.detail
        server.consent = "deny"
        step = await begin(hub)
        assert "admin" in step.scopes
        await browse(step.address)
        await comes(hub, Health.CONNECTED)
        for _ in range(3):
            with pytest.raises(McpmuxError):
                await call(hub, "tools/call")
        assert row(hub).state is Health.CONNECTED


@pytest.mark.behaviour("LIB-F08", "LUN-O04")
async def test_a_client_that_its_server_forgot_is_registered_anew(tmp_path: Path) -> None:
    async with (
        serving() as server,
        running(tmp_path, SESSION, remote("acme", server.mcp)) as hub,
    ):
        await comes(hub, Health.NEEDS_SIGN_IN)
        await sign_in(hub)
        await Person(hub).logout("acme", reset=False)
        server.token_answer = as_json({"error": "invalid_client"}, 401)
        with pytest.raises(McpmuxError, match="invalid_client"):
            await sign_in(hub)
        assert server.counts["/register"] == 1
        server.token_answer = None
        await sign_in(hub)
        assert server.counts["/register"] == 2


@pytest.mark.behaviour("LUN-A06")
async def test_with_a_configured_client_nothing_is_sent_before_a_person_signed_in(
    tmp_path: Path,
) -> None:
    async with serving() as server:
        entries = (
            SESSION,
            remote("acme", server.mcp, "oauth = { client_id = 'me', client_secret = 's3cret' }"),
        )
        async with running(tmp_path, *entries) as hub:
            await comes(hub, Health.NEEDS_SIGN_IN)
            assert server.counts["/mcp"] == 0
            await sign_in(hub)
            await comes(hub, Health.CONNECTED)


@pytest.mark.behaviour("MUX-C10", "AMG-C03")
async def test_a_server_that_brings_its_own_header_is_signed_in_to_by_nobody(
    tmp_path: Path,
) -> None:
    async with (
        serving() as server,
        running(
            tmp_path,
            SESSION,
            remote("acme", server.mcp, "headers = { Authorization = 'Bearer x' }"),
        ) as hub,
    ):
        refused = await comes(hub, Health.NEEDS_SIGN_IN)
        assert refused.action is Action.RETRY
        with pytest.raises(ControlError, match="nobody signs in to it"):
            await begin(hub)


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> FakeKeyring:
    fake = FakeKeyring()
    monkeypatch.setattr(backend, "choose", lambda service: backend.Keyring(fake, service))
    return fake


@pytest.mark.behaviour("F2", "F9", "LUN-A08")
async def test_a_locked_keyring_offers_a_retry_and_loses_nothing(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    async with serving() as server:
        acme = remote("acme", server.mcp)
        async with running(tmp_path, acme) as hub:
            await comes(hub, Health.NEEDS_SIGN_IN)
            await sign_in(hub)
            await comes(hub, Health.CONNECTED)
        ring.locked = True
        async with running(tmp_path, acme) as hub:
            locked = await comes(hub, Health.NEEDS_SIGN_IN)
            assert "The keyring is locked" in locked.detail
            assert locked.action is Action.RETRY
            with pytest.raises(ControlError, match="acme has its sign-in in the keyring"):
                await begin(hub)
            ring.locked = False
            await Person(hub).act("acme", Action.RETRY)
            await comes(hub, Health.CONNECTED)
        assert server.counts["/authorize"] == 1


@pytest.mark.behaviour("F1")
async def test_where_secrets_are_kept_is_said_when_it_is_no_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "choose", lambda _: backend.Session("no keyring service runs"))
    async with serving() as server:
        acme = remote("acme", server.mcp)
        async with running(tmp_path, acme) as hub:
            await comes(hub, Health.NEEDS_SIGN_IN)
            await sign_in(hub)
            (said,) = hub.snapshot().warnings
            assert "not kept (this session only: no keyring service runs)" in said
            config = tmp_path / "config.toml"
            config.write_text(f"{SESSION}\n{acme}", encoding="utf-8")
            await hub.reload()
            assert "from the next start" in hub.snapshot().warnings[-1]
        async with running(tmp_path, "[vault]\nbackend = 'file'", acme) as hub:
            assert hub.snapshot().warnings == (
                'Secrets are kept in a plain file: [vault] backend = "file".',
            )


@pytest.mark.behaviour("F2")
async def test_twenty_signed_in_servers_are_twenty_reads_at_start_and_none_for_a_look(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    names = [f"s{number}" for number in range(20)]
    async with serving() as server:
        entries = [remote(name, server.mcp) for name in names]
        async with running(tmp_path, *entries) as hub:
            for name in names:
                await comes(hub, Health.NEEDS_SIGN_IN, name)
                await sign_in(hub, name)
        ring.counts.clear()
        async with running(tmp_path, *entries) as hub:
            await until(
                hub, lambda: all(row(hub, name).state is Health.CONNECTED for name in names)
            )
            assert ring.counts["get"] == 20
            await Doors(hub).handlers()["hello"]({})
            assert ring.counts["get"] == 20
        assert server.counts["/authorize"] == 20


async def test_a_dead_authorization_server_and_a_person_who_declines_hold_up_no_other(
    tmp_path: Path,
) -> None:
    async with serving() as server, serving(EvilAs(consent="deny")) as refusing:
        entries = (
            SESSION,
            remote("acme", server.mcp),
            remote("declined", refusing.mcp),
            entry("free"),
        )
        async with running(tmp_path, *entries) as hub:
            await comes(hub, Health.CONNECTED, "free")
            await comes(hub, Health.NEEDS_SIGN_IN)
            await comes(hub, Health.NEEDS_SIGN_IN, "declined")

            async def call_until(over: asyncio.Task[None]) -> int:
                calls = 0
                while not over.done():
                    await call(hub, "tools/list", "free")
                    calls += 1
                return calls

            server.metadata_hold = asyncio.Event()
            begins = asyncio.create_task(begin(hub))

            async def declined() -> None:
                step = await begin(hub, "declined")
                await browse(step.address)
                with pytest.raises(McpmuxError):
                    await hub.sign_ins.wait("declined")

            assert await call_until(asyncio.create_task(declined())) > 0
            assert not begins.done()
            hub.sign_ins.cancel("acme")
            with pytest.raises(ControlError):
                await begins
