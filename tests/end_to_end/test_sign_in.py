"""Signing in by commands: an authorization server, a browser, the engine, and no engine."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.program import Home, Served, Terminal, eventually

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


@contextmanager
def guarded(home: Home) -> Iterator[str]:
    """The address of a server that wants a sign-in."""
    server = subprocess.Popen(
        [sys.executable, str(FIXTURES / "evil_as.py")],
        stdout=subprocess.PIPE, text=True, cwd=FIXTURES.parents[1],
        env=home.env | {"PYTHONPATH": str(FIXTURES.parents[1])},
    )  # fmt: skip
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()


def with_browser(home: Home) -> Path:
    log = home.folder / "browser.log"
    home.env["BROWSER_LOG"] = str(log)
    home.env["BROWSER"] = f"{sys.executable} {FIXTURES / 'browser.py'}"
    return log


def write(home: Home, url: str) -> tuple[str, str]:
    home.write(f"[vault]\nbackend = 'file'\n[servers.guarded]\nurl = {url!r}\n")
    return ("--config", str(home.config))


def state(home: Home) -> dict[str, object]:
    (server,) = json.loads(home.run("status", "--json", "--config", str(home.config)).out)[
        "servers"
    ]
    assert isinstance(server, dict)
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
        assert home.run("login", "nobody", *config).code == 1


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


@pytest.mark.behaviour("F7")
def test_no_token_is_found_anywhere_but_in_the_vault(home: Home) -> None:
    with_browser(home)
    with guarded(home) as url:
        config = write(home, url)
        with Served(home, "--port", "0") as served:
            assert home.run("login", "guarded", *config).code == 0
            eventually(lambda: state(home)["state"] == "connected", 15, "connected")
            arguments = " ".join(word for each in psutil.process_iter() for word in _cmdline(each))
            ended = served.stop()
        vault = next(Path(home.env["MCPMUX_STATE_DIR"]).rglob("secrets.toml"))
        grant = json.loads(tomllib.loads(vault.read_text())["server/guarded"])
        secrets = [grant["tokens"]["access"], grant["tokens"]["refresh"]]
        texts = [ended.err, ended.out, arguments]
        texts += [
            path.read_text(errors="replace")
            for path in home.folder.rglob("*")
            if path.is_file() and path != vault
        ]
        assert not [each for each in secrets if any(each in text for text in texts)]


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
