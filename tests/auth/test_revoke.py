"""Logging out, forgetting, and what stays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mcpmux_tui.auth import revoke
from mcpmux_tui.model.errors import SignInRequired, VaultError
from tests.auth.rig import ITEM, Rig, new_grant
from tests.auth.token_server import Canned, running


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running() as server:
        yield Rig(server, tmp_path)


def revoked(rig: Rig) -> list[tuple[str, str]]:
    return [(each.form["token_type_hint"], each.form["token"]) for each in rig.server.to("/revoke")]


@pytest.mark.behaviour("C20", "LIB-F11", "GRID-O10")
@pytest.mark.parametrize("reset", [False, True])
async def test_a_logout_revokes_then_deletes_and_keeps_the_registration_unless_reset(
    rig: Rig, reset: bool
) -> None:
    rig.store(new_grant(rig.server, rig.hands, client_secret="s"))
    order: list[int] = []
    rig.secrets.on_write = lambda: order.append(len(rig.server.to("/revoke")))
    manager = rig.manager()
    await manager.load()
    assert await manager.logout(reset=reset)
    assert revoked(rig) == [("refresh_token", "refresh-0"), ("access_token", "access-0")]
    assert all("authorization" in each.headers for each in rig.server.to("/revoke"))
    assert order == ([] if reset else [2])
    stored = rig.secrets.grant
    if reset:
        assert stored is None
    else:
        assert stored is not None
        assert stored.tokens is None
        assert stored.account is None
        assert stored.registration is not None
    assert not manager.sign_in.signed_in
    assert await manager.headers() == {}


@pytest.mark.behaviour("C20", "LIB-F11")
@pytest.mark.parametrize("how", ["503", "hangs", "gone", "no endpoint"])
async def test_tokens_are_deleted_though_the_authorization_server_cannot_be_told(
    rig: Rig, how: str
) -> None:
    grant = new_grant(rig.server, rig.hands, revocation=how != "no endpoint")
    if how == "gone":
        endpoints = grant.endpoints.model_copy(update={"revocation": "http://127.0.0.1:1/revoke"})
        grant = grant.model_copy(update={"endpoints": endpoints})
    rig.store(grant)
    rig.server.answer_with("/revoke", Canned(503), Canned(503))
    if how == "hangs":
        rig.server.hold = asyncio.Event()
    before = time.monotonic()
    assert not await rig.manager().logout()
    assert time.monotonic() - before < 3
    assert rig.secrets.grant is not None
    assert rig.secrets.grant.tokens is None


@pytest.mark.behaviour("C20", "F11")
async def test_a_removed_server_leaves_nothing(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    assert await rig.manager().forget()
    assert len(revoked(rig)) == 2
    assert rig.secrets.disk == {}
    assert list((rig.folder / "sign-in").iterdir()) == []
    # Without a manager, and with nothing there.
    left = await revoke.forget(rig.record())
    assert left == revoke.Left(told=True, kept=None)


@pytest.mark.behaviour("C20", "LIB-F12")
async def test_a_logout_works_for_a_sign_in_to_another_address(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands))
    await rig.manager("another").logout()
    assert len(revoked(rig)) == 2
    assert rig.secrets.grant is not None
    assert rig.secrets.grant.tokens is None


@pytest.mark.behaviour("LIB-R10")
async def test_a_logout_during_a_renewal_revokes_what_it_brought(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    rig.server.hold = asyncio.Event()
    manager = rig.manager()
    asking = asyncio.create_task(manager.headers())
    await rig.server.arrived.wait()
    leaving = asyncio.create_task(manager.logout())
    rig.server.hold.set()
    await asking
    assert await leaving
    assert ("refresh_token", "refresh-1") in revoked(rig)
    assert ("access_token", "access-1") in revoked(rig)
    stored = rig.secrets.grant
    assert stored is not None
    assert stored.tokens is None
    assert await manager.headers() == {}


@pytest.mark.behaviour("LIB-R10")
async def test_no_renewal_stores_tokens_after_a_logout(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    manager = rig.manager()
    await manager.load()
    rig.server.hold = asyncio.Event()
    leaving = asyncio.create_task(revoke.logout(rig.record()))
    await rig.server.arrived.wait()
    asking = asyncio.create_task(manager.headers())
    rig.server.hold.set()
    await asyncio.wait({leaving, asking})
    await leaving
    assert rig.secrets.grant is not None
    assert rig.secrets.grant.tokens is None
    assert await manager.headers() == {}


@pytest.mark.behaviour("C20", "H10")
async def test_tokens_that_could_not_be_stored_are_revoked_too(rig: Rig) -> None:
    rig.store(new_grant(rig.server, rig.hands, age=7_200))
    manager = rig.manager()
    rig.secrets.writes_fail = True
    await manager.headers()
    with pytest.raises(VaultError):
        await manager.logout()
    assert {token for _, token in revoked(rig)} == {
        "refresh-0",
        "refresh-1",
        "access-0",
        "access-1",
    }
    assert await manager.headers() == {}
    rig.secrets.writes_fail = False
    await manager.logout(reset=True)
    assert ITEM not in rig.secrets.disk


async def test_an_entry_that_cannot_be_read_is_deleted(rig: Rig) -> None:
    rig.secrets.disk[ITEM] = "not a grant"
    with pytest.raises(SignInRequired):
        await rig.manager().load()
    await rig.manager().logout()
    assert ITEM not in rig.secrets.disk
