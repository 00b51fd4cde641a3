"""What the doctor says of a server's program: its version, and what it lacks of the shell's."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from mcpmux_tui.control.protocol import Check
from mcpmux_tui.engine.doctor import version
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.person import Person
from mcpmux_tui.model.mend import Mend
from tests.engine.test_hub import running
from tests.engine.test_sign_ins import SESSION


def program(folder: Path, name: str, script: str) -> str:
    """An executable of that name, by its whole path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def off(name: str, command: str, more: str = "") -> str:
    """An entry that is not started."""
    return f"[servers.{name}]\ncommand = {command!r}\nenabled = false\n{more}\n"


async def check(hub: Hub, server: str, name: str) -> Check | None:
    return next((each for each in await Person(hub).examine(server) if each.name == name), None)


async def test_a_known_runner_is_asked_for_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {name: tmp_path / name for name in ("good", "broken", "hangs", "fills", "killed")}
    for folder in folders.values():
        folder.mkdir()
    told = tmp_path / "told"
    good = program(
        folders["good"],
        "npx",
        f'echo "$*|$KEY|$(pwd)|$(cat)" > {told}; echo; printf "\\033]0;x\\00711.\\n2"',
    )
    broken = program(folders["broken"], "node", "echo 'env: node: no such file' >&2; exit 127")
    hangs = program(folders["hangs"], "uvx", "sleep 60")
    fills = program(folders["fills"], "python3.12", "yes")
    killed = program(folders["killed"], "docker", "kill -9 $$")
    entries = (
        off(
            "good", good, f"args = ['-y', 'pkg']\nenv = {{ KEY = 'k3y' }}\ncwd = {str(tmp_path)!r}"
        ),
        off("broken", broken),
        off("hangs", hangs),
        off("fills", fills),
        off("killed", killed),
    )
    async with running(tmp_path, SESSION, *entries) as hub:
        found = await check(hub, "good", "version")
        assert found is not None
        assert (found.ok, found.said) == (True, "npx says \ufffd]0;x\ufffd11.")
        # Its `--version` and nothing else, without what is the server's to know, no input.
        assert told.read_text(encoding="utf-8") == f"--version||{tmp_path}|\n"
        broken_ones = (
            ("broken", "`node --version` ended with code 127: env: node: no such file"),
            ("killed", "`docker --version` ended with signal 9."),
            ("hangs", "`uvx --version` did not end within 0.2 s."),
            ("fills", "`python3.12 --version` did not end within 0.2 s."),
        )
        for name, said in broken_ones:
            if name == "hangs":
                monkeypatch.setattr(version, "_LASTS", 0.2)
            found = (await Person(hub).examine(name))[-1]
            assert (found.name, found.ok, found.said) == ("version", False, said)
            assert found.fix.startswith(f"Run `{folders[name]}/")
            assert found.mend is Mend.EDIT
        children = [child.cmdline() for child in psutil.Process().children()]
        assert not any(hangs in words or fills in words for words in children)


@pytest.mark.parametrize("name", ["mcp-server", "node2", "python3-x", "npx.sh"])
async def test_any_other_program_is_not_started_to_look_at_it(tmp_path: Path, name: str) -> None:
    command = program(tmp_path, name, f"touch {tmp_path}/started")
    async with running(tmp_path, SESSION, off("own", command)) as hub:
        assert (await Person(hub).examine("own"))[-1].name == "initialize"
        assert await check(hub, "own", "version") is None
    assert not (tmp_path / "started").exists()


def test_a_runner_in_the_working_folder_may_be_anything() -> None:
    assert version.is_runner("npx")
    assert version.is_runner("/usr/bin/python3")
    assert not version.is_runner("./npx")
    assert not version.is_runner("bin/python3")


async def test_a_program_that_cannot_be_run_says_so(tmp_path: Path) -> None:
    path = tmp_path / "node"
    path.write_bytes(b"\x7fELF nothing")
    path.chmod(0o755)
    async with running(tmp_path, SESSION, off("odd", str(path))) as hub:
        last = (await Person(hub).examine("odd"))[-1]
    assert (last.name, last.ok) == ("version", False)
    assert last.said == "node cannot be run: Exec format error."


async def test_it_says_what_the_shell_has_and_the_server_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in os.environ:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PWD", "/")
    monkeypatch.setenv("MCPMUX_TOKEN", "t")
    entries = (
        off("sh", "/bin/sh", "args = ['-c', 'echo $WANTED']\nenv = { GIVEN = '1' }"),
        off("all", "/bin/sh", "inherit_env = true"),
        off("some", "/bin/sh", "inherit_env = ['A*', 'ACME_*', 'WANTED']"),
    )
    async with running(tmp_path, SESSION, *entries) as hub:
        found = await check(hub, "sh", "environment")
        assert found is not None
        assert found.said == "it gets every variable that mcpmux has"
        for name in ("AAA", "ACME_API_KEY", "ACME_HOME", "GIVEN", "WANTED", "ZZZ", "A1", "A2"):
            monkeypatch.setenv(name, "v4lue")
        found = await check(hub, "sh", "environment")
        assert found is not None
        assert found.ok
        assert found.said == (
            "of mcpmux's own variables it does not get WANTED, ACME_API_KEY, ACME_HOME, A1, A2 and"
            " 2 more; `inherit_env` or `env` of its entry passes them on"
        )
        found = await check(hub, "some", "environment")
        assert found is not None
        assert "it does not get GIVEN and ZZZ;" in found.said
        found = await check(hub, "all", "environment")
        assert found is not None
        assert found.said == "it gets every variable that mcpmux has"


@pytest.mark.behaviour("F7")
async def test_what_a_runner_says_shows_no_secret(tmp_path: Path) -> None:
    broken = program(tmp_path, "node", "echo s3cr3t-canary; exit 1")
    entry = off("loud", broken, "env = { API_TOKEN = 's3cr3t-canary' }")
    async with running(tmp_path, SESSION, entry) as hub:
        last = (await Person(hub).examine("loud"))[-1]
    assert last.said.startswith("`node --version` ended with code 1: ")
    assert "canary" not in last.said
