"""A file that mcpmux changes is whole at any moment, and nobody's change of it is lost."""

from __future__ import annotations

import errno
import io
import operator
import os
import resource
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mcpmux_tui.config.atomic import update
from mcpmux_tui.model.errors import ConfigError

BEFORE = b"# mine\n[servers.a]\ncommand = 'x'\n"
MORE = b"[servers.b]\ncommand = 'y'\n"


def longer(content: bytes) -> bytes:
    """A change that loses nothing of what was there."""
    return content + MORE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that somebody wrote."""
    path = tmp_path / "config.toml"
    path.write_bytes(BEFORE)
    return path


def test_a_new_file_and_its_folder_are_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "config.toml"
    assert update(path, longer) == (b"", MORE)
    assert path.read_bytes() == MORE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_links_and_modes_stay(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "mcpmux.toml"
    real.parent.mkdir()
    real.write_bytes(BEFORE)
    real.chmod(0o644)
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    assert update(link, longer) == (BEFORE, BEFORE + MORE)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o644
    assert real.read_bytes() == BEFORE + MORE


def test_what_changes_nothing_writes_nothing(path: Path) -> None:
    inode = path.stat().st_ino
    assert update(path, bytes) == (BEFORE, BEFORE)
    assert path.stat().st_ino == inode


@pytest.mark.behaviour("F1")
@pytest.mark.parametrize("size", [0, 1, 10, len(BEFORE), len(BEFORE) + 10])
def test_a_full_disk_leaves_the_old_file_whole(path: Path, size: int) -> None:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        with pytest.raises(ConfigError, match=r"could not be written: .*It is as before"):
            update(path, longer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert path.read_bytes() == BEFORE
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.behaviour("F2")
@pytest.mark.parametrize("step", ["fchmod", "fsync", "replace"])
def test_at_every_step_the_file_is_old_or_new(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def stop(*_: object) -> None:
        assert path.read_bytes() == BEFORE
        raise OSError(5, "stopped here")

    monkeypatch.setattr(Path if step == "replace" else os, step, stop)
    with pytest.raises(ConfigError, match="stopped here"):
        update(path, longer)
    monkeypatch.undo()
    assert path.read_bytes() == BEFORE
    assert [each.name for each in path.parent.iterdir()] == [path.name]


KILLED = """
import os, sys
from pathlib import Path
from mcpmux_tui.config import atomic

def die(*_, **__):
    os._exit(9)

step = sys.argv[2]
if step == "written":
    real = os.fsync
    os.fsync = die
elif step == "synced":
    atomic._read = (lambda read, seen=[]: lambda target: (
        seen.append(1), die() if len(seen) > 1 else read(target))[1])(atomic._read)
elif step == "ready":
    Path.replace = die
elif step == "replaced":
    real = Path.replace
    Path.replace = lambda one, other: (real(one, other), die())
atomic.update(Path(sys.argv[1]), lambda content: content + b"new")
"""


@pytest.mark.behaviour("F2")
@pytest.mark.parametrize(
    ("step", "new"), [("written", False), ("synced", False), ("ready", False), ("replaced", True)]
)
def test_killed_at_any_step_the_file_is_whole_and_the_next_save_sweeps(
    path: Path, step: str, new: bool
) -> None:
    others = [path.with_name(f".{path.name}.swp"), path.with_name(f".{path.name}.old.tmp")]
    for other in others:
        other.write_text("somebody else's", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", KILLED, path, step], check=False)
    assert done.returncode == 9
    assert path.read_bytes() == (BEFORE + b"new" if new else BEFORE)
    assert len(list(path.parent.iterdir())) == 3 + (not new)
    update(path, longer)
    assert {each.name for each in path.parent.iterdir()} == {
        path.name, *(other.name for other in others)
    }  # fmt: skip


@pytest.mark.behaviour("F1")
def test_at_no_byte_does_a_full_disk_cost_anything(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(BEFORE + MORE)

    class Full(io.FileIO):
        """A file on a disk that has room for so many bytes."""

        room = 0

        def write(self, data: Any) -> int:
            if len(data) > self.room:
                super().write(bytes(data)[: self.room])
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(
        "mcpmux_tui.config.atomic.open", lambda file, mode: Full(file, "w"), raising=False
    )
    for room in range(size):
        Full.room = room
        with pytest.raises(ConfigError, match=r"No space left on device\. It is as before"):
            update(path, longer)
        assert path.read_bytes() == BEFORE
        assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.behaviour("F5")
def test_a_change_by_hand_in_between_is_never_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand = BEFORE + b"# by hand\n"
    fsync = os.fsync

    def edited_meanwhile(descriptor: int) -> None:
        fsync(descriptor)
        path.write_bytes(by_hand)

    monkeypatch.setattr(os, "fsync", edited_meanwhile)
    with pytest.raises(ConfigError, match="changed by someone else"):
        update(path, longer)
    assert path.read_bytes() == by_hand
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.behaviour("F5")
def test_changes_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"

    def add_many(letter: bytes) -> None:
        for number in range(10):
            update(path, partial(operator.add, b"%s%d\n" % (letter, number)))

    # The lock belongs to an open folder, so two threads exclude each other as two processes do.
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(add_many, (b"a", b"b", b"c")))
    assert len(set(path.read_bytes().splitlines())) == 30
