"""A server from the clipboard to its end, in a real terminal; and the config in a real editor."""

from __future__ import annotations

import json
import os
import signal
import sys
import tomllib

import pytest

from tests.end_to_end.program import RAW_STDIO, Home, Terminal, eventually
from tests.end_to_end.wire import http_wire

CANARY = "c4n4ry-of-a-secret"
TOKEN = "a-token-of-this-test"
HEAD = "# my servers\n[vault]\nbackend = 'file'  # no keyring here\n"


def pasted(text: str) -> str:
    """As a terminal sends it."""
    return f"\x1b[200~{text}\x1b[201~"


def names(home: Home) -> list[str]:
    snapshot = home.snapshot()
    return [] if snapshot is None else [each.name for each in snapshot.servers]


def state(home: Home, name: str) -> object:
    return home.rows()[name]["state"] if name in names(home) else None


def keep(terminal: Terminal, told: str, key: str = "\x13") -> None:
    """Say yes by ctrl+s, or another key; again where what it would run was not drawn yet."""
    for _ in range(20):
        terminal.press(key)
        if terminal.wait_for_one(told, "Look at what it says first") == told:
            return
    raise AssertionError(f"never {told!r}")


@pytest.mark.behaviour("LUN-S02", "LUN-S03", "LUN-S04", "F6", "E1")
def test_a_server_is_pasted_tested_added_edited_copied_and_deleted(home: Home) -> None:
    home.write(HEAD, home.stdio("first") + "# of the first\n")
    before = home.config.read_text()
    command = f"{sys.executable} {RAW_STDIO} --mark {home.mark}"
    with Terminal(home, "--port", "0", "--config", str(home.config)) as terminal:
        terminal.wait_for("connected, MCP")
        terminal.press("a")
        terminal.wait_for("Paste a command")
        terminal.press(pasted(f"API_KEY={CANARY} {command}"))
        terminal.wait_for("it goes to the keyring")
        assert names(home) == ["first"]
        keep(terminal, "ctrl+s adds it", key="\x14")
        assert names(home) == ["first"]
        assert home.config.read_text() == before
        terminal.press("\r")
        terminal.press("new")
        keep(terminal, "Added new")
        eventually(lambda: state(home, "new") == "connected", 15, "it connects")
        after = home.config.read_text()
        assert after.startswith(before)
        assert CANARY not in after
        assert tomllib.loads(after)["servers"]["new"]["env"] == {"API_KEY": "${secret:API_KEY}"}
        # The cursor is on it.
        terminal.press("e")
        terminal.wait_for("Edit new")
        terminal.wait_for("Looks like")
        terminal.press("er\r")
        terminal.press(" --tools 1")
        terminal.wait_for("--tools 1")
        terminal.press("\x05")
        terminal.wait_for("(x) disabled")
        keep(terminal, "Saved newer")
        eventually(lambda: state(home, "newer") == "disabled", 15, "the change counts")
        assert names(home) == ["first", "newer"]
        edited = home.config.read_text()
        assert edited == after.replace("[servers.new]", "[servers.newer]").replace(
            "[servers.new.env]", "[servers.newer.env]"
        ).replace(edited_part(after), edited_part(edited))
        terminal.press("D")
        terminal.wait_for("Copy of newer")
        terminal.wait_for("Looks like")
        terminal.press("\x05")
        terminal.wait_for("(x) enabled")
        keep(terminal, "Added newer-copy")
        eventually(lambda: state(home, "newer-copy") == "connected", 15, "the copy connects")
        terminal.wait_until_shown("2 connected")
        terminal.press("\x1b[3~")
        terminal.wait_for("Delete newer-copy?")
        terminal.press("\x1b[3~")
        terminal.wait_for("Deleted newer-copy")
        # The cursor is on the next one.
        terminal.wait_for("○ disabled")
        terminal.press("\x1b[3~")
        terminal.wait_for("Delete newer?")
        terminal.press("\x1b[3~")
        terminal.wait_for("Deleted newer.")
        eventually(lambda: names(home) == ["first"], 15, "they are gone")
        assert home.config.read_text().rstrip() == before.rstrip()
        terminal.process.terminate()
        terminal.finish()
        assert CANARY not in terminal.text.split("Added new")[1]


def edited_part(text: str) -> str:
    """The lines that the edit may touch."""
    servers = tomllib.loads(text)["servers"]
    name = next(name for name in servers if name != "first")
    begin = text.index("args = [", text.index(f"[servers.{name}]"))
    return text[begin : text.index(f"[servers.{name}.env]")]


EDITOR = """\
#!{python}
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
folder = pathlib.Path(__file__).parent
(folder / "arguments").write_text("\\n".join(sys.argv[1:]))
end = time.monotonic() + 20
while not (folder / "go").exists() and time.monotonic() < end:
    time.sleep(0.02)
path = pathlib.Path(sys.argv[-1])
path.write_text(path.read_text().replace("# about b", "# seen b"))
print("the editor ends")
"""


@pytest.mark.behaviour("D1")
async def test_calls_go_on_while_the_config_is_in_an_editor(home: Home) -> None:
    editor = home.folder / "bin" / "vim"
    editor.parent.mkdir()
    editor.write_text(EDITOR.format(python=sys.executable))
    editor.chmod(0o700)
    home.env |= {"EDITOR": str(editor), "MCPMUX_TOKEN": TOKEN}
    home.write(HEAD, home.stdio("a"), "# about b\n" + home.stdio("b"))
    line = home.config.read_text().splitlines().index("[servers.b]") + 1
    with Terminal(home, "--port", "0", "--config", str(home.config)) as terminal:
        # The rows are in their last order then.
        terminal.wait_until_shown("2 connected")
        terminal.press("j")
        terminal.wait_for("b ")
        terminal.press("E")
        opened = editor.parent / "arguments"
        terminal.read_until(opened.exists, 15, "the editor")
        snapshot = home.snapshot()
        assert snapshot is not None and snapshot.proxy.url is not None
        async with http_wire("modern", snapshot.proxy.url, TOKEN) as wire:
            for number in range(20):
                result = json.loads(await wire.call("a__echo", {"text": "hi"}, id=number))
                assert result["content"]
        # ctrl+c reaches all who share the terminal.
        os.killpg(terminal.process.pid, signal.SIGINT)
        terminal.wait_for("interrupted")
        (editor.parent / "go").touch()
        terminal.wait_for("the editor ends")
        eventually(lambda: "# seen b" in home.config.read_text(), 5, "the edit")
        assert opened.read_text().splitlines() == [f"+{line}", str(home.config)]
        # The screen is back, and takes keys.
        terminal.press("?")
        terminal.wait_for("Keys")
        terminal.process.terminate()
        terminal.finish()


def test_an_editor_that_is_not_there_is_a_sentence(home: Home) -> None:
    home.env["VISUAL"] = "/no/such/editor"
    home.write(HEAD, home.stdio("a"))
    with Terminal(home, "--port", "0", "--config", str(home.config)) as terminal:
        terminal.wait_for("connected, MCP")
        terminal.press("E")
        terminal.wait_for("could not be started")
        terminal.press("?")
        terminal.wait_for("Keys")
        terminal.process.terminate()
        terminal.finish()
