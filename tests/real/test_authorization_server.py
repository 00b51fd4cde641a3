"""Signing in at an authorization server that nobody here wrote: npm's oidc-provider."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.end_to_end.program import ROOT, Home, Served, Terminal, eventually, home_at
from tests.end_to_end.wire import http_wire
from tests.real.parts import node_package, program

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]
SERVER = Path(__file__).with_name("authorization_server.mjs")
PERSON = Path(__file__).with_name("person.py")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    yield from home_at(tmp_path / "home")


class There:
    """The server, and the person who signs in to it."""

    def __init__(self, home: Home, origin: str) -> None:
        self.home = home
        self.origin = origin
        self.visits = home.folder / "visits"
        self.config = ("--config", str(home.config))
        home.env |= {"BROWSER": f"{sys.executable} {PERSON}", "PERSON_LOG": str(self.visits)}
        home.write(
            "[vault]\nbackend = 'file'",
            f"[servers.guarded]\nurl = '{origin}/mcp'",
            home.stdio("free"),
        )

    @property
    def counts(self) -> dict[str, int]:
        found: dict[str, int] = httpx2.get(f"{self.origin}/counts", trust_env=False).json()
        return found

    def row(self, name: str = "guarded") -> dict[str, Any]:
        told = json.loads(self.home.run("status", "--json", *self.config).out)
        (found,) = (each for each in told["servers"] if each["name"] == name)
        assert isinstance(found, dict)
        return found

    def comes(self, state: str, name: str = "guarded") -> None:
        eventually(lambda: self.row(name)["state"] == state, 20, f"{name} {state}")

    def kept(self) -> dict[str, Any]:
        """The grant as the vault has it."""
        vault = next(Path(self.home.env["MCPMUX_STATE_DIR"]).rglob("secrets.toml"))
        grant: dict[str, Any] = json.loads(tomllib.loads(vault.read_text())["server/guarded"])
        return grant

    def calls(self, served: Served, count: int) -> list[str]:
        """What so many calls at once are answered."""

        async def call() -> list[str]:
            async with http_wire("legacy", f"{served.url}/guarded") as client:
                results = await asyncio.gather(
                    *(client.call("whoami", id=number) for number in range(1, count + 1))
                )
            return [json.loads(each)["content"][0]["text"] for each in results]

        return asyncio.run(call())


@contextmanager
def there(home: Home, life: int) -> Iterator[There]:
    folder = node_package("oidc-provider")
    with subprocess.Popen(
        [program("node", "Node.js"), str(SERVER), str(life)],
        cwd=folder, env=home.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield There(home, process.stdout.readline().strip())
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.behaviour("H6", "C19", "C20", "GRID-O10", "LIB-F11", "MUX-O17")
def test_the_whole_circle(home: Home) -> None:
    with there(home, life=6) as place:
        with Served(home, "--port", "0", "--no-auth") as served:
            place.comes("needs_sign_in")
            done = home.run("login", "guarded", *place.config)
            assert done.code == 0, done
            place.comes("connected")
            assert place.counts["registration"] == 1
            assert place.counts["authorization_code"] == 1
            assert place.calls(served, 1) == ["ada"]
            first = place.kept()
            assert first["tokens"]["scopes"] == ["notes:read"]
            eventually(lambda: time.time() > first["tokens"]["expires_at"], 10, "its end")
            before = place.counts.get("refresh_token", 0)
            assert place.calls(served, 20) == ["ada"] * 20
            assert place.counts["refresh_token"] == before + 1
            second = place.kept()
            assert second["tokens"]["refresh"] != first["tokens"]["refresh"]
            served.stop()
        eventually(lambda: time.time() > second["tokens"]["expires_at"], 10, "its end")
        with Served(home, "--port", "0", "--no-auth") as served:
            place.comes("connected")
            assert place.calls(served, 2) == ["ada", "ada"]
            assert len(place.visits.read_text().splitlines()) == 1
            last = place.kept()["tokens"]
            out = home.run("logout", "guarded", *place.config)
            assert (out.code, out.err) == (0, "")
            assert place.counts["revocation"] == 2
            place.comes("needs_sign_in")
            assert place.kept().get("tokens") is None
            refused = httpx2.post(
                f"{place.origin}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
                headers={"authorization": f"Bearer {last['access']}"}, trust_env=False,
            )  # fmt: skip
            assert refused.status_code == 401
            # The client is still known there: signing in again registers nothing.
            assert home.run("login", "guarded", *place.config).code == 0
            assert place.counts["registration"] == 1
            assert "invalid_grant" not in place.counts


@pytest.mark.behaviour("LUN-D01", "LUN-D02")
def test_a_code_is_entered_on_another_machine(home: Home) -> None:
    with (
        there(home, life=600) as place,
        Terminal(home, "login", "guarded", "--device", *place.config, columns=300) as terminal,
    ):
        terminal.wait_for(" and enter ")
        words = terminal.output.decode().split()
        address, code = words[words.index("Open") + 1], words[words.index("enter") + 1]
        subprocess.run(
            [sys.executable, str(PERSON), address],
            env=home.env | {"PERSON_CODE": code, "PYTHONPATH": str(ROOT)}, check=True, timeout=30,
        )  # fmt: skip
        terminal.wait_for("Signed in to guarded.", 30)
        assert terminal.finish() == 0
        assert place.counts["urn:ietf:params:oauth:grant-type:device_code"] == 1
        with Served(home, "--port", "0", "--no-auth") as served:
            place.comes("connected")
            assert place.calls(served, 1) == ["ada"]


@pytest.mark.behaviour("GRID-O02")
def test_who_says_no_is_told_so_while_others_answer(home: Home) -> None:
    with there(home, life=600) as place, Served(home, "--port", "0", "--no-auth"):
        place.comes("needs_sign_in")
        place.comes("connected", "free")
        home.env["PERSON_DECLINES"] = "yes"
        done = home.run("login", "guarded", *place.config)
        assert done.code == 1
        assert "The sign-in was declined." in done.err
        assert place.row()["summary"] == "The sign-in was declined."
        assert place.row("free")["state"] == "connected"
