from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mcpmux_tui.engine.instance import Instance, InstanceLock
from mcpmux_tui.model.errors import AlreadyRunning, ConfigError, UsageError


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setenv("MCPMUX_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("MCPMUX_TOKEN", raising=False)
    instance = Instance.of(tmp_path / "servers.toml")
    instance.prepare()
    return instance


def test_a_config_file_has_one_instance_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPMUX_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "link.toml").symlink_to(tmp_path / "a.toml")
    monkeypatch.chdir(tmp_path)
    named = [
        tmp_path / "a.toml",
        Path("a.toml"),
        Path("link.toml"),
        tmp_path / "x" / ".." / "a.toml",
    ]
    assert len({Instance.of(path).folder for path in named}) == 1
    assert Instance.of(tmp_path / "b.toml").folder != Instance.of(tmp_path / "a.toml").folder


@pytest.mark.behaviour("X6")
def test_a_second_engine_of_an_instance_is_refused_with_the_firsts_pid(instance: Instance) -> None:
    lock = InstanceLock.acquire(instance)
    with pytest.raises(AlreadyRunning) as refused:
        InstanceLock.acquire(instance)
    assert refused.value.pid == os.getpid()
    lock.release()
    InstanceLock.acquire(instance).release()


@pytest.mark.behaviour("X7")
def test_a_killed_engine_leaves_no_lock(instance: Instance) -> None:
    code = (
        "import sys,pathlib;from mcpmux_tui.engine.instance import *;"
        "InstanceLock.acquire(Instance(pathlib.Path('x'),True,pathlib.Path(sys.argv[1])));"
        "print('held',flush=True);sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(instance.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning) as refused:
            InstanceLock.acquire(instance)
        assert refused.value.pid == holder.pid
        holder.kill()
        holder.wait()
    InstanceLock.acquire(instance).release()


def test_the_token_is_made_once_and_only_this_user_reads_it(instance: Instance) -> None:
    token = instance.token()
    assert len(token) >= 43
    assert instance.token() == token
    (file,) = [path for path in instance.folder.iterdir() if path.name.startswith("token")]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(instance.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_token_file_is_as_none(instance: Instance, content: bytes) -> None:
    (instance.folder / "token").write_bytes(content)
    assert len(instance.token()) >= 43


@pytest.mark.parametrize("name", ["token", "engine.lock"])
def test_what_is_broken_in_the_state_folder_is_a_sentence(instance: Instance, name: str) -> None:
    (instance.folder / name).mkdir()
    with pytest.raises(ConfigError, match=f"{name} cannot be used"):
        instance.token() if name == "token" else InstanceLock.acquire(instance)


@pytest.mark.parametrize("name", ["token", "engine.lock"])
def test_a_full_disk_is_a_sentence_and_leaves_no_draft(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(descriptor: int, *_: object, **__: object) -> None:
        if name == "token":
            os.close(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        disk.setattr(os, "fdopen", full)
        with pytest.raises(ConfigError, match=f"{name} cannot be used: No space left") as met:
            instance.token() if name == "token" else InstanceLock.acquire(instance)
    assert met.value.hint.startswith("Make room there")
    assert [path.name for path in instance.folder.iterdir()] in ([], ["engine.lock"])
    InstanceLock.acquire(instance).release()


def test_a_token_file_that_is_no_text_is_a_sentence(instance: Instance) -> None:
    (instance.folder / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="it is not text"):
        instance.token()


def test_a_token_from_the_environment_is_used_and_never_written(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPMUX_TOKEN", "given-1")
    assert instance.token() == "given-1"
    assert list(instance.folder.iterdir()) == []
    for wrong in ("", "a b", "a\nb", "naïve"):
        monkeypatch.setenv("MCPMUX_TOKEN", wrong)
        with pytest.raises(UsageError):
            instance.token()


@pytest.mark.behaviour("F8")
@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_an_engine_runs_all_the_same_and_its_log_says_so(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, reason: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def refuse(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(fcntl, "flock", refuse)
    InstanceLock.acquire(instance).release()
    assert "cannot be locked" in caplog.text
