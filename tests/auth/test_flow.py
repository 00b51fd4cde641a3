"""Signing in: against an authorization server that does right, and one that does all wrong."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from mcpmux_tui.auth import flow
from mcpmux_tui.auth.callback import Callback
from mcpmux_tui.auth.challenge import Challenge
from mcpmux_tui.auth.discovery import discover
from mcpmux_tui.auth.failed import ClientUnknown, SignInDeclined, SignInFailed
from mcpmux_tui.auth.fetch import Fetcher, Resolve, resolve
from mcpmux_tui.auth.flow import SignIn, Wanted
from mcpmux_tui.auth.grant import Grant
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.model.spec import OAuthSpec
from tests.fixtures.evil_as import NO_TLS, EvilAs, Reply, as_json, browse, running

QUICK = Limits(answer=2.0, device_pause=0.0)


@asynccontextmanager
async def clients(url: str) -> Any:
    async with httpx2.AsyncClient(verify=NO_TLS, trust_env=False) as client:
        yield client


class Visit:
    """One sign-in, and the person's browser."""

    def __init__(
        self,
        server: EvilAs,
        oauth: OAuthSpec = OAuthSpec(),  # noqa: B008 - never changed
        *,
        kept: Grant | None = None,
        callback: Callback | None = None,
        lasts: float = 10.0,
        inside: bool = True,
        limits: Limits = QUICK,
        resolve: Resolve = resolve,
    ) -> None:
        self.server = server
        self.callback = callback or Callback()
        metadata = f"{server.url}/.well-known/oauth-protected-resource/mcp"
        challenge = Challenge(None if server.no_resource_metadata else metadata)
        wanted = Wanted("acme", server.mcp, "bound", oauth, challenge, kept)
        fetcher = Fetcher(inside=inside, clients=clients, resolve=resolve, limits=QUICK)
        self.sign_in = SignIn(wanted, self.callback, fetcher, limits=limits, lasts=lasts)

    async def whole(self) -> Grant:
        """From the beginning to the end."""
        pending = await self.sign_in.begin()
        finishing = asyncio.create_task(self.sign_in.finish())
        await browse(pending.address)
        return await finishing


@pytest.mark.behaviour("A7", "C1")
async def test_where_one_signs_in_is_told_in_ascii_alone() -> None:
    odd = "https://\u0430pple.example/\u202egro\x9b031m?next=\u200b"
    async with running(EvilAs(metadata={"authorization_endpoint": odd})) as server:
        visit = Visit(server)
        pending = await visit.sign_in.begin()
        visit.sign_in.close()
        assert pending.host == "xn--pple-43d.example"
        start = "https://xn--pple-43d.example/%E2%80%AEgro%C2%9B031m?next=%E2%80%8B&response_type="
        assert pending.address.startswith(start)
        assert pending.address.isascii()


@pytest.mark.behaviour("C7", "C8", "C9", "LIB-F01", "LIB-F05", "LIB-F06")
async def test_the_whole_circle_brings_tokens_that_the_server_accepts() -> None:
    async with running() as server:
        visit = Visit(server)
        pending = await visit.sign_in.begin()
        assert pending.host == "127.0.0.1"
        assert pending.concerns == ()
        query = dict(parse_qsl(urlsplit(pending.address).query))
        assert query["resource"] == server.mcp
        assert query["code_challenge_method"] == "S256"
        finishing = asyncio.create_task(visit.sign_in.finish())
        page = await browse(pending.address)
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        grant = await finishing
        assert grant.account == "ada@example.com"
        assert grant.issuer == server.url
        assert grant.registration is not None
        assert grant.registration.made_here
        (path, asked) = server.forms[0]
        assert (path, asked["application_type"]) == ("/register", "native")
        assert grant.tokens is not None
        bearer = {"authorization": f"Bearer {grant.tokens.access.reveal()}"}
        async with clients("") as client:
            hello = await client.post(server.mcp, json={"id": 1, "method": "ping"}, headers=bearer)
            assert hello.json()["result"] == {}
            # The listener is gone with the last sign-in, and the code was good once.
            with pytest.raises(httpx2.ConnectError):
                await client.get(server.last_redirect)
        assert server.counts["/token"] == 1


@pytest.mark.behaviour("C7", "MUX-O04", "MUX-O07", "GRID-O01")
async def test_an_answer_counts_once_and_only_with_its_state() -> None:
    async with running() as server:
        callback = Callback()
        first, second = Visit(server, callback=callback), Visit(server, callback=callback)
        one = await first.sign_in.begin()
        two = await second.sign_in.begin()
        finishing = [asyncio.create_task(each.sign_in.finish()) for each in (first, second)]
        async with clients("") as client:
            stray = await client.get(f"{callback.redirect_uri}?state=wrong&code=x")
            assert stray.status_code == 400
            assert "wrong" not in stray.text
            assert (await browse(one.address)).status_code == 200
            assert (await client.get(server.last_redirect)).status_code == 400
            assert (await browse(two.address)).status_code == 200
        await asyncio.gather(*finishing)
        assert server.counts["/token"] == 2


@pytest.mark.behaviour("C8", "MUX-O02")
async def test_the_listener_answers_nothing_but_its_own_path_host_and_method() -> None:
    callback = Callback()
    await callback.listen(0)
    callback.expect("s")
    uri = callback.redirect_uri
    async with clients("") as client:
        hostile = f"{uri}?state=s2&error_description=<script>"
        assert "<script>" not in (await client.get(hostile)).text
        assert (await client.post(f"{uri}?state=s")).status_code == 405
        assert (await client.get(uri.replace("/callback", "/x"))).status_code == 404
        foreign = await client.get(f"{uri}?state=s", headers={"host": "evil.example"})
        assert foreign.status_code == 421
        assert (await client.get(f"{uri}?state=s&{'x' * 20_000}")).status_code == 400
        assert (await client.get(f"{uri}?state=s&code=1")).status_code == 200
    callback.forget("s")


@pytest.mark.behaviour("C9", "MUX-O03")
async def test_a_port_that_is_taken_is_another_one_and_a_new_registration() -> None:
    async with running() as server:
        grant = await Visit(server).whole()
        assert grant.registration is not None
        again = Visit(server, kept=grant)
        port = int((grant.registration.redirect_uri or "").split(":")[2].split("/")[0])
        with socket.create_server(("127.0.0.1", port)):
            await again.sign_in.begin(port=port)
            assert server.counts["/register"] == 2
            again.sign_in.close()
        free = Visit(server, kept=grant)
        await free.sign_in.begin(port=port)
        assert server.counts["/register"] == 2
        free.sign_in.close()


@pytest.mark.behaviour("C6", "GRID-O04")
@pytest.mark.parametrize("iss", ["https://evil.example", "{url}/", None])
@pytest.mark.parametrize("consent", ["allow", "deny"])
async def test_an_answer_of_another_issuer_is_neither_used_nor_shown(
    iss: str | None, consent: str
) -> None:
    async with running(EvilAs(consent=consent)) as server:
        server.iss = iss and iss.format(url=server.url)
        with pytest.raises(SignInFailed, match="came from another server") as met:
            await Visit(server).whole()
        assert "way" not in str(met.value)
        assert server.counts["/token"] == 0


@pytest.mark.behaviour("MUX-O08", "GRID-O02")
async def test_a_person_may_decline_or_let_the_time_pass() -> None:
    async with running(EvilAs(consent="deny")) as server:
        with pytest.raises(SignInFailed, match="was declined"):
            await Visit(server).whole()
    async with running() as server:
        visit = Visit(server, lasts=0.05)
        await visit.sign_in.begin()
        with pytest.raises(SignInFailed, match="Nobody signed in"):
            await visit.sign_in.finish()


@pytest.mark.behaviour("MUX-O05", "MUX-O06")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": "server_error", "error_description": "no\x1b[1m luck"}, "server_error (no"),
        ({"error": "\x1b[1m"}, "an error."),
        ({}, "has no code"),
        ({"code": ""}, "has no code"),
    ],
)
async def test_an_answer_without_a_code_says_why(answer: dict[str, str], said: str) -> None:
    async with running(EvilAs(answer=answer)) as server:
        with pytest.raises(SignInFailed) as met:
            await Visit(server).whole()
        assert said in str(met.value)
        assert "\x1b" not in str(met.value)
        assert server.counts["/token"] == 0


@pytest.mark.behaviour("MUX-O12", "LUN-O07", "MUX-O11", "C14")
async def test_the_scopes_asked_for_are_those_the_server_lists_or_a_person_left() -> None:
    async with running() as server:
        visit = Visit(server)
        assert "scope=" not in (await visit.sign_in.begin()).address
        visit.sign_in.close()
        server.scopes_supported = ["read", "write", "admin"]
        visit = Visit(server)
        pending = await visit.sign_in.begin()
        assert pending.scopes == pending.offered == ("read", "write", "admin")
        assert "scope=read+write+admin" in pending.address
        visit.sign_in.close()
        server.metadata = {"scopes_supported": ["read", "offline_access"]}
        visit = Visit(server)
        pending = await visit.sign_in.begin(scopes=("read", "offline_access", "sudo"))
        assert pending.offered == ("read", "write", "admin", "offline_access")
        assert "scope=read+offline_access&prompt=consent" in pending.address
        assert server.forms[-1][1]["scope"] == "read offline_access"
        assert server.forms[-1][1]["client_name"] == "mcpmux (acme)"
        visit.sign_in.close()


@pytest.mark.behaviour("LUN-O08", "LIB-F14")
async def test_the_metadata_of_the_path_is_asked_for_before_that_of_the_host() -> None:
    async with running(EvilAs(no_resource_metadata=True)) as server:
        await Visit(server).sign_in.begin()
        well_known = "/.well-known/oauth-protected-resource"
        assert [path for path in server.counts if path.startswith(well_known)] == [
            f"{well_known}/mcp", well_known,
        ]  # fmt: skip
        server.counts.clear()
        fetcher = Fetcher(inside=True, clients=clients, limits=QUICK)
        await discover(server.url, None, OAuthSpec(), fetcher)
        assert server.counts[well_known] == 1


@pytest.mark.behaviour("LUN-A05")
async def test_a_server_that_wants_a_token_and_knows_no_sign_in_is_said_to() -> None:
    evil = EvilAs(no_resource_metadata=True, metadata_status=404, registration=as_json({}, 404))
    async with running(evil) as server:
        with pytest.raises(SignInFailed, match=r"did not register mcpmux \(HTTP 404\)"):
            await Visit(server).sign_in.begin(agreed=True)


@pytest.mark.parametrize("resource", ["https://[x", "https://[::1/mcp"])
async def test_an_address_that_is_none_ends_it_in_a_sentence(resource: str) -> None:
    async with running(EvilAs(resource=resource)) as server:
        with pytest.raises(SignInFailed, match="holds an address that is none"):
            await Visit(server).sign_in.begin()


@pytest.mark.behaviour("LIB-F13")
async def test_no_sentence_holds_the_query_of_an_address() -> None:
    fetcher = Fetcher(inside=False, clients=clients, limits=QUICK)
    for address in ("http://as.example/x?key=s3cret", "https://127.0.0.1/x?key=s3cret"):
        with pytest.raises(SignInFailed, match="/x") as met:
            await fetcher.get(address)
        assert "s3cret" not in str(met.value)
    evil = EvilAs(metadata={"token_endpoint": "http://as.example/x?key=s3cret"})
    async with running(evil) as server:
        with pytest.raises(SignInFailed, match="unsafe token endpoint") as met:
            await Visit(server).sign_in.begin()
        assert "s3cret" not in str(met.value)


@pytest.mark.behaviour("LUN-O03")
async def test_to_begin_takes_only_so_long_and_holds_up_no_other() -> None:
    async with running(EvilAs(metadata_hold=asyncio.Event())) as server:
        with pytest.raises(SignInFailed, match=r"was not to be learned within 0\.05 s"):
            await Visit(server, limits=Limits(beginning=0.05)).sign_in.begin()
        assert server.metadata_hold is not None
        server.metadata_hold.set()
        visit = Visit(server)
        assert (await visit.sign_in.begin()).address
        visit.sign_in.close()


@pytest.mark.behaviour("LUN-D02")
async def test_whether_a_code_was_entered_is_not_asked_too_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    async with running(EvilAs(device_errors=["slow_down"] * 4)) as server:
        visit = Visit(server, limits=Limits(answer=2.0))
        await visit.sign_in.begin(device=True)
        monkeypatch.setattr(flow, "_pause", note)
        assert (await visit.sign_in.finish()).tokens is not None
    assert pauses == [5, 10, 15, 20, 20, 20]


@pytest.mark.behaviour("LIB-F08")
async def test_a_client_unknown_at_its_server_is_told_from_one_in_the_config() -> None:
    unknown = as_json({"error": "invalid_client"}, 401)
    async with running(EvilAs(token_answer=unknown)) as server:
        with pytest.raises(ClientUnknown):
            await Visit(server).whole()
        with pytest.raises(SignInFailed) as met:
            await Visit(server, OAuthSpec("me", "s3cret")).whole()
        assert not isinstance(met.value, ClientUnknown)


@pytest.mark.behaviour("C10")
async def test_a_code_goes_to_the_address_that_was_looked_at() -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with running() as server:
        # No resolver but ours knows this name.
        elsewhere = server.url.replace("127.0.0.1", "as.test.localhost")
        server.metadata = {"token_endpoint": f"{elsewhere}/token"}
        visit = Visit(server, resolve=resolve)
        pending = await visit.sign_in.begin(agreed=True)
        finishing = asyncio.create_task(visit.sign_in.finish())
        await browse(pending.address)
        assert (await finishing).tokens is not None
    assert asked.count("as.test.localhost") == 2


@pytest.mark.behaviour("C4")
async def test_without_pkce_there_is_no_sign_in_unless_the_config_allows_it() -> None:
    for methods, hint in ((None, "allow_missing_pkce_metadata"), (["plain"], "Ask its operator")):
        evil = EvilAs(metadata={"code_challenge_methods_supported": methods})
        async with running(evil) as server:
            with pytest.raises(SignInFailed, match="PKCE") as met:
                await Visit(server).sign_in.begin()
            assert hint in str(met.value)
            allowed = Visit(server, OAuthSpec(allow_missing_pkce_metadata=True))
            if methods is None:
                pending = await allowed.sign_in.begin()
                assert "code_challenge_method=S256" in pending.address
                allowed.sign_in.close()
            else:
                with pytest.raises(SignInFailed, match="PKCE"):
                    await allowed.sign_in.begin()


@pytest.mark.behaviour("C2", "C3")
@pytest.mark.parametrize(
    "address",
    [
        "http://as.example/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//x/y",
        "http://",
        "http://127.0.0.1:99999/x",
    ],
)
@pytest.mark.parametrize(
    "endpoint", ["authorization_endpoint", "token_endpoint", "registration_endpoint"]
)
async def test_an_unsafe_endpoint_ends_it_before_anything_is_sent(
    endpoint: str, address: str
) -> None:
    async with running(EvilAs(metadata={endpoint: address})) as server:
        with pytest.raises(SignInFailed, match="unsafe"):
            await Visit(server).sign_in.begin()
        assert server.forms == []


@pytest.mark.behaviour("C5")
async def test_endpoints_elsewhere_and_those_that_moved_are_named_before() -> None:
    evil = EvilAs(metadata={"token_endpoint": "http://localhost:9/token"})
    async with running(evil) as server:
        visit = Visit(server)
        pending = await visit.sign_in.begin()
        assert pending.address == ""
        assert server.forms == []
        assert pending.concerns == ("Its token endpoint is at localhost, not at 127.0.0.1.",)
        visit.sign_in.close()
        server.metadata = {}
        grant = await Visit(server).whole()
        server.metadata = {"token_endpoint": f"{server.url}/elsewhere"}
        moved = Visit(server, kept=grant)
        (concern,) = (await moved.sign_in.begin()).concerns
        assert concern.startswith("Since the last sign-in: token endpoint:")
        moved.sign_in.close()


@pytest.mark.behaviour("C10")
async def test_a_server_on_the_internet_leads_nobody_into_the_own_network() -> None:
    asked: list[str] = []

    def stub(*addresses: str) -> Fetcher:
        async def resolve(host: str, port: int) -> Sequence[str]:
            return addresses

        @asynccontextmanager
        async def counting(url: str) -> Any:
            asked.append(url)
            async with clients(url) as client:
                yield client

        return Fetcher(inside=False, clients=counting, resolve=resolve, limits=QUICK)

    for addresses in (
        ("169.254.169.254",), ("::ffff:127.0.0.1",), ("10.0.0.1",), ("1.1.1.1", "192.168.0.1"),
        ("fe80::1%eth0",), ("2002:7f00:1::",), ("::1",), ("0.0.0.0",), ("224.0.0.1",),
    ):  # fmt: skip
        with pytest.raises(SignInFailed, match="into your own network"):
            await stub(*addresses).get("https://as.example/x")
    for host in ("[::ffff:7f00:1]", "0x7f.1", "2130706433", "127.0.0.1"):
        with pytest.raises(SignInFailed, match="into your own network"):
            await Fetcher(inside=False, clients=clients).get(f"https://{host}/")
    assert asked == []


@pytest.mark.behaviour("C15")
async def test_a_resource_that_is_somebody_else_s_is_refused_and_a_whole_host_is_named() -> None:
    async with running() as server:
        server.resource = f"{server.url}/other"
        with pytest.raises(SignInFailed, match="which is not its address"):
            await Visit(server).sign_in.begin()
        server.resource = server.url
        visit = Visit(server)
        (concern,) = (await visit.sign_in.begin()).concerns
        assert "not this server alone" in concern
        address = (await visit.sign_in.begin(agreed=True)).address
        assert parse_qs(urlsplit(address).query)["resource"] == [server.url]
        visit.sign_in.close()


@pytest.mark.behaviour("C18")
async def test_a_client_is_used_at_the_server_that_knows_it_alone() -> None:
    async with running() as first, running() as second:
        grant = await Visit(first).whole()
        visit = Visit(second, kept=grant)
        await visit.sign_in.begin(agreed=True)
        assert second.counts["/register"] == 1
        visit.sign_in.close()


@pytest.mark.behaviour("C22", "LIB-F10")
async def test_guessed_addresses_are_asked_only_where_nothing_is_said_and_are_named() -> None:
    async with running(EvilAs(no_resource_metadata=True, metadata_status=404)) as server:
        visit = Visit(server)
        pending = await visit.sign_in.begin()
        assert len(pending.concerns) == 2
        assert server.forms == []
        assert "/authorize?" in (await visit.sign_in.begin(agreed=True)).address
        visit.sign_in.close()
    for status in (500, 503, 429):
        async with running(EvilAs(metadata_status=status)) as server:
            with pytest.raises(SignInFailed, match=f"HTTP {status}"):
                await Visit(server).sign_in.begin()
            assert server.forms == []


@pytest.mark.behaviour("C21")
async def test_a_hostile_error_is_a_short_clean_sentence_without_the_code() -> None:
    async with running() as server:
        visit = Visit(server)
        pending = await visit.sign_in.begin()
        finishing = asyncio.create_task(visit.sign_in.finish())
        server.hold = asyncio.Event()
        await browse(pending.address)
        (code,) = server.codes
        server.token_answer = as_json(
            {"error": "bad\x1b", "error_description": f"\x1b]0;x\x07 {code} " + "y" * 10**5}, 400
        )
        server.hold.set()
        with pytest.raises(SignInFailed) as met:
            await finishing
        assert "\x1b" not in str(met.value)
        assert code not in str(met.value)
        assert len(str(met.value)) < 400


@pytest.mark.behaviour("C25", "LUN-O13")
async def test_a_metadata_document_s_address_is_the_client_only_where_that_is_known() -> None:
    spec = OAuthSpec(client_metadata_url="https://me.example/client.json")
    for known in (True, False):
        evil = EvilAs(metadata={"client_id_metadata_document_supported": known})
        async with running(evil) as server:
            visit = Visit(server, spec)
            pending = await visit.sign_in.begin()
            assert ("client.json" in pending.address) == known
            visit.sign_in.close()


@pytest.mark.behaviour("LUN-O12")
async def test_a_configured_client_is_used_and_nothing_is_registered() -> None:
    async with running() as server:
        grant = await Visit(server, OAuthSpec("me", "s3cret", scopes=("read",))).whole()
        assert server.counts["/register"] == 0
        assert grant.registration is not None
        assert grant.registration.client_id == "me"
        assert not grant.registration.made_here
        assert grant.tokens is not None
        assert grant.tokens.scopes == ("read",)


@pytest.mark.behaviour("GRID-O03")
async def test_a_pasted_address_ends_it_too_and_another_s_does_not() -> None:
    async with running() as server:
        visit = Visit(server)
        pending = await visit.sign_in.begin()
        finishing = asyncio.create_task(visit.sign_in.finish())
        with pytest.raises(SignInFailed, match="does not belong"):
            visit.sign_in.paste("http://127.0.0.1:1/callback?state=x&code=y")
        async with clients("") as client:
            consented = await client.get(pending.address)
        visit.sign_in.paste(f"  {consented.headers['location']}\n")
        assert (await finishing).tokens is not None
        server.consent = "deny"
        visit = Visit(server)
        pending = await visit.sign_in.begin()
        finishing = asyncio.create_task(visit.sign_in.finish())
        async with clients("") as client:
            refused = await client.get(pending.address)
        visit.sign_in.paste(refused.headers["location"])
        with pytest.raises(SignInDeclined):
            await finishing


@pytest.mark.behaviour("LUN-D01")
async def test_a_device_code_is_waited_for_and_may_be_declined_or_expire() -> None:
    async with running() as server:
        visit = Visit(server)
        pending = await visit.sign_in.begin(device=True)
        assert (pending.code, pending.address) == ("WDJB-MJHT", f"{server.url}/enter")
        assert (await visit.sign_in.finish()).tokens is not None
        assert server.counts["/token"] == 2
    for error, said in (("access_denied", "declined"), ("expired_token", "has expired")):
        async with running(EvilAs(device_errors=[error])) as server:
            visit = Visit(server)
            await visit.sign_in.begin(device=True)
            with pytest.raises(SignInFailed, match=said):
                await visit.sign_in.finish()


class KnowsNoScopes(EvilAs):
    """Registers nobody who names a scope."""

    async def _answer(self, scope: Any, path: str, headers: Any, body: bytes) -> Reply:
        if path == "/register" and "scope" in json.loads(body):
            return as_json({"error": "invalid_client_metadata"}, 400)
        return await super()._answer(scope, path, headers, body)


async def test_a_registration_refused_with_scopes_is_asked_for_without() -> None:
    async with running(KnowsNoScopes()) as server:
        grant = await Visit(server, OAuthSpec(scopes=("read",))).whole()
        assert server.counts["/register"] == 2
        assert grant.tokens is not None
        assert grant.tokens.scopes == ("read",)
    refused = as_json({"error": "invalid_client_metadata"}, 400)
    async with running(EvilAs(registration=refused)) as server:
        for spec, asked in ((OAuthSpec(), 1), (OAuthSpec(scopes=("read",)), 2)):
            server.counts.clear()
            with pytest.raises(SignInFailed, match="did not register mcpmux"):
                await Visit(server, spec).sign_in.begin()
            assert server.counts["/register"] == asked


@pytest.mark.behaviour("C13")
async def test_a_client_is_registered_anew_for_scopes_it_was_not_registered_for() -> None:
    async with running() as server:
        grant = await Visit(server, OAuthSpec(scopes=("read", "write"))).whole()
        for scopes, registered in ((("read",), 1), (("read", "erase"), 2)):
            visit = Visit(server, OAuthSpec(scopes=scopes), kept=grant)
            assert grant.registration is not None
            port = int((grant.registration.redirect_uri or "").split(":")[2].split("/")[0])
            await visit.sign_in.begin(port=port)
            assert server.counts["/register"] == registered
            visit.sign_in.close()
        assert server.forms[-1][1]["scope"] == "read erase"


async def test_a_server_without_registration_says_what_to_do() -> None:
    async with running(EvilAs(metadata={"registration_endpoint": None})) as server:
        with pytest.raises(SignInFailed, match="registers no clients") as met:
            await Visit(server).sign_in.begin()
        assert "client_id" in met.value.hint
    async with running(EvilAs(registration=as_json({"error": "nope"}, 400))) as server:
        with pytest.raises(SignInFailed, match=r"did not register mcpmux \(nope\)"):
            await Visit(server).sign_in.begin()


async def test_no_secret_of_a_sign_in_is_in_a_text_or_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running() as server:
        visit = Visit(server)
        pending = await visit.sign_in.begin()
        finishing = asyncio.create_task(visit.sign_in.finish())
        await browse(pending.address)
        grant = await finishing
        form = dict(server.forms[-1][1])
        secret = {form["code"], form["code_verifier"], *server.good, *server.refreshes}
        shown = (
            repr(grant)
            + repr(visit.sign_in)
            + "".join(
                record.getMessage()
                for record in caplog.records
                if "httpx2" not in record.name and "httpcore2" not in record.name
            )
        )
        assert not [each for each in secret if each in shown]
