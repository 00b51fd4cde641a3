"""Secrets in a keyring that works, hangs, is locked, or raises."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.vault.backend import Keyring, Session
from mcpmux_tui.vault.index import Index
from mcpmux_tui.vault.parts import InParts
from mcpmux_tui.vault.store import Limits, Vault
from mcpmux_tui.vault.values import NamedValues
from tests.fixtures.fake_keyring import FakeKeyring

QUICK = Limits(call=0.3, prompt=0.3)


def put(ring: FakeKeyring, vault: Vault, item: str, value: str) -> None:
    """As another process would."""
    ring.values["mcpmux/test", item] = value
    vault.index.add(item)


@pytest.fixture
def ring() -> FakeKeyring:
    return FakeKeyring()


@pytest.fixture
def vault(ring: FakeKeyring, tmp_path: Path) -> Vault:
    return over(ring, tmp_path)


def over(ring: FakeKeyring, folder: Path) -> Vault:
    index = Index(folder / "vault")
    return Vault(lambda: InParts(Keyring(ring, "mcpmux/test")), index, limits=QUICK)


def trouble_of(met: pytest.ExceptionInfo[VaultError]) -> str:
    assert met.value.__cause__ is None
    assert "s3cret" not in str(met.value)
    return met.value.trouble


async def test_what_is_written_is_there_for_the_next_process_and_its_name_is_noted(
    ring: FakeKeyring, vault: Vault, tmp_path: Path
) -> None:
    assert await vault.read("server/a") is None
    assert not ring.counts
    await vault.write("server/a", "one")
    await vault.write("secret/B", "two")
    assert vault.index.names() == ("secret/B", "server/a")
    again = over(ring, tmp_path)
    assert await again.read("server/a") == "one"
    await again.delete("server/a")
    await again.delete("server/never")
    assert await again.read("server/a") is None
    assert again.index.names() == ("secret/B",)
    assert set(ring.values) == {("mcpmux/test", "secret/B")}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "vault").iterdir()} == {0o600}


@pytest.mark.behaviour("F2")
async def test_each_item_is_read_once_however_many_ask(ring: FakeKeyring, vault: Vault) -> None:
    items = [f"server/{number}" for number in range(20)]
    for item in items:
        put(ring, vault, item, item)
    asked = [item for item in items for _ in range(5)]
    assert await asyncio.gather(*map(vault.read, asked)) == asked
    assert await asyncio.gather(*map(vault.read, asked)) == asked
    assert ring.counts["get"] == 20
    ring.values["mcpmux/test", items[0]] = "from elsewhere"
    assert await vault.read(items[0]) == items[0]
    assert await vault.read(items[0], fresh=True) == "from elsewhere"
    assert await vault.read(items[0]) == "from elsewhere"


@pytest.mark.behaviour("F2", "F9")
async def test_a_keyring_that_hangs_holds_up_nobody_and_is_asked_again_when_it_is_back(
    ring: FakeKeyring, vault: Vault
) -> None:
    put(ring, vault, "server/a", "kept")
    ring.go.clear()
    with pytest.raises(VaultError) as met:
        await vault.read("server/a")
    assert trouble_of(met) == "silent"
    ring.go.set()
    assert await vault.read("server/a") == "kept"


@pytest.mark.behaviour("F2")
async def test_after_some_hanging_calls_no_more_threads_are_spent(
    ring: FakeKeyring, vault: Vault
) -> None:
    put(ring, vault, "server/a", "kept")
    ring.go.clear()
    for _ in range(5):
        with pytest.raises(VaultError) as met:
            await vault.read("server/a")
        assert trouble_of(met) == "silent"
    assert ring.counts["get"] == 3
    ring.go.set()


@pytest.mark.behaviour("F2", "C19")
async def test_a_write_that_comes_through_late_does_not_undo_a_newer_one(
    ring: FakeKeyring, vault: Vault
) -> None:
    ring.go.clear()
    first = asyncio.create_task(vault.write("server/a", "old"))
    with pytest.raises(VaultError):
        await first
    second = asyncio.create_task(vault.write("server/a", "new"))
    await asyncio.sleep(0)
    ring.go.set()
    await second
    await until(lambda: ring.counts["set"] == 3)
    await vault.write("server/b", "last")
    assert ring.values["mcpmux/test", "server/a"] == "new"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - another thread's doing
            await asyncio.sleep(0.01)


@pytest.mark.behaviour("F2", "F9", "F10")
async def test_a_locked_or_broken_keyring_is_a_reason_and_nothing_is_lost(
    ring: FakeKeyring, vault: Vault, tmp_path: Path
) -> None:
    await vault.write("server/a", "one")
    again = over(ring, tmp_path)
    for switch, trouble in (("locked", "locked"), ("broken", "refused")):
        setattr(ring, switch, True)
        for act in (
            again.read("server/a"),
            vault.write("server/a", "s3cret"),
            vault.delete("server/b"),
        ):
            with pytest.raises(VaultError) as met:
                await act
            assert trouble_of(met) == trouble
        setattr(ring, switch, False)
    # What could not be stored is used until the end.
    assert await vault.read("server/a") == "s3cret"
    assert await again.read("server/a") == "one"


@pytest.mark.behaviour("LUN-E10")
async def test_what_signs_in_and_what_servers_are_given_lie_in_different_drawers(
    ring: FakeKeyring, vault: Vault
) -> None:
    await vault.write("server/acme", "the grant")
    values = NamedValues(vault)
    await values.give("acme", "of a child", session=False)
    assert await values.value("server/acme") is None
    assert await values.value("acme") == "of a child"
    assert [each.name for each in values.names()] == ["acme"]
    assert await vault.read("server/acme") == "the grant"
    assert await values.remove("acme")
    assert not await values.remove("acme")
    assert await vault.read("server/acme") == "the grant"


async def test_a_write_during_a_read_is_newer_than_what_the_read_brings(
    ring: FakeKeyring, vault: Vault
) -> None:
    put(ring, vault, "server/a", "old")
    ring.go.clear()
    reading = asyncio.create_task(vault.read("server/a"))
    await until(lambda: ring.counts["get"] == 1)
    writing = asyncio.create_task(vault.write("server/a", "new"))
    await asyncio.sleep(0)
    ring.go.set()
    await asyncio.gather(reading, writing)
    assert await vault.read("server/a") == "new"


@pytest.mark.behaviour("F2")
def test_a_hanging_keyring_does_not_keep_the_process_from_ending() -> None:
    code = """
import asyncio, pathlib, threading
from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.vault.index import Index
from mcpmux_tui.vault.store import Limits, Vault

def never():
    threading.Event().wait()

async def main():
    vault = Vault(never, Index(pathlib.Path("/nonexistent")), limits=Limits(call=0.1), environ={})
    try:
        await vault.write("server/a", "x")
    except VaultError as error:
        print(error.trouble)

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert ended.stdout == "silent\n"


async def test_without_a_keyring_values_last_as_long_as_the_process(tmp_path: Path) -> None:
    vault = Vault(
        lambda: Session("no keyring service runs"), Index(tmp_path / "vault"), limits=QUICK
    )
    before = vault.passing
    await vault.write("server/a", "one")
    assert await vault.read("server/a", fresh=True) == "one"
    assert (before, vault.passing) == ("", "this session only: no keyring service runs")
    assert vault.index.names() == ()
