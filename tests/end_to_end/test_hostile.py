"""A hostile server, entry and import file: nothing of them acts on the terminal or the app."""

from __future__ import annotations

import json
import sys

import pytest

from tests.end_to_end.program import ROOT, Home, Terminal
from tests.fixtures.hostile import assert_only_own_sequences, hostile

SERVER = ROOT / "tests" / "fixtures" / "hostile_server.py"
CRY = "import sys; sys.stderr.write(sys.argv[1] + chr(10)); sys.exit(3)"
CLICKS = [(column, row) for row in range(1, 40, 3) for column in (4, 30, 60, 90)]


def toml(text: str) -> str:
    """A string as TOML has it."""
    return json.dumps(text, ensure_ascii=False)


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
        for keys, text in STEPS:
            terminal.press(keys)
            terminal.wait_until_shown(text)
        for column, row in CLICKS:
            terminal.press(f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")
        terminal.press(ESC * 3 + "1")
        terminal.wait_until_shown(CLOSED)
        terminal.press("?")
        terminal.wait_until_shown("half a page")
        terminal.press("\x11")
        assert terminal.finish() == 0
    assert_only_own_sequences(terminal.output)
