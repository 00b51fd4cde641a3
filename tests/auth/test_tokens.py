"""One server's tokens over their whole life, against a real token endpoint on loopback."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from mcpmux_tui.auth.grant import Grant, binding
from mcpmux_tui.auth.tokens import TokenManager
from mcpmux_tui.model.errors import NotConnected, SignInRequired, TokenUnavailable
from tests.auth.rig import ITEM, QUICK, SERVER, FileSecrets, Hands, Rig, new_grant
from tests.auth.token_server import Canned, TokenServer, refusal, running

DAY = 86_400.0


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running() as server:
        yield Rig(server, tmp_path)


async def call(rig: Rig, manager: TokenManager) -> int:
    async with rig.client(manager) as client:
        return (await client.post("")).status_code


async def until_renewed(manager: TokenManager, access: str) -> None:
    """Wait until a renewal beside the calls has landed."""
    await manager.close()
    assert await manager.headers() == {"Authorization": f"Bearer {access}"}


# One renewal for all


@pytest.mark.behaviour("H6", "C19", "LIB-R01", "MUX-O18", "LUN-O14", "MUX-O13")
async def test_twenty_calls_on_a_token_that_ran_out_share_one_renewal(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    manager = rig.manager()
    async with rig.client(manager) as client:
        answers = await asyncio.gather(*(client.post("") for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert rig.refreshes == 1
    assert set(rig.server.calls) == {"Bearer access-1"}
    # At the start, and anew before the renewal.
    assert rig.secrets.reads == 2
    assert not rig.server.family_ended


@pytest.mark.behaviour("H6", "H12")
async def test_twenty_calls_refused_with_401_share_one_renewal_and_are_sent_once_more(
    rig: Rig,
) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    rig.server.good.clear()
    manager = rig.manager()
    async with rig.client(manager) as client:
        answers = await asyncio.gather(*(client.post("") for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert rig.refreshes == 1
    assert len(rig.server.calls) <= 40


@pytest.mark.behaviour("C19")
async def test_two_processes_on_one_rotating_token_keep_its_family(
    rig: Rig, tmp_path: Path
) -> None:
    vault = tmp_path / "vault.json"
    hands = Hands()
    hands.wall = 1_000_000.0
    await FileSecrets(vault).write(ITEM, new_grant(rig.server, hands).to_item())
    arguments = ("-m", "tests.auth.renewer", f"{rig.server.url}/mcp", str(vault), str(tmp_path))
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    outputs = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [out.split() for out, _ in outputs] == [[b"200"] * 10] * 2
    assert rig.refreshes == 1
    assert not rig.server.family_ended


@pytest.mark.behaviour("C19")
async def test_a_token_that_another_process_renewed_is_taken_over(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    manager = rig.manager()
    assert await call(rig, manager) == 200
    rig.server.good.clear()
    rig.store(new_grant(rig.server, rig.hands, access="access-new", refresh="refresh-new"))
    assert await call(rig, manager) == 200
    assert rig.refreshes == 0


@pytest.mark.behaviour("GRID-O06", "LIB-R02")
async def test_a_renewal_outlives_the_call_that_caused_it(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    rig.server.hold = asyncio.Event()
    manager = rig.manager()
    caller = asyncio.create_task(call(rig, manager))
    await rig.server.arrived.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    rig.server.hold.set()
    await manager.close()
    stored = rig.secrets.grant
    assert stored is not None
    assert stored.tokens is not None
    assert stored.tokens.access.reveal() == "access-1"
    assert await call(rig, manager) == 200
    assert rig.refreshes == 1


@pytest.mark.behaviour("H7")
async def test_a_call_waits_only_so_long_for_a_slow_renewal(rig: Rig) -> None:
    rig.limits = replace(QUICK, patience=0.05)
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    rig.server.hold = asyncio.Event()
    manager = rig.manager()
    with pytest.raises(TokenUnavailable, match="slow"):
        await call(rig, manager)
    rig.server.hold.set()
    await manager.close()
    assert await call(rig, manager) == 200
    assert rig.refreshes == 1


@pytest.mark.behaviour("H9")
async def test_of_many_servers_two_renew_at_one_authorization_server_at_once(
    rig: Rig, tmp_path: Path
) -> None:
    managers = []
    for number in range(6):
        rig.server.spent.clear()
        other = Rig(rig.server, tmp_path / str(number), turns=rig.turns)
        other.store(new_grant(rig.server, other.hands, age=7_200))
        managers.append(other.manager())
    rig.server.rotates = False
    rig.server.hold = asyncio.Event()
    asking = [asyncio.create_task(manager.headers()) for manager in managers]
    async with asyncio.timeout(5):
        while rig.refreshes < 2:
            rig.server.arrived.clear()
            await rig.server.arrived.wait()
    rig.server.hold.set()
    await asyncio.gather(*asking)
    assert rig.refreshes == 6
    assert rig.server.most_at_once == 2


# Ahead of the end


@pytest.mark.behaviour("H11", "PRX-R01")
async def test_a_token_is_renewed_at_four_fifths_of_its_life_and_no_call_waits_or_sees_401(
    rig: Rig,
) -> None:
    rig.limits = replace(QUICK, spread=0.0)
    rig.store(new_grant(rig.server, rig.hands, life=10))
    manager = rig.manager()
    assert await call(rig, manager) == 200
    rig.hands.pass_by(7.9)
    assert await call(rig, manager) == 200
    assert rig.refreshes == 0
    rig.hands.pass_by(0.2)
    rig.server.hold = asyncio.Event()
    assert await call(rig, manager) == 200
    await rig.server.arrived.wait()
    assert rig.refreshes == 1
    rig.server.hold.set()
    await until_renewed(manager, "access-1")
    assert await call(rig, manager) == 200
    assert rig.server.calls == ["Bearer access-0"] * 3 + ["Bearer access-1"]


@pytest.mark.behaviour("MUX-O15", "PRX-R01")
async def test_a_token_of_an_hour_is_renewed_more_than_five_minutes_before_its_end(
    rig: Rig,
) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=3_600 - 301))
    manager = rig.manager()
    await manager.headers()
    await until_renewed(manager, "access-1")
    renews_at = manager.sign_in.renews_at
    assert renews_at is not None
    assert 0.75 * 3_600 <= renews_at - rig.hands.wall <= 0.8 * 3_600


@pytest.mark.behaviour("MUX-O16", "MUX-O13", "H12")
async def test_after_a_restart_past_the_end_nobody_has_to_sign_in(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    first = rig.manager()
    assert await call(rig, first) == 200
    await first.close()
    rig.hands.pass_by(30 * DAY)
    rig.hands.monotonic = 7.0
    second = rig.manager()
    await second.load()
    assert second.sign_in.signed_in
    assert await call(rig, second) == 200
    assert rig.refreshes == 1


@pytest.mark.behaviour("LUN-O14")
async def test_a_token_that_ran_out_without_a_refresh_token_counts_as_none(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200, refresh=None))
    manager = rig.manager()
    assert await manager.headers() == {}
    assert not manager.sign_in.signed_in
    with pytest.raises(SignInRequired):
        await call(rig, manager)


@pytest.mark.behaviour("LIB-R11")
@pytest.mark.parametrize("life", [None, "soon", 0, -5, True, float("1e400"), [1]])
async def test_a_token_without_a_known_end_is_used_until_it_is_refused(
    rig: Rig, life: object
) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    answer = {"access_token": "opaque", "token_type": "Bearer", "refresh_token": "refresh-0"}
    body = (
        orjson.dumps({**answer, "expires_in": life})
        if life != float("1e400")
        else (b'{"access_token":"opaque","expires_in":1e400,"refresh_token":"refresh-0"}')
    )
    rig.server.answer_with("/token", Canned(body=body))
    rig.server.good = {"opaque"}
    manager = rig.manager()
    assert await call(rig, manager) == 200
    rig.hands.pass_by(400 * DAY)
    assert await call(rig, manager) == 200
    assert rig.refreshes == 1
    assert manager.sign_in.expires_at is None
    rig.server.good.clear()
    assert await call(rig, manager) == 200
    assert rig.refreshes == 2


@pytest.mark.behaviour("H12")
@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_date_that_jumps_by_a_day_causes_one_renewal_at_most(rig: Rig, jump: float) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    manager = rig.manager()
    assert await call(rig, manager) == 200
    rig.hands.set_date(jump)
    for _ in range(10):
        assert await call(rig, manager) == 200
    assert rig.refreshes <= 1
    rig.hands.set_date(-jump)
    for _ in range(10):
        assert await call(rig, manager) == 200
    assert rig.refreshes <= 1
    # The other clock still tells the end.
    rig.hands.pass_by(3_601)
    before = rig.refreshes
    assert await call(rig, manager) == 200
    assert rig.refreshes == before + 1


@pytest.mark.behaviour("H12")
async def test_an_end_that_was_noted_under_a_wrong_date_gives_no_longer_life(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=-30 * DAY))
    manager = rig.manager()
    assert await call(rig, manager) == 200
    rig.hands.pass_by(3_601)
    rig.server.good.clear()
    assert await call(rig, manager) == 200
    assert rig.server.calls[-1] == "Bearer access-1"
    assert "Bearer access-0" not in rig.server.calls[1:]


@pytest.mark.behaviour("H12")
async def test_sleep_is_noticed_though_the_other_clock_stood_still(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    manager = rig.manager()
    assert await call(rig, manager) == 200
    rig.hands.set_date(3_601)
    assert await call(rig, manager) == 200
    assert rig.server.calls == ["Bearer access-0", "Bearer access-1"]


async def test_a_server_that_refuses_every_token_costs_one_renewal(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    manager = rig.manager()
    rig.server.answer_with("/mcp", *[Canned(401)] * 20)
    for _ in range(5):
        with pytest.raises(SignInRequired, match="just issued"):
            await call(rig, manager)
    assert rig.refreshes == 1
    assert manager.sign_in.signed_in


# What a renewal says


@pytest.mark.behaviour("MUX-O17", "LIB-R08", "LIB-F09")
async def test_a_renewal_asks_for_the_same_and_keeps_what_the_answer_leaves_out(rig: Rig) -> None:
    rig.server.rotates = False
    rig.store(new_grant(rig.server, rig.hands, age=7_200, client_secret="s:cret%"))
    manager = rig.manager()
    assert await call(rig, manager) == 200
    [asked] = rig.server.to("/token")
    assert asked.form == {
        "client_id": "client-1",
        "grant_type": "refresh_token",
        "refresh_token": "refresh-0",
        "resource": f"{rig.server.url}/mcp",
        "scope": "files:read",
    }
    assert asked.headers["authorization"] == "Basic Y2xpZW50LTE6cyUzQWNyZXQlMjU="
    stored = rig.secrets.grant
    assert stored is not None
    assert stored.tokens is not None
    assert stored.tokens.refresh is not None
    assert stored.tokens.refresh.reveal() == "refresh-0"
    assert stored.tokens.scopes == ("files:read",)
    assert stored.account == "ada@example.com"


@pytest.mark.behaviour("GRID-O07", "GRID-O09", "C19")
async def test_a_new_token_is_hidden_and_stored_before_it_is_used(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    at_write: list[tuple[int, list[str]]] = []
    rig.secrets.on_write = lambda: at_write.append(
        (len(rig.server.calls), [secret.reveal() for secret in rig.hidden])
    )
    manager = rig.manager()
    assert await call(rig, manager) == 200
    [(calls, hidden)] = at_write
    assert calls == 0
    assert {"access-0", "refresh-0", "access-1", "refresh-1"} <= set(hidden)


@pytest.mark.behaviour("H10", "C19")
async def test_a_token_that_cannot_be_stored_is_used_and_said_and_stored_later(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    rig.secrets.writes_fail = True
    manager = rig.manager()
    assert await call(rig, manager) == 200
    assert "could not be stored" in manager.sign_in.warning
    rig.hands.pass_by(3_601)
    assert await call(rig, manager) == 200
    assert [each.form["refresh_token"] for each in rig.server.to("/token")] == [
        "refresh-0",
        "refresh-1",
    ]
    assert not rig.server.family_ended
    rig.secrets.writes_fail = False
    rig.hands.pass_by(61)
    assert await call(rig, manager) == 200
    await manager.close()
    assert manager.sign_in.warning == ""
    stored = rig.secrets.grant
    assert stored is not None
    assert stored.tokens is not None
    assert stored.tokens.access.reveal() == "access-2"


# When it fails


@pytest.mark.behaviour(
    "H8", "GRID-O08", "LIB-R05", "LIB-R09", "LIB-R03", "LUN-A07", "LUN-O04", "LIB-F08"
)
@pytest.mark.parametrize(
    "error", ["invalid_grant", "unauthorized_client", "invalid_client", "bad_refresh_token"]
)
async def test_a_final_refusal_asks_for_a_sign_in_once_and_the_tokens_are_dropped(
    rig: Rig, error: str
) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    rig.server.answer_with("/token", refusal(error, "gone"))
    manager = rig.manager()
    failures = await asyncio.gather(*(call(rig, manager) for _ in range(5)), return_exceptions=True)
    assert {type(each) for each in failures} == {SignInRequired}
    assert error in str(failures[0])
    assert "mcpmux login acme" in str(failures[0])
    for _ in range(3):
        with pytest.raises(SignInRequired):
            await call(rig, manager)
    assert rig.refreshes == 1
    stored = rig.secrets.grant
    assert stored is not None
    assert stored.tokens is None
    assert (stored.registration is None) == (error == "invalid_client")
    assert not manager.sign_in.signed_in


@pytest.mark.behaviour("GRID-O08")
async def test_a_configured_client_that_is_unknown_is_named_and_kept(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200, made_here=False))
    rig.server.answer_with("/token", refusal("invalid_client", status=401))
    manager = rig.manager()
    with pytest.raises(SignInRequired, match="client_id"):
        await call(rig, manager)
    stored = rig.secrets.grant
    assert stored is not None
    assert stored.registration is not None
    assert stored.tokens is None


PASSING = {
    "503": Canned(503, b"<html>busy</html>"),
    "500 with a final word": refusal("invalid_grant", status=500),
    "429": Canned(429, b"", ((b"retry-after", b"120"),)),
    "403 page": Canned(403, b"<html>firewall</html>"),
    "temporarily_unavailable": refusal("temporarily_unavailable"),
    "invalid_request": refusal("invalid_request"),
    "no JSON": Canned(200, b"<html>captive portal</html>"),
    "JSON of another kind": Canned(200, b"[1]"),
    "deep JSON": Canned(200, b"[" * 100_000),
    "no token": Canned(200, b'{"expires_in": 5}'),
    "a token with a line break": Canned(200, b'{"access_token": "a\\r\\nb"}'),
    "a lone surrogate": Canned(200, b'{"access_token": "a", "refresh_token": "\\ud800"}'),
    "another kind of token": Canned(200, b'{"access_token": "a", "token_type": "DPoP"}'),
    "redirect": Canned(307, b"", ((b"location", b"/elsewhere"),)),
    "endless": Canned(200, b'{"a": "' + b"x" * 1_000_000),
}


@pytest.mark.behaviour("H7", "GRID-O08", "C11")
@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
async def test_any_other_failure_keeps_the_tokens_and_waits(rig: Rig, answer: Canned) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    rig.server.answer_with("/token", answer, answer)
    manager = rig.manager()
    failures = await asyncio.gather(*(call(rig, manager) for _ in range(5)), return_exceptions=True)
    assert {type(each) for each in failures} == {TokenUnavailable}
    with pytest.raises(TokenUnavailable, match=r"needs a new token, but 127\.0\.0\.1:\d+ ") as told:
        await call(rig, manager)
    assert rig.refreshes == 1
    pause = 120 if answer.status == 429 else 5
    assert told.value.retry_after == pytest.approx(pause, abs=1)
    assert "nobody has to sign in" in str(told.value)
    assert manager.sign_in.trouble
    rig.hands.pass_by(pause + 0.1)
    with pytest.raises(TokenUnavailable):
        await call(rig, manager)
    assert rig.refreshes == 2
    rig.hands.pass_by(pause + 0.1)
    if answer.status != 429:
        # The second wait is twice as long.
        with pytest.raises(TokenUnavailable):
            await call(rig, manager)
        assert rig.refreshes == 2
        rig.hands.pass_by(pause)
    assert await call(rig, manager) == 200
    assert rig.refreshes == 3
    assert manager.sign_in.trouble == ""
    assert {each.path for each in rig.server.asked} == {"/token"}


@pytest.mark.behaviour("H7", "LUN-A07")
async def test_an_authorization_server_that_hangs_or_is_gone_keeps_the_tokens(rig: Rig) -> None:
    rig.limits = replace(QUICK, answer=0.1)
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    rig.server.hold = asyncio.Event()
    manager = rig.manager()
    with pytest.raises(TokenUnavailable, match=r"did not answer within 0\.1 s"):
        await call(rig, manager)
    rig.server.hold.set()
    gone = new_grant(TokenServer(url="http://127.0.0.1:1"), rig.hands, age=7_200)
    rig.store(gone.model_copy(update={"binding": binding(f"{rig.server.url}/mcp")}))
    with pytest.raises(TokenUnavailable, match="could not be asked"):
        await call(rig, rig.manager())
    assert rig.secrets.grant is not None
    assert rig.secrets.grant.tokens is not None


@pytest.mark.behaviour("H7")
async def test_the_wait_between_tries_grows_to_five_minutes(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    rig.server.answer_with("/token", *[Canned(503)] * 9)
    manager = rig.manager()
    waits = []
    for _ in range(9):
        with pytest.raises(TokenUnavailable) as told:
            await call(rig, manager)
        wait = told.value.retry_after
        assert wait is not None
        waits.append(round(wait))
        rig.hands.pass_by(wait)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.behaviour("H7", "MUX-O14")
async def test_a_token_that_is_still_good_is_used_while_its_renewal_fails(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=3_595))
    rig.server.answer_with("/token", Canned(503))
    manager = rig.manager()
    assert await call(rig, manager) == 200
    assert await call(rig, manager) == 200
    assert rig.refreshes == 1


@pytest.mark.behaviour("C21")
async def test_a_hostile_answer_leaves_a_short_clean_sentence_without_what_was_sent(
    rig: Rig,
) -> None:
    secret = "refresh-CANARY+/="
    rig.store(new_grant(rig.server, rig.hands, age=7_200, refresh=secret))
    hostile = f"\x1b]52;c;x\x07 you sent {secret} refresh-CANARY%2B%2F%3D \u202e" + "y" * 1_000
    rig.server.answer_with("/token", refusal("invalid_scope", hostile))
    with pytest.raises(TokenUnavailable) as told:
        await call(rig, rig.manager())
    text = str(told.value)
    assert "CANARY" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "invalid_scope" in text
    assert len(told.value.message) < 300
    rig.server.answer_with("/token", refusal("bad \x1b[31m error"), refusal(secret))
    for _ in range(2):
        with pytest.raises(TokenUnavailable, match="answered HTTP 400"):
            await call(rig, rig.manager())


@pytest.mark.behaviour("C23")
@pytest.mark.parametrize(
    "endpoint", ["http://example.com/token", "ftp://x/token", "https://u:p@example.com/t", "no"]
)
async def test_a_token_goes_only_to_https_or_this_machine(rig: Rig, endpoint: str) -> None:
    grant = new_grant(rig.server, rig.hands, age=7_200)
    endpoints = grant.endpoints.model_copy(update={"token": endpoint})
    rig.store(grant.model_copy(update={"endpoints": endpoints}))
    with pytest.raises(TokenUnavailable, match="not https"):
        await call(rig, rig.manager())


# Rights


@pytest.mark.behaviour("C13", "LIB-R04")
async def test_missing_scopes_are_remembered_once_and_renew_nothing(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    told = b'Bearer error="insufficient_scope", scope="files:read files:write"'
    refused = Canned(403, b"", ((b"www-authenticate", told),))
    rig.server.answer_with("/mcp", *[refused] * 60)
    manager = rig.manager()
    for _ in range(50):
        with pytest.raises(SignInRequired, match="more rights: files:write") as error:
            await call(rig, manager)
        assert error.value.scopes == ("files:write",)
    await manager.close()
    assert rig.refreshes == 0
    assert manager.sign_in.missing_scopes == ("files:write",)
    stored = rig.secrets.grant
    assert stored is not None
    assert stored.missing_scopes == ("files:write",)
    assert len(rig.secrets.writes) == 1
    assert stored.tokens is not None

    await manager.decline(("files:write",))
    again = rig.manager()
    assert await call(rig, again) == 403
    rig.hands.pass_by(DAY + 1)
    rig.server.good.add("access-1")
    with pytest.raises(SignInRequired):
        await call(rig, again)


async def test_a_403_without_that_word_is_the_servers_own_business(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    rig.server.answer_with("/mcp", Canned(403))
    assert await call(rig, rig.manager()) == 403


# Without a grant


@pytest.mark.behaviour("LIB-R07", "GRID-O12", "LIB-F14", "LUN-A01")
async def test_without_a_sign_in_401_asks_for_one_and_keeps_where(rig: Rig) -> None:
    manager = rig.manager()
    with pytest.raises(SignInRequired, match="asks for a sign-in"):
        await call(rig, manager)
    assert manager.challenge is not None
    assert manager.challenge.resource_metadata == (
        f"{rig.server.url}/.well-known/oauth-protected-resource"
    )
    assert rig.server.asked == []


@pytest.mark.behaviour("LUN-O05")
async def test_an_open_server_is_used_without_a_sign_in(rig: Rig) -> None:
    rig.server.good.add("")
    assert await call(rig, rig.manager()) == 200


@pytest.mark.behaviour("LIB-R06", "LUN-O06")
async def test_what_a_sign_in_brought_is_used_and_kept(rig: Rig) -> None:
    manager = rig.manager()
    grant = new_grant(rig.server, rig.hands)
    rig.server.good.add("access-0")
    await manager.adopt(grant)
    assert await call(rig, manager) == 200
    assert rig.secrets.grant == grant
    assert manager.sign_in.account == "ada@example.com"
    assert rig.changes


@pytest.mark.behaviour("F2", "F9", "LUN-A08")
async def test_a_locked_keyring_asks_for_a_person_and_is_read_again(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    rig.secrets.reads_fail = True
    manager = rig.manager()
    with pytest.raises(SignInRequired, match="The keyring is locked") as told:
        await call(rig, manager)
    assert "Unlock it" in told.value.hint
    rig.secrets.reads_fail = False
    assert await call(rig, manager) == 200


@pytest.mark.behaviour("F2", "F9")
async def test_a_keyring_that_locks_later_loses_nothing(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    manager = rig.manager()
    assert await call(rig, manager) == 200
    rig.secrets.reads_fail = True
    rig.hands.pass_by(3_598)
    assert await call(rig, manager) == 200
    rig.hands.pass_by(3)
    with pytest.raises(SignInRequired, match="locked"):
        await call(rig, manager)
    assert rig.refreshes == 0
    rig.secrets.reads_fail = False
    rig.hands.pass_by(20)
    assert await call(rig, manager) == 200
    assert rig.refreshes == 1


@pytest.mark.behaviour("F10")
async def test_an_entry_deleted_outside_asks_for_a_sign_in(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    manager = rig.manager()
    assert await call(rig, manager) == 200
    rig.secrets.disk.clear()
    rig.hands.pass_by(3_601)
    with pytest.raises(SignInRequired, match="was signed out"):
        await call(rig, manager)
    assert rig.refreshes == 0


@pytest.mark.behaviour("F9", "F3")
@pytest.mark.parametrize("text", ["", "{}", "null", '{"tokens": {"access": "CANARY"}}', "\x00"])
async def test_an_entry_that_cannot_be_read_is_replaced_by_a_sign_in(rig: Rig, text: str) -> None:
    rig.secrets.disk[ITEM] = text
    manager = rig.manager()
    with pytest.raises(SignInRequired, match="cannot be read") as told:
        await call(rig, manager)
    assert "CANARY" not in str(told.value)
    rig.server.good.add("access-0")
    await manager.adopt(new_grant(rig.server, rig.hands))
    assert await call(rig, manager) == 200


@pytest.mark.behaviour("LIB-F12", "C18")
async def test_tokens_of_another_address_or_client_are_sent_nowhere(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    url = f"{rig.server.url}/mcp"
    for other in (
        binding(f"{rig.server.url}/other"),
        binding(url, client_id="mine"),
        binding(url, metadata_url="https://example.com/client.json"),
    ):
        manager = rig.manager(other)
        assert await manager.headers() == {}
        assert "another address" in manager.sign_in.warning
        assert manager.grant is None


# Processes and their ends


async def test_a_lock_held_elsewhere_is_waited_for_and_named(rig: Rig) -> None:
    rig.limits = replace(QUICK, lock=0.2)
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    manager = rig.manager()
    async with rig.record().locked():
        with pytest.raises(TokenUnavailable, match="another mcpmux"):
            await call(rig, manager)
    assert rig.refreshes == 0
    rig.hands.pass_by(6)
    assert await call(rig, manager) == 200


async def test_no_lock_is_held_while_a_call_runs(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    manager = rig.manager()
    async with rig.client(manager) as client, client.stream("POST", "") as response:
        assert response.status_code == 200
        async with asyncio.timeout(1), rig.record().locked():
            pass


@pytest.mark.behaviour("F4")
async def test_the_lock_is_a_private_file(rig: Rig) -> None:
    async with rig.record().locked():
        pass
    [lock] = (rig.folder / "sign-in").iterdir()
    assert lock.stat().st_mode & 0o777 == 0o600
    assert lock.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.behaviour("GRID-O06")
async def test_closing_waits_for_a_renewal_only_so_long(rig: Rig) -> None:
    rig.limits = replace(QUICK, closing=0.05, answer=30.0)
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    rig.server.hold = asyncio.Event()
    manager = rig.manager()
    asking = asyncio.create_task(manager.headers())
    await rig.server.arrived.wait()
    await manager.close()
    with pytest.raises(NotConnected):
        await asking


@pytest.mark.behaviour("GRID-O09", "C21")
async def test_no_secret_is_in_any_text(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    grant = new_grant(
        rig.server,
        rig.hands,
        age=7_200,
        access="CANARY-a",
        refresh="CANARY-r",
        client_secret="CANARY-s",
    )
    rig.store(grant)
    manager = rig.manager()
    rig.server.answer_with("/token", Canned(503, b"CANARY"), refusal("invalid_grant", "CANARY-r"))
    texts = [repr(grant), str(grant), repr(manager), grant.model_dump_json(), repr(grant.tokens)]
    with pytest.raises(TokenUnavailable) as first:
        await call(rig, manager)
    rig.hands.pass_by(6)
    with pytest.raises(SignInRequired) as second:
        await call(rig, manager)
    for error in (first.value, second.value):
        cause: BaseException | None = error
        while cause is not None:
            texts += [repr(cause), str(cause)]
            cause = cause.__cause__ or cause.__context__
    texts += [repr(manager.sign_in), repr(manager.grant), *map(repr, rig.hidden), caplog.text]
    for record in caplog.records:
        texts.append(repr(record.args))
    assert not [text for text in texts if "CANARY" in text]
    assert Grant.parse(grant.to_item(), SERVER) == grant
