from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mcpmux_tui.config import watch
from mcpmux_tui.config.watch import changes

PATIENCE = 8


@contextlib.asynccontextmanager
async def watching(path: Path) -> AsyncIterator[asyncio.Queue[None]]:
    """A queue with one item for each change seen after the first look."""
    seen: asyncio.Queue[None] = asyncio.Queue()

    async def look() -> None:
        async for _ in changes(path):
            seen.put_nowait(None)

    task = asyncio.create_task(look())
    try:
        await seen_again(seen)
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def seen_again(seen: asyncio.Queue[None]) -> None:
    await asyncio.wait_for(seen.get(), PATIENCE)
    while not seen.empty():
        seen.get_nowait()


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def replace(path: Path, text: str) -> None:
    write(path.with_suffix(".new"), text)
    path.with_suffix(".new").replace(path)


@pytest.mark.behaviour("AMG-W01")
async def test_writing_replacing_and_removing_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write(path, "a = 1")
    async with watching(path) as seen:
        write(path, "a = 22")
        await seen_again(seen)
        replace(path, "a = 333")
        await seen_again(seen)
        path.unlink()
        await seen_again(seen)
        write(path, "a = 4444")
        await seen_again(seen)


async def test_a_folder_that_comes_later_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "config.toml"
    async with watching(path) as seen:
        path.parent.mkdir(parents=True)
        write(path, "a = 1")
        await seen_again(seen)
        write(path, "a = 22")
        await seen_again(seen)


async def test_the_target_of_a_link_and_a_new_target_are_seen(tmp_path: Path) -> None:
    first, second = tmp_path / "one" / "c.toml", tmp_path / "two" / "c.toml"
    for target in (first, second):
        target.parent.mkdir()
        write(target, "a = 1")
    link = tmp_path / "links" / "config.toml"
    link.parent.mkdir()
    link.symlink_to(first)
    async with watching(link) as seen:
        write(first, "a = 22")
        await seen_again(seen)
        new = link.with_suffix(".new")
        new.symlink_to(second)
        new.replace(link)
        await seen_again(seen)
        write(second, "a = 333")
        await seen_again(seen)


@pytest.mark.behaviour("AMG-W01")
async def test_other_files_and_the_mere_passing_of_time_are_no_change(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write(path, "a = 1")
    async with watching(path) as seen:
        write(tmp_path / "other.toml", "b = 1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(seen.get(), 1.3)


@pytest.mark.parametrize("place", ["folder/config.toml", "link.toml"])
async def test_notices_come_without_waiting_for_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(watch, "_LOOK_MS", 3_600_000)
    path = tmp_path / place
    real = tmp_path / "folder" / "config.toml"
    real.parent.mkdir()
    if place == "link.toml":
        path.symlink_to(real)
    to_see = 3
    async with watching(path) as seen, asyncio.timeout(PATIENCE):
        # Nothing tells when the system has begun to watch, so change it until a change is seen.
        for number in itertools.count():
            path.parent.mkdir(exist_ok=True)
            write(path, "#" * number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(seen.get(), 0.7)
                to_see -= 1
            if not to_see:
                break


async def test_a_circle_of_links_is_watched_like_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.symlink_to(path)
    async with watching(path) as seen:
        path.unlink()
        write(path, "a = 1")
        await seen_again(seen)


async def test_cancelling_ends_it_at_once(tmp_path: Path) -> None:
    async with asyncio.timeout(2):
        async with watching(tmp_path / "config.toml"):
            pass
