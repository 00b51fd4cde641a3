"""Values that servers need, by commands, by the environment, and in a real terminal."""

from __future__ import annotations

import json
import sys

import psutil
import pytest

from tests.end_to_end.program import RAW_STDIO, Home, Served, Terminal, eventually

CANARY = "c4n4ry-of-a-secret"


def needs(home: Home, name: str, **env: str) -> str:
    pairs = ", ".join(f"{key} = {value!r}" for key, value in env.items())
    args = [str(RAW_STDIO), "--mark", home.mark]
    return f"[servers.{name}]\ncommand = {sys.executable!r}\nargs = {args!r}\nenv = {{ {pairs} }}\n"


def environment(home: Home, name: str) -> dict[str, str]:
    pid = home.rows()[name]["pid"]
    # Between two runs there is none, and one that was just started is still its parent's copy.
    return psutil.Process(pid).environ() if isinstance(pid, int) else {}


@pytest.mark.behaviour("PRX-S01", "AMG-R06", "P-04")
def test_a_command_gives_a_value_and_a_running_engine_notices_at_once(home: Home) -> None:
    home.write(
        "[vault]\nbackend = 'file'",
        needs(home, "one", KEY="${secret:KEY}"),
        needs(home, "two", KEY="${secret:KEY}"),
        home.stdio("other"),
    )
    config = ("--config", str(home.config))
    with Served(home, "--port", "0") as served:
        eventually(lambda: home.rows()["other"]["state"] == "connected", 15, "the other")
        assert home.rows()["one"]["missing"] == ["KEY"]
        assert home.run("status", *config).code == 10
        other = home.rows()["other"]["pid"]
        refused = home.run("secret", "set", "KEY", CANARY, *config)
        assert refused.code == 2
        assert CANARY not in refused.err
        assert home.run("secret", "set", "KEY", *config, stdin="\n").code == 2
        assert (
            home.run("secret", "set", "KEY", *config, stdin=f"{CANARY}\n").out == "KEY is kept.\n"
        )
        eventually(home.all_connected, 15, "all connected")
        assert environment(home, "one")["KEY"] == CANARY
        listed = json.loads(home.run("secret", "list", "--json", *config).out)
        assert [(each["name"], each["users"]) for each in listed] == [("KEY", ["one", "two"])]
        assert home.run("secret", "remove", "KEY", *config).code == 1
        assert home.run("secret", "remove", "KEY", "--yes", *config).code == 0
        eventually(lambda: home.rows()["two"]["state"] == "needs_input", 15, "it waits")
        assert home.rows()["other"]["pid"] == other
        assert home.run("secret", "remove", "KEY", "--yes", *config).code == 1
        served.stop()
    # Without an engine the command does it by itself, and a start asks nobody.
    assert home.run("secret", "set", "KEY", *config, stdin=CANARY).code == 0
    assert "KEY  kept since" in home.run("secret", "list", *config).out
    with Served(home, "--port", "0", "--wait", "--timeout", "20"):
        eventually(home.all_connected, 15, "all connected")


def test_a_variable_serves_where_nobody_can_be_asked(home: Home) -> None:
    home.write(needs(home, "one", KEY="${secret:api-key}", TWO="${secret:TWO}"), home.stdio("free"))
    home.env["MCPMUX_SECRET_api_key"] = CANARY
    with Served(home, "--port", "0") as served:
        eventually(lambda: home.rows()["free"]["state"] == "connected", 15, "the other runs")
        assert home.rows()["one"]["missing"] == ["TWO"]
        assert "one: needs input. 1 value missing: TWO" in served.stop().err
    home.env["MCPMUX_SECRET_TWO"] = "2nd-value"
    with Served(home, "--port", "0"):
        eventually(lambda: home.rows()["one"]["state"] == "connected", 15, "connected")
        found = environment(home, "one")
        assert (found["KEY"], found["TWO"]) == (CANARY, "2nd-value")
        assert "MCPMUX_SECRET_TWO" not in found


def test_without_a_keyring_the_command_keeps_nothing_and_says_so(home: Home) -> None:
    home.write("[vault]\nbackend = 'session'", needs(home, "one", KEY="${secret:KEY}"))
    told = home.run("secret", "set", "KEY", "--config", str(home.config), stdin=CANARY)
    assert told.code == 1
    assert "would be gone at once" in told.err


@pytest.mark.behaviour("E9")
def test_a_secret_as_an_argument_of_add_is_refused_with_advice(home: Home) -> None:
    home.write("")
    config = ("--config", str(home.config))
    env = ("add", "--env", f"API_TOKEN={CANARY}", *config, "x", "npx", "thing")
    header = ("add", "--header", f"Authorization: Bearer {CANARY}", *config, "y", "https://h/mcp")
    for words, code in ((env, 2), (header, 0)):
        told = home.run(*words)
        assert told.code == code
        assert "${secret:" in told.err
        assert CANARY not in told.err
    kept = home.run("add", "--env", "API_TOKEN=${secret:API_TOKEN}", *config, "x", "npx", "thing")
    assert kept.code == 0


@pytest.mark.behaviour("F7", "A8")
def test_the_form_in_a_terminal_keeps_values_out_of_everything_but_the_vault(home: Home) -> None:
    home.write(
        "[vault]\nbackend = 'file'",
        needs(home, "signer", FIRST="${secret:FIRST}", SECOND="${secret:SECOND}"),
    )
    config = ("--config", str(home.config))
    before = home.config.read_text()
    with Terminal(home, "--port", "0", *config) as terminal:
        terminal.wait_for("2 values missing")
        terminal.press("c")
        terminal.wait_for("Save and connect")
        terminal.press(f"{CANARY}-1\r{CANARY}-2\r")
        eventually(home.all_connected, 15, "connected")
        found = environment(home, "signer")
        assert (found["FIRST"], found["SECOND"]) == (f"{CANARY}-1", f"{CANARY}-2")
        terminal.process.terminate()
        terminal.finish()
        assert CANARY not in terminal.text
    assert home.config.read_text() == before
    holding = [
        path.name
        for path in home.folder.rglob("*")
        if path.is_file() and CANARY in path.read_text(errors="replace")
    ]
    assert holding == ["secrets.toml"]
    with Terminal(home, "--port", "0", *config) as terminal:
        eventually(home.all_connected, 15, "connected with no prompt")
        terminal.process.terminate()
        terminal.finish()


@pytest.mark.behaviour("F6")
def test_plain_secrets_move_to_the_vault_from_the_screen(home: Home) -> None:
    home.write("[vault]\nbackend = 'file'", needs(home, "one", API_KEY=CANARY))
    config = ("--config", str(home.config))
    with Terminal(home, "--port", "0", *config) as terminal:
        terminal.wait_for("in plain text")
        terminal.press("m")
        terminal.wait_for("enter Move")
        terminal.press("\r")
        terminal.wait_for("u Undo")
        assert "${secret:API_KEY}" in home.config.read_text()
        assert CANARY not in home.config.read_text()
        eventually(lambda: environment(home, "one").get("API_KEY") == CANARY, 15, "its value")
        terminal.press("u")
        terminal.wait_for("as it was before")
        assert CANARY in home.config.read_text()
        terminal.process.terminate()
        terminal.finish()
        assert CANARY not in terminal.text


@pytest.mark.behaviour("F14")
def test_a_start_connects_to_nobody_it_was_not_told_of(home: Home) -> None:
    """An audit hook in every Python of this home notes each connect."""
    hooks = home.folder / "hooks"
    hooks.mkdir()
    log = home.folder / "connects"
    (hooks / "sitecustomize.py").write_text(
        "import socket, sys\n"
        "def note(event, args):\n"
        "    if event in {'socket.connect', 'socket.getaddrinfo'}:\n"
        "        what = args[1] if event == 'socket.connect' else args[0]\n"
        f"        open({str(log)!r}, 'a').write(f'{{event}} {{what}}\\n')\n"
        "sys.addaudithook(note)\n",
        encoding="utf-8",
    )
    home.env["PYTHONPATH"] = str(hooks)
    home.write(home.stdio("one"))
    with Served(home, "--port", "0"):
        eventually(lambda: home.rows()["one"]["state"] == "connected", 15, "connected")
        assert home.run("status", "--config", str(home.config)).code == 0
    told = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    # Doors reach the engine over a socket of the file system.
    assert [line for line in told if "/control" not in line and ".sock" not in line] == []
    assert told
