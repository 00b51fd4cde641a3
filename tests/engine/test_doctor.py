"""Why a server is red: what is checked, in which order, and what mends it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mcpmux_tui.control.protocol import Check
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.person import Person
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.server import Health
from tests.engine.test_hub import RAW, entry, running, until
from tests.engine.test_sign_ins import SESSION, row
from tests.fixtures.asgi import serving
from tests.fixtures.evil_as import running as signing

REMOTE = ["config", "values", "name", "connection", "answer"]
SIGN_IN = [*REMOTE, "challenge", "metadata", "registration", "token"]
LOCAL = [
    "config", "values", "command", "folder", "version", "environment", "initialize", "list",
]  # fmt: skip


async def found(hub: Hub, name: str) -> tuple[list[str], Check]:
    """The names of the checks, and the last one."""
    checks = await Person(hub).examine(name)
    assert all(check.ok for check in checks[:-1])
    return [check.name for check in checks], checks[-1]


async def settled(hub: Hub) -> None:
    ready = {Health.CONNECTED, Health.FAILED, Health.NEEDS_INPUT, Health.NEEDS_SIGN_IN,
             Health.RECONNECTING, Health.DISABLED}  # fmt: skip
    await until(hub, lambda: all(each.state in ready for each in hub.snapshot().servers))


async def test_a_server_of_this_machine_is_checked_up_to_what_fails(tmp_path: Path) -> None:
    python = sys.executable
    entries = (
        entry("good"),
        "[servers.neither]\nenabled = true\n",
        "[servers.lacks]\ncommand = 'x'\nenv = { KEY = '${secret:KEY_X}' }\n",
        "[servers.missing]\ncommand = 'mcpmux-no-such-program'\n",
        f"[servers.nowhere]\ncommand = {python!r}\ncwd = '/no/such/folder'\n",
        f"[servers.ends]\ncommand = {python!r}\nargs = ['-c', 'import sys; sys.exit(\"no db\")']\n",
        f"[servers.off]\ncommand = {python!r}\nargs = [{str(RAW)!r}]\nenabled = false\n",
    )
    async with running(tmp_path, SESSION, *entries) as hub:
        await settled(hub)
        names, last = await found(hub, "good")
        assert names == LOCAL
        assert (last.ok, last.name) == (True, "list")
        names, last = await found(hub, "neither")
        assert (names, last.ok) == (["config"], False)
        assert "no `command`" in last.said
        assert (last.mend, last.command) == (Mend.EDITOR, "")
        names, last = await found(hub, "lacks")
        assert names[-1] == "values"
        assert "KEY_X" in last.said
        assert (last.mend, last.command) == (Mend.VALUES, "mcpmux secret set KEY_X")
        assert last.fix == "Enter it, or start mcpmux with MCPMUX_SECRET_KEY_X set."
        names, last = await found(hub, "missing")
        assert names[-1] == "command"
        assert "is in none of these folders:" in last.said
        assert last.mend is Mend.EDIT
        names, last = await found(hub, "nowhere")
        assert (names[-1], "/no/such/folder" in last.said) == ("folder", True)
        names, last = await found(hub, "ends")
        assert names[-1] == "initialize"
        assert "no db" in last.said
        assert (last.mend, last.command) == (Mend.RETRY, "mcpmux restart ends")
        names, last = await found(hub, "off")
        assert (last.mend, last.command) == (Mend.ENABLE, "mcpmux enable off")


async def test_a_remote_server_is_checked_up_to_what_fails(tmp_path: Path) -> None:
    async def nothing(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    async with signing() as guarded, serving(nothing) as empty:
        entries = (
            f"[servers.guarded]\nurl = {guarded.mcp!r}\n",
            f"[servers.empty]\nurl = '{empty}/wrong'\n",
            "[servers.closed]\nurl = 'http://127.0.0.1:1/mcp'\n",
            "[servers.unknown]\nurl = 'http://no-such-host.invalid/mcp'\n",
            f"[servers.tls]\nurl = '{empty.replace('http:', 'https:')}/mcp'\n",
        )
        async with running(tmp_path, SESSION, *entries) as hub:
            await settled(hub)
            names, last = await found(hub, "guarded")
            assert names == SIGN_IN
            assert (last.said, last.mend) == ("Nobody is signed in.", Mend.SIGN_IN)
            assert last.command == "mcpmux login guarded"
            names, last = await found(hub, "empty")
            assert (names[-1], "HTTP 404" in last.said) == ("answer", True)
            names, last = await found(hub, "closed")
            assert names[-1] == "connection"
            names, last = await found(hub, "unknown")
            assert (names[-1], last.said) == ("name", "no-such-host.invalid cannot be found.")
            names, last = await found(hub, "tls")
            assert (names[-1], last.ok) == ("TLS", False)
            assert last.said == "No TLS with 127.0.0.1 (WRONG_VERSION_NUMBER)."
            assert "begin with http instead of https" in last.fix
            assert row(hub, "guarded").state is Health.NEEDS_SIGN_IN


async def test_a_list_that_cannot_be_had_fails_after_initialize(tmp_path: Path) -> None:
    late = f"{entry('late')}deadlines = {{ list = 0.000001 }}\n"
    async with running(tmp_path, SESSION, late) as hub:
        await until(hub, lambda: row(hub, "late").state is Health.DEGRADED)
        names, last = await found(hub, "late")
    assert (names, last.ok) == (LOCAL, False)
    assert "No answer to tools/list" in last.said
    assert (last.mend, last.command) == (Mend.RETRY, "mcpmux restart late")


@pytest.mark.behaviour("F7")
async def test_no_secret_is_in_what_the_doctor_says(tmp_path: Path) -> None:
    shell = (
        "[servers.loud]\ncommand = 'sh'\nargs = ['-c', 'echo $API_TOKEN >&2; exit 3']\n"
        "env = { API_TOKEN = 's3cr3t-canary' }\n"
    )
    async with running(tmp_path, SESSION, shell) as hub:
        await settled(hub)
        assert "canary" not in str(await Person(hub).examine("loud"))
