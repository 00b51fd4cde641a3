from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mcpmux_tui.model.channel import Item, Kind, Lists
from mcpmux_tui.model.spec import HttpLaunch, ServerSpec, StdioLaunch
from mcpmux_tui.upstream.list_cache import ListCache

SPEC = ServerSpec("a/b", StdioLaunch("server", ("--x",), env={"KEY": "${KEY}"}))
LISTS = Lists(
    {
        Kind.TOOLS: (
            Item("one", b'{"name":"one","n":1180591620717411303424,"t":"\\ud83d \xc3\xa9"}', "One"),
        ),
        Kind.RESOURCES: (Item("file:///a", b'{"uri":"file:///a","name":"a"}'),),
    },
    ("A tool has no name.",),
    frozenset({"tools", "resources", "resources.subscribe"}),
    "Ask first.",
)


async def kept(folder: Path, spec: ServerSpec = SPEC) -> None:
    cache = ListCache(folder)
    cache.keep(spec, LISTS)
    await cache.close()


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def found(folder: Path, spec: ServerSpec = SPEC) -> Lists:
    cache = ListCache(folder)
    cache.read([spec])
    return cache.last(spec)


async def test_lists_come_back_byte_for_byte(tmp_path: Path) -> None:
    await kept(tmp_path / "lists")
    assert found(tmp_path / "lists") == LISTS
    assert [each.stat().st_mode & 0o777 for each in files(tmp_path / "lists")] == [0o600]


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, launch=StdioLaunch("server", ("--y",), env={"KEY": "${KEY}"})),
        replace(SPEC, launch=StdioLaunch("server", ("--x",), env={"KEY": "${OTHER}"})),
        replace(SPEC, launch=HttpLaunch("https://example.com/mcp")),
        replace(SPEC, launch=None),
        replace(SPEC, enabled=False),
    ],
    ids=["arguments", "environment", "transport", "problem", "disabled"],
)
async def test_the_lists_of_another_server_or_of_a_disabled_one_are_not_used(
    tmp_path: Path, other: ServerSpec
) -> None:
    await kept(tmp_path)
    assert found(tmp_path, other) == Lists()


@pytest.mark.behaviour("F12")
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00 random",
        b'{"launch":"","tools":7,"skipped":[]}',
        b'{"launch":"","tools":[{"name":"a","definition":"{","description":""}],"skipped":[]}',
    ],
)
async def test_a_file_that_cannot_be_read_is_as_none_and_made_anew(
    tmp_path: Path, content: bytes
) -> None:
    await kept(tmp_path)
    [file] = files(tmp_path)
    file.write_bytes(content)
    assert found(tmp_path) == Lists()
    await kept(tmp_path)
    assert found(tmp_path) == LISTS


async def test_the_newest_lists_are_the_ones_kept(tmp_path: Path) -> None:
    cache = ListCache(tmp_path)
    cache.keep(SPEC, Lists())
    cache.keep(SPEC, LISTS)
    assert cache.last(SPEC) == LISTS
    await cache.close()
    assert found(tmp_path) == LISTS


async def test_a_removed_server_is_forgotten(tmp_path: Path) -> None:
    await kept(tmp_path)
    cache = ListCache(tmp_path)
    cache.read([SPEC])
    cache.forget(SPEC.name)
    assert cache.last(SPEC) == Lists()
    await cache.close()
    assert files(tmp_path) == []


@pytest.mark.behaviour("F11")
async def test_a_folder_that_cannot_be_written_costs_nothing_but_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache = ListCache(tmp_path)
    cache.keep(SPEC, LISTS)
    await cache.close()
    assert cache.last(SPEC) == LISTS
    assert files(tmp_path) == []
