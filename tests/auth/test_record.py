"""The lock around one sign-in."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import suppress
from pathlib import Path

import pytest

from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.auth.record import Busy, Record, _try
from tests.auth.rig import FakeSecrets


def record(folder: Path, lock: float = 5.0) -> Record:
    return Record("acme", secrets=FakeSecrets(), folder=folder, limits=Limits(lock=lock))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.behaviour("C19")
async def test_one_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0

    async def enter() -> None:
        nonlocal inside, most
        async with record(tmp_path).locked():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(10)))
    assert most == 1


@pytest.mark.behaviour("C19")
def test_a_lock_on_a_file_that_was_removed_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sign-in" / "acme.lock"

    def removed_first(descriptor: int, operation: int) -> None:
        path.unlink()
        flock(descriptor, operation)

    flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", removed_first)
    before = open_files()
    assert _try(path) is None
    assert open_files() == before


@pytest.mark.behaviour("C19")
async def test_who_gives_up_waiting_leaves_no_lock_behind(tmp_path: Path) -> None:
    before = open_files()
    for wait in (0.0, 0.0005, 0.001, 0.002, 0.005):
        entering = asyncio.ensure_future(record(tmp_path)._take())
        await asyncio.sleep(wait)
        entering.cancel()
        with suppress(asyncio.CancelledError):
            descriptor = await entering
            if descriptor is not None:
                os.close(descriptor)
    async with record(tmp_path).locked():
        pass
    assert open_files() == before


async def test_a_lock_that_stays_taken_is_said(tmp_path: Path) -> None:
    async with record(tmp_path).locked():
        with pytest.raises(Busy, match="busy with the sign-in to acme"):
            async with record(tmp_path, lock=0.1).locked():
                pass


async def test_a_folder_that_cannot_be_used_stops_no_sign_in(tmp_path: Path) -> None:
    (tmp_path / "sign-in").write_text("a file in the way")
    async with record(tmp_path).locked():
        pass


async def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "sign-in").mkdir()
    (tmp_path / "sign-in" / "acme.lock").symlink_to(tmp_path / "victim")
    async with record(tmp_path).locked():
        pass
    assert not (tmp_path / "victim").exists()
