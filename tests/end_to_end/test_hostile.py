"""A hostile server, entry and import file: nothing of them acts on the terminal or the app."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import pytest

from tests.end_to_end.program import FIXTURES, Home, Terminal, fixture
from tests.fixtures.hostile import MARKUP, UNSEEN, assert_only_own_sequences, hostile

SERVER = FIXTURES / "hostile_server.py"
CRY = "import sys; sys.stderr.write(sys.argv[1] + chr(10)); sys.exit(3)"
CLICKS = [(column, row) for row in range(1, 40, 3) for column in (4, 30, 60, 90)]


def toml(text: str) -> str:
    """A string as TOML has it."""
    return json.dumps(text, ensure_ascii=False)


def variable(name: str) -> str:
    """A hostile name for a variable."""
    return hostile(name).replace("=", "")


def entry(name: str, *args: str, command: str = sys.executable) -> str:
    """TOML of one server."""
    listed = ", ".join(map(toml, args))
    return f"[servers.{toml(name)}]\ncommand = {toml(command)}\nargs = [{listed}]\n"


def hostile_home(home: Home) -> None:
    home.write(
        entry("evil", str(SERVER), hostile("argument"), home.mark),
        f"env = {{ EVIL = {toml(hostile('variable'))} }}",
        f"{toml(hostile('key'))} = 1",
        entry("dies", "-c", CRY, hostile("last-words")),
        entry("gone", command=hostile("./no-command")),
        entry(hostile("misnamed")),
        entry("wants", "${secret:NAME}"),
    )
    cursor = home.folder / ".cursor" / "mcp.json"
    cursor.parent.mkdir()
    found = {
        hostile("found"): {
            "command": hostile("found-command"), "env": {hostile("FOUND"): "x"},
            hostile("found-key"): 1,
        },
        "fine": {"command": "x", "args": [hostile("found-argument")], "cwd": hostile("/found-cwd")},
    }  # fmt: skip
    cursor.write_text(json.dumps({"mcpServers": found}), encoding="utf-8")


ESC = "\x1b[27u"
"""As terminals with the kitty protocol send it: no key that follows makes it another one."""
CLOSED = "!─╯"
"""No dialog is seen."""
STEPS = (
    ("", "evil"),
    # The details beside the list, one server after the other.
    *[("j", ""), ("k", "")] * 2, ("G", "its-name"), ("g", "1 value is missing"),
    ("?", "half a page"), (ESC, CLOSED),
    (":", "Search for"), ("misnamed", "Go to 'misnamed"), (ESC, "!Go to"),
    ("i", "found-command"), ("\r", "Add 1 server?"), (ESC, "!Add 1"), (ESC, CLOSED),
    ("/", "state or command"), ("evil\r", "its-name"),
    ("w", "ok"), (ESC, CLOSED),
    # One server, tab by tab.
    ("\r", "alone, under"),
    ("]", "takes 2 arguments"),
    ("\r", "ctrl+r Run"), ("\x12", "said-text"), ("\x14", '"content"'), ("\x19", "copied"),
    ("\x05", "Arguments as JSON"), (ESC, CLOSED),
    ("j", "evil__fail"), ("\r", "ctrl+r Run"), ("\x12", "failed-text"), (ESC, CLOSED),
    ("j", "evil__refuse"), ("\r", "ctrl+r Run"), ("\x12", "refused"), (ESC, CLOSED),
    ("j", "evil__ask"), ("\r", "ctrl+r Run"), ("\x12", "f2 answers"),
    ("\x1bOQ", "asked-title"), ("\x13", "said-text"), (ESC, CLOSED),
    (" ", "space Offer"), (" ", "space Hide"), ("y", "copied"),
    ("]", "takes 1 argument"), ("\r", "ctrl+r Run"), ("\x12", "prompt-text"), (ESC, CLOSED),
    ("]", "about-note"), ("\r", "resource-text"), (ESC, CLOSED),
    ("j", "takes 1 argument"), ("\r", "ctrl+r Run"), ("x\x12", "resource-text"), (ESC, CLOSED),
    ("]", "stderr-line"), ("w", ""), ("p", ""), ("/", "text to find"),
    ("line\r", "space Follow"), ("y", "copied"),
    ("]", "variable"),
    # All servers'.
    ("2", "takes 2 arguments"), ("/", "a description"), ("fail\r", "!about-say"),
    (ESC, "about-say"),
    ("4", "last-words"), ("w", ""),
    ("1", "its-name"),
)  # fmt: skip


@pytest.mark.behaviour("A1", "A2", "A3", "A4", "A6", "A9")
def test_no_text_of_a_server_reaches_the_terminal_as_anything_but_text(home: Home) -> None:
    hostile_home(home)
    with Terminal(home, "--config", str(home.config), "--port", "0") as terminal:
        for count in ("1 connected", "1 needs input"):
            terminal.wait_until_shown(count)
        walk(terminal, STEPS)
        for column, row in CLICKS:
            terminal.press(f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")
        terminal.press(ESC * 3 + "1")
        terminal.wait_until_shown(CLOSED)
        terminal.press("?")
        terminal.wait_until_shown("half a page")
        terminal.press("\x11")
        assert terminal.finish() == 0
    assert_only_own_sequences(terminal.output)


def walk(terminal: Terminal, steps: Iterable[tuple[str, str]]) -> None:
    """Press each step's keys and wait for what it shows."""
    for keys, text in steps:
        terminal.press(keys)
        terminal.wait_until_shown(text)


def pasted(text: str) -> str:
    """A text as a terminal sends a paste of it."""
    return f"\x1b[200~{text}\x1b[201~"


SIGN_INS = (
    ("", "9 sign in"),
    ("/foreign\rc", "another issuer"), (ESC, CLOSED), (ESC, "welcoming"),
    ("/mistaken\rc", "mistaken.example"), (ESC, CLOSED), (ESC, "welcoming"),
    ("/unsafe\rc", "unsafe.example"), (ESC, CLOSED), (ESC, "welcoming"),
    ("/broken\rc", "unsafe-line.example"), (ESC, CLOSED), (ESC, "welcoming"),
    ("/unregistered\rc", "did not register"), (ESC, CLOSED), (ESC, "welcoming"),
    ("/asking\rc", "Waiting for your browser"), ("y", "copied"),
    ("Q", "Scan it"), (ESC, "Waiting for your browser"),
    ("s", "What may mcpmux do"), (ESC, "Waiting for your browser"),
    (pasted(f"http://127.0.0.1/callback?{MARKUP}"), "callback?[@click"), ("\r", "does not belong"),
    (ESC, ""), (pasted(UNSEEN), "acts or hides"),
    ("d", "user-code"), ("y", "copied"), ("x", CLOSED), ("w", "ok"), (ESC, CLOSED),
    (ESC, "welcoming"),
    ("/declining\rc", "declined-why"), (ESC, CLOSED), (ESC, "welcoming"),
    ("/refusing\rc", "refused-why"), (ESC, CLOSED), (ESC, "welcoming"),
    ("/welcoming\rc", "Signed in to welcoming"),
    ("\r", "account["), ("o", "Log out of"), (ESC, CLOSED),
    ("4", "refused-why"), ("1", ""),
)  # fmt: skip


@pytest.mark.behaviour("A1", "A2", "A3", "A6", "C1")
def test_no_text_of_an_authorization_server_acts_on_the_terminal(home: Home) -> None:
    home.env["BROWSER_LOG"] = str(home.folder / "browser.log")
    home.env["BROWSER"] = f"{sys.executable} {FIXTURES / 'browser.py'}"
    with fixture(home, "hostile_as.py") as told:
        known = json.loads(told).items()
        home.write(
            "[vault]\nbackend = 'file'",
            *(f"[servers.{name}]\nurl = {toml(url)}" for name, url in known),
        )
        with Terminal(home, "--config", str(home.config), "--port", "0") as terminal:
            walk(terminal, SIGN_INS)
            terminal.press("\x11")
            assert terminal.finish() == 0
        assert_only_own_sequences(terminal.output)
        config = ("--config", str(home.config), "--no-browser")
        for more, said in (((), "%E2%80%AEneddih"), (("--device",), "user-code")):
            with Terminal(home, "login", "asking", *config, *more, columns=500) as terminal:
                terminal.wait_for(said)
                terminal.process.terminate()
                terminal.finish()
            assert_only_own_sequences(terminal.output)


VALUES = (
    ("", "asked"), ("/asked\rc", "about-first"), ("x\r", "about-pick"),
    ("x\r\r\r", "It must be one of"),
    (pasted(f"{MARKUP}{UNSEEN}"), "acts or hides"), (pasted(f"FIRST={UNSEEN}"), "acts or hides"),
    ("\x1bOQ", ""), (pasted(MARKUP), "[@click"), (ESC, CLOSED),
    ("S", "waiting: asked"), ("G", ""), ("\r", "about-first"), (ESC, "waiting: asked"),
    ("g\x1b[3~", "Remove KEPT?"), (ESC, "waiting: asked"), (ESC, CLOSED), (ESC, "leaks"),
    ("/leaks\rm", "API_KEY["), ("\r", "Moved:"), ("u", "as it was before"), (ESC, CLOSED),
    ("m", "API_KEY["), ("\r", "Moved:"), (ESC, CLOSED), ("S", "used by leaks"), (ESC, CLOSED),
    ("n", "Goes to"), (ESC, CLOSED), ("e", "in your editor"), ("6", "by your own"), ("1", ""),
)  # fmt: skip


@pytest.mark.behaviour("A1", "A2", "A3", "A6")
def test_no_text_of_the_config_acts_where_values_are_asked_for(home: Home) -> None:
    inputs: dict[str, dict[str, object]] = {
        "first": {"type": "promptString", "default": None},
        "second": {"password": True, "default": hostile("default-second")},
        hostile("third"): {},
        "pick": {"type": "pickString", "options": [hostile("pick-one"), hostile("pick-two")]},
    }
    listed = [
        {
            "id": name, "type": "promptString", "description": hostile(f"about-{name[:5]}"),
            "placeholder": hostile("placeholder"), "obtain": hostile("obtain"),
            hostile("unknown"): 1, **more,
        }
        for name, more in inputs.items()
    ]  # fmt: skip
    asked = ["${input:first}", "${input:pick}", "${secret:KEPT}"]
    servers = {
        "asked": {
            "command": sys.executable, "args": asked,
            "env": {variable("VARIABLE"): "${input:second}", "X": f"${{{hostile('ODD')}}}"},
        },
        "leaks": {
            "command": sys.executable, "args": [hostile("argument")],
            "env": {variable("API_KEY"): hostile("sk-live-4f9a8b7c6d5e")},
        },
    }  # fmt: skip
    home.config = home.folder / "servers.json"
    home.write(json.dumps({"inputs": listed, "servers": servers, "vault": {"backend": "file"}}))
    config = ("--config", str(home.config))
    assert home.run("secret", "set", "KEPT", *config, stdin="value\n").code == 0
    with Terminal(home, *config, "--port", "0") as terminal:
        walk(terminal, VALUES)
        terminal.press("\x11")
        assert terminal.finish() == 0
    assert_only_own_sequences(terminal.output)
