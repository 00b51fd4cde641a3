"""What a server asks outside of any call, answered by a command."""

from __future__ import annotations

import json

import pytest

from mcpmux_tui.text import one_line
from tests.end_to_end.program import Home, Served, Terminal, eventually
from tests.end_to_end.wire import http_wire


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
