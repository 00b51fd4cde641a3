"""What a server asks outside of any call, answered by a command."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mcpmux_tui.text import one_line
from tests.end_to_end.program import LIMIT, ROOT, Home, Served, Terminal, eventually
from tests.end_to_end.wire import http_wire

ASKING = """
import json, sys

def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

def ask():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    params = {"message": "Which city?", "requestedSchema": schema}
    send(id="q", method="elicitation/create", params=params)

info = {"serverInfo": {"name": "town", "version": "1"}, "capabilities": {"tools": {}}}
call = None
for line in sys.stdin:
    message = json.loads(line)
    match message.get("method"):
        case "initialize":
            send(id=message["id"], result={"protocolVersion": "2025-11-25", **info})
        case "tools/list":
            tools = [{"name": "travel", "inputSchema": {"type": "object"}}]
            send(id=message["id"], result={"tools": tools})
        case "tools/call":
            call = message["id"]
            ask()
        case None:
            text = {"type": "text", "text": message["result"]["content"]["city"]}
            send(id=call, result={"content": [text]})
        case _ if "id" in message:
            send(id=message["id"], error={"code": -32601, "message": "no"})
"""


def questions(home: Home) -> list[dict[str, object]]:
    snapshot = home.snapshot()
    return [] if snapshot is None else [each.model_dump() for each in snapshot.questions]


async def heard(home: Home, served: Served) -> list[dict[str, object]]:
    """The answers that the server got."""
    token = home.run("token", "--config", str(home.config)).out.strip()
    async with http_wire("legacy", served.url, token) as client:
        result = json.loads(await client.call("town__seen"))
    answers = json.loads(result["content"][0]["text"])["answers"]
    assert isinstance(answers, list)
    return answers


@pytest.mark.behaviour("B14")
async def test_a_question_of_no_call_waits_for_the_person_and_a_command_answers_it(
    home: Home,
) -> None:
    home.write(home.stdio("town", "--elicits", "--legacy-only"))
    config = ("--config", str(home.config))
    with Served(home, "--port", "0") as served:
        eventually(lambda: len(questions(home)) == 1, 15, "the question")
        assert (
            "town asks: Which city? (`Answer` on the screen, or `mcpmux answer 1`)"
            in home.run("status", *config).err
        )
        shown = one_line(home.run("answer", *config).out)
        assert "1 town asks: Which city? city (text, required) days (integer, else 3)" in shown
        wrong = home.run("answer", "1", "days=many", *config)
        assert wrong.code == 1
        assert "city is missing; days must be a whole number" in wrong.err
        assert home.run("answer", "1", *config).code == 2
        assert home.run("answer", "1", "city=Ulm", *config).out == "Answered.\n"
        assert questions(home) == []
        result = {"action": "accept", "content": {"city": "Ulm", "days": 3}}
        assert await heard(home, served) == [{"jsonrpc": "2.0", "id": "e-1", "result": result}]
        assert home.run("answer", *config).out == "No server asks you anything.\n"


def test_a_call_that_waits_for_an_answer_says_so_at_once(home: Home) -> None:
    script = home.folder / "asking.py"
    script.write_text(ASKING, encoding="utf-8")
    home.write(f"[servers.town]\ncommand = {sys.executable!r}\nargs = [{str(script)!r}]\n")
    config = ("--config", str(home.config))
    said = home.folder / "said"
    with Served(home, "--port", "0"), said.open("wb") as err:
        home.wait_until_connected()
        call = subprocess.Popen(
            [sys.executable, "-m", "mcpmux_tui", "call", "town", "travel", *config],
            cwd=ROOT, env=home.env, text=True, stdout=subprocess.PIPE, stderr=err,
        )  # fmt: skip
        try:
            eventually(lambda: "`mcpmux answer 1` does so" in said.read_text(), 15, "the sentence")
            assert home.run("answer", "1", "city=Ulm", *config).code == 0
            assert call.communicate(timeout=LIMIT)[0] == "Ulm\n"
        finally:
            call.kill()
            call.communicate()
        assert call.returncode == 0
    assert said.read_text().startswith("town asks: Which city?\n")


async def test_at_a_terminal_the_command_asks_for_each_field(home: Home) -> None:
    home.write(home.stdio("town", "--elicits", "--legacy-only"))
    with Served(home, "--port", "0") as served:
        eventually(lambda: len(questions(home)) == 1, 15, "the question")
        with Terminal(home, "answer", "1", "--config", str(home.config)) as terminal:
            terminal.wait_for("Answer it?")
            terminal.press("y\r")
            terminal.wait_for("city")
            terminal.press("Ulm\r")
            terminal.wait_for("days")
            terminal.press("x\r")
            terminal.wait_for("It must be a whole number")
            terminal.press("5\r")
            assert terminal.finish() == 0
        (answer,) = await heard(home, served)
        assert answer["result"] == {"action": "accept", "content": {"city": "Ulm", "days": 5}}
