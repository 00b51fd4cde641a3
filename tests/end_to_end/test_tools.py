"""What a running server offers and says, and a call of one's own, by commands."""

from __future__ import annotations

import json

from tests.end_to_end.program import Home, Served, Terminal, eventually


def test_tools_calls_and_logs_by_commands(home: Home) -> None:
    home.write(home.stdio("raw"), home.stdio("other"))
    config = ("--config", str(home.config))
    assert home.run("tools", *config).code == 3
    with Served(home, "--port", "0"):
        home.wait_until_connected()
        listed = json.loads(home.run("tools", "raw", "--json", *config).out)
        names = {each["name"]: each["public"] for each in listed}
        assert names["echo"] == "raw__echo"
        every = home.run("tools", *config).out
        assert "raw  echo  raw__echo" in every
        assert "other  echo  other__echo" in every
        told = home.run("call", "raw", "echo", '{"text": "héllo"}', *config)
        assert (told.code, json.loads(told.out)) == (0, {"text": "héllo"})
        whole = json.loads(
            home.run("call", "raw", "echo", "-", "--json", *config, stdin='{"text": "x"}').out
        )
        assert whole["content"]
        eventually(lambda: home.rows()["raw"]["calls"] == 2, 5, "both are counted")
        assert home.run("call", "raw", "echo", "[1]", *config).code == 2
        for words, code, said in (
            (("call", "raw", "nothing"), 1, "raw has no tool named nothing"),
            (("call", "nobody", "echo"), 2, "There is no server named nobody"),
        ):
            failed = home.run(*words, *config)
            assert failed.code == code
            assert said in failed.err
        assert "connected, MCP" in home.run("logs", "raw", *config).out
        (line,) = json.loads(home.run("logs", "raw", "-n", "1", "--json", *config).out)
        assert line["source"] == "mcpmux"


def test_a_tool_is_tried_from_the_screen(home: Home) -> None:
    home.write(home.stdio("raw"))
    with Terminal(home, "--port", "0", "--config", str(home.config)) as terminal:
        terminal.wait_for("connected, MCP")
        terminal.press("t")
        terminal.wait_for("enter Try it")
        terminal.press("/")
        terminal.wait_for("text to find")
        terminal.press("echo\r")
        terminal.wait_for("raw__echo")
        terminal.press("\r")
        terminal.wait_for("ctrl+r Run")
        terminal.press("hello\x12")
        terminal.wait_for("Done in")
        terminal.process.terminate()
        terminal.finish()


def test_keys_in_one_piece_act_one_after_another(home: Home) -> None:
    home.write(home.stdio("raw"))
    with Terminal(home, "--port", "0", "--config", str(home.config)) as terminal:
        terminal.wait_until_shown("1 connected")
        terminal.press("4?")
        terminal.wait_until_shown("half a page")
        terminal.press("q")
        terminal.wait_until_shown("space Pause")
        terminal.press("/x\x7f\r2/ech4\x7fo\rq6/[proxy]\r")
        terminal.wait_until_shown("by port in [proxy]")
        terminal.wait_until_shown("!Animations")
        terminal.press("q1q")
        assert terminal.finish() == 0


def test_the_doctor_says_what_mends_a_server_with_and_without_an_engine(home: Home) -> None:
    home.write(home.stdio("raw"), "[servers.missing]\ncommand = 'mcpmux-no-such-program'\n")
    config = ("--config", str(home.config))
    alone = home.run("doctor", "raw", *config)
    assert (alone.code, "ok    folder" in alone.out) == (0, True)
    assert "initialize" not in alone.out
    missing = home.run("doctor", "missing", *config)
    assert (missing.code, "FAIL  command" in missing.out) == (1, True)
    assert "Install it" in missing.out
    with Served(home, "--port", "0"):
        eventually(lambda: home.rows()["raw"]["state"] == "connected", 15, "connected")
        checks = json.loads(home.run("doctor", "raw", "--json", *config).out)["checks"]
        assert [check["name"] for check in checks][-1] == "list"
        assert home.run("doctor", "nobody", *config).code == 2
