"""Signing in by commands: an authorization server, a browser, the engine, and no engine."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import psutil
import pytest

from tests.end_to_end.program import FIXTURES, ROOT, Home, Served, Terminal, eventually, fixture
from tests.end_to_end.wire import http_wire


def guarded(home: Home, **switches: str) -> AbstractContextManager[str]:
    """The address of a server that wants a sign-in; for `switches` see evil_as.py."""
    return fixture(home, "evil_as.py", **switches)


def with_browser(home: Home) -> Path:
    """Its log."""
    log = home.folder / "browser.log"
    home.env["BROWSER_LOG"] = str(log)
    home.env["BROWSER"] = f"{sys.executable} {FIXTURES / 'browser.py'}"
    return log


def write(home: Home, url: str) -> tuple[str, str]:
    home.write(f"[vault]\nbackend = 'file'\n[servers.guarded]\nurl = {url!r}\n")
    return ("--config", str(home.config))


def state(home: Home) -> dict[str, object]:
    (server,) = home.rows().values()
    return server


@pytest.mark.behaviour("C1", "MUX-O01")
def test_a_login_opens_one_browser_and_the_server_connects(home: Home) -> None:
    log = with_browser(home)
    with guarded(home) as url:
        config = write(home, url)
        with Served(home, "--port", "0") as served:
            eventually(lambda: state(home)["state"] == "needs_sign_in", 15, "the wish to sign in")
            assert "mcpmux login guarded" in str(state(home)["detail"])
            assert home.run("auth", "status", *config).code == 1
            done = home.run("login", "guarded", *config)
            assert done.code == 0, done
            assert done.out == "Signed in to guarded as ada@example.com.\n"
            eventually(lambda: state(home)["state"] == "connected", 15, "connected")
            assert state(home)["account"] == "ada@example.com"
            served.stop()
        (arguments,) = [json.loads(line) for line in log.read_text().splitlines()]
        assert len(arguments) == 1
        # Stopped and started again: nobody is asked anything.
        with Served(home, "--port", "0") as served:
            eventually(lambda: state(home)["state"] == "connected", 15, "connected again")
            assert home.run("auth", "status", *config).code == 0
            assert home.run("logout", "guarded", *config).out == "guarded is logged out.\n"
            eventually(lambda: state(home)["state"] == "needs_sign_in", 15, "logged out")
            served.stop()
        assert len(log.read_text().splitlines()) == 1


def test_without_an_engine_the_command_signs_in_by_itself(home: Home) -> None:
    log = with_browser(home)
    with guarded(home) as url:
        config = write(home, url)
        assert home.run("login", "guarded", *config).code == 0
        row = json.loads(home.run("auth", "status", "--json", *config).out)[0]
        assert (row["name"], row["signed_in"], row["account"]) == (
            "guarded", True, "ada@example.com",
        )  # fmt: skip
        assert len(log.read_text().splitlines()) == 1
        with Served(home, "--port", "0"):
            eventually(lambda: state(home)["state"] == "connected", 15, "connected")
        assert home.run("logout", "guarded", "--reset", *config).code == 0
        assert home.run("auth", "status", *config).code == 1
        assert home.run("login", "nobody", *config).code == 2
        # Who is removed leaves nothing of a sign-in behind.
        assert home.run("login", "guarded", *config).code == 0
        (kept,) = home.folder.rglob("secrets.toml")
        assert "guarded" in kept.read_text()
        assert home.run("remove", "guarded", *config).out == "Removed guarded.\n"
        assert "guarded" not in kept.read_text()


def test_what_is_not_kept_is_said(home: Home) -> None:
    with_browser(home)
    with guarded(home) as url:
        home.write(f"[vault]\nbackend = 'session'\n[servers.guarded]\nurl = {url!r}\n")
        config = ("--config", str(home.config))
        with Served(home, "--port", "0"):
            done = home.run("login", "guarded", *config)
            assert done.code == 0
            assert "It is not kept: this session only: by your own choice." in done.err
            eventually(lambda: state(home)["state"] == "connected", 15, "connected")
        assert home.run("auth", "status", *config).code == 1


def test_a_pasted_address_signs_in_where_no_browser_is(home: Home) -> None:
    with guarded(home) as url:
        config = write(home, url)
        with Terminal(home, "login", "guarded", "--no-browser", *config, columns=500) as terminal:
            terminal.wait_for("paste the address it ends at here")
            address = next(
                word for word in terminal.output.decode().split() if "/authorize?" in word
            )
            ended = subprocess.run(
                [sys.executable, "-c", ENDS_AT, address],
                capture_output=True, text=True, check=True, timeout=20,
            )  # fmt: skip
            terminal.press("http://127.0.0.1:1/callback?state=x&code=y\r")
            terminal.wait_for("does not belong to this sign-in")
            terminal.press(ended.stdout.strip() + "\r")
            terminal.wait_for("Signed in to guarded as ada@example.com.")
            assert terminal.finish() == 0


ENDS_AT = """
import sys, urllib.request, urllib.error
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)
try:
    opener.open(sys.argv[1])
except urllib.error.HTTPError as error:
    print(error.headers["location"])
"""


def test_a_login_that_nobody_finishes_ends_and_everything_else_runs_meanwhile(home: Home) -> None:
    with guarded(home) as url:
        home.write(
            f"[vault]\nbackend = 'file'\n[servers.guarded]\nurl = {url!r}\n", home.stdio("free")
        )
        config = ("--config", str(home.config))
        with Served(home, "--port", "0"):
            ended = home.run("login", "guarded", "--no-browser", "--timeout", "1", *config)
            assert ended.code == 1
            assert "Nobody signed in to guarded within 1 s." in ended.err
            servers = json.loads(home.run("status", "--json", *config).out)["servers"]
            assert {each["name"]: each["state"] for each in servers} == {
                "guarded": "needs_sign_in", "free": "connected",
            }  # fmt: skip


def test_a_login_with_nothing_on_stdin_waits_for_the_browser_alone(home: Home) -> None:
    with guarded(home) as url:
        config = write(home, url)
        done = subprocess.run(
            [sys.executable, "-m", "mcpmux_tui", "login", "guarded", "--no-browser", "--timeout",
             "1", *config],
            cwd=ROOT, env=home.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=20, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "Nobody signed in to guarded within 1 s." in done.stderr


@pytest.mark.behaviour("LUN-A04")
def test_tokens_outlast_a_server_that_is_away(home: Home) -> None:
    with_browser(home)
    with guarded(home) as url:
        config = write(home, url)
        port = url.split(":")[2].split("/")[0]
        assert home.run("login", "guarded", *config).code == 0
    with Served(home, "--port", "0"):
        eventually(lambda: state(home)["state"] == "reconnecting", 15, "a server that is away")
        assert home.run("auth", "status", *config).code == 0
        with guarded(home, EVIL_PORT=port):
            # It knows none of the tokens any more: only a person can help.
            home.run("connect", "guarded", *config)
            eventually(lambda: state(home)["state"] == "needs_sign_in", 15, "it is back")


@pytest.mark.behaviour("GRID-O11")
def test_where_the_vault_cannot_be_read_nobody_can_tell(home: Home) -> None:
    with_browser(home)
    with guarded(home) as url:
        config = write(home, url)
        assert home.run("login", "guarded", *config).code == 0
    vault = next(Path(home.env["MCPMUX_STATE_DIR"]).rglob("secrets.toml"))
    vault.write_text("[", encoding="utf-8")
    told = home.run("auth", "status", *config)
    assert told.code == 2
    assert "guarded  cannot tell" in told.out


@pytest.mark.behaviour("LUN-O15", "GRID-O12")
async def test_a_call_to_a_server_that_wants_a_sign_in_says_what_to_do(home: Home) -> None:
    with guarded(home) as url:
        write(home, url)
        with Served(home, "--port", "0", "--no-auth") as served:
            eventually(lambda: state(home)["state"] == "needs_sign_in", 15, "the wish to sign in")
            async with http_wire("legacy", f"{served.url}/guarded") as client:
                assert json.loads(await client.request("tools/list", {}, 1))["tools"] == []
                with pytest.raises(AssertionError, match="mcpmux login guarded"):
                    await client.call("hello")


@pytest.mark.behaviour("F7", "LIB-F13", "C7")
def test_no_token_code_or_verifier_is_found_anywhere_but_in_the_vault(home: Home) -> None:
    """Through the screen: signed in, renewed, logged out, and a sign-in that came to nothing."""
    browsed = with_browser(home)
    canaries = home.folder / "canaries"
    with guarded(home, EVIL_LIFE="2", EVIL_LOG=str(canaries)) as url:
        config = write(home, url)
        with Terminal(home, "--port", "0", *config) as terminal:
            terminal.wait_for("asks for a sign-in")
            terminal.press("c")
            eventually(lambda: state(home)["state"] == "connected", 15, "connected")
            eventually(lambda: time.time() > renewal(home), 10, "the end of the token")
            call(home)
            eventually(lambda: len(canaries.read_text().split()) == 6, 15, "a newer token")
            vault = next(Path(home.env["MCPMUX_STATE_DIR"]).rglob("secrets.toml"))
            assert canaries.read_text().split()[-1] in vault.read_text()
            terminal.press("o")
            terminal.wait_for("Log out of guarded?")
            terminal.press("o")
            eventually(lambda: state(home)["state"] == "needs_sign_in", 15, "logged out")
            arguments = " ".join(word for each in psutil.process_iter() for word in _cmdline(each))
            terminal.process.terminate()
            terminal.finish()
            shown = terminal.text
        secrets = canaries.read_text().split()
        states = [
            dict(parse_qsl(urlsplit(json.loads(line)[0]).query))["state"]
            for line in browsed.read_text().splitlines()
        ]
        assert len(states) == 1
        texts = [
            path.read_text(errors="replace")
            for path in home.folder.rglob("*")
            if path.is_file() and path not in {canaries, browsed}
        ]
        assert not [each for each in secrets if any(each in text for text in (*texts, shown))]
        # The state is in the address on the screen, and there alone.
        for each in (*secrets, *states):
            assert not any(each in text for text in (*texts, arguments))


def renewal(home: Home) -> float:
    """When the token is to be renewed."""
    at = state(home)["renews_at"]
    assert isinstance(at, float)
    return at


def call(home: Home) -> None:
    """One call through the proxy."""

    async def called() -> None:
        token = home.run("token", "--config", str(home.config)).out.strip()
        (proxy,) = [json.loads(home.run("status", "--json", "--config", str(home.config)).out)]
        async with http_wire("legacy", proxy["proxy"]["url"], token) as client:
            assert b"hello" in await client.call("guarded__hello")

    asyncio.run(called())


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
