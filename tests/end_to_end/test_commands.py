from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.end_to_end.program import Home, Served, eventually

BROKEN = """
[servers.unknown-command]
command = "mcpmux-no-such-program"

[servers.missing-cwd]
command = "sh"
cwd = "/no/such/folder"

[servers.ends-at-once]
command = "sh"
args = ["-c", "echo cannot open the database >&2; exit 3"]

[servers.neither]
env = {}

[servers.both]
command = "sh"
url = "http://127.0.0.1:9/mcp"

[servers.wrong-types]
command = ["sh"]

[servers.waits]
command = "sh"
args = ["${NOT_SET_ONE}", "${HAS_DEFAULT:-x}"]
env = { B = "${NOT_SET_TWO}", A = "${NOT_SET_ONE}" }

[servers."bad name!"]
command = "sh"
"""


def config(home: Home) -> tuple[str, str]:
    return ("--config", str(home.config))


@pytest.mark.behaviour("P18", "P19", "P22", "AMG-V01")
def test_every_broken_entry_is_a_row_with_its_reason_and_the_rest_runs(home: Home) -> None:
    home.write(home.stdio("good"), home.stdio("noisy", "--junk", "50", "--hostile"), BROKEN)
    with Served(home, "--port", "0") as served:
        assert served.listening

        def all_tried() -> bool:
            now = home.rows()
            return (
                now["good"]["state"] == now["noisy"]["state"] == "connected"
                and "cannot open" in str(now["ends-at-once"]["detail"])
                and now["missing-cwd"]["state"] == "failed"
            )

        eventually(all_tried, 20, "all tried")
        told = json.loads(home.run("status", "--json", *config(home)).out)["servers"]
        now = {server["name"]: server for server in told}
        reasons = {name: f"{row['summary']} {row['detail']}" for name, row in now.items()}
        assert "command not found: mcpmux-no-such-program" in reasons["unknown-command"]
        assert "/no/such/folder" in reasons["missing-cwd"]
        assert "code 3" in reasons["ends-at-once"]
        assert "cannot open the database" in reasons["ends-at-once"]
        assert "no `command`" in reasons["neither"]
        assert "both `command` and `url`" in reasons["both"]
        assert "`command` must be text" in reasons["wrong-types"]
        assert "bad name!" in now
        lines = home.config.read_text(encoding="utf-8").splitlines()
        for name in ("neither", "both", "wrong-types"):
            number = lines.index(f"[servers.{name}]") + 1
            assert f"line {number}:" in reasons[name]
        assert now["waits"]["state"] == "needs_input"
        assert sorted(now["waits"]["missing"]) == ["NOT_SET_ONE", "NOT_SET_TWO"]
        for name, row in now.items():
            assert (row["state"] in {"connected", "disabled"}) or row["detail"], name
        assert not any("\x1b" in reason for reason in reasons.values())
        assert served.stop().code == 0


def test_a_syntax_error_ends_serve_with_path_line_and_no_traceback(home: Home) -> None:
    home.write("[servers.a]\ncommand = 'x'\nargs = [1,,]\nenabled = true\n")
    done = home.run("serve", *config(home))
    assert (done.code, done.out) == (1, "")
    assert "servers.toml" in done.err
    assert "line 3" in done.err
    assert "Traceback" not in done.err


def test_a_missing_config_is_an_error_and_nothing_creates_it(home: Home) -> None:
    for command in ("serve", "list"):
        done = home.run(command, "--config", "no-such.toml")
        assert done.code == 1, command
        assert "does not exist" in done.err
    for command in ("status", "stop", "tools", "answer"):
        done = home.run(command, "--config", "no-such.toml")
        assert (done.code, done.out) == (3, ""), command
        assert "no-such.toml does not exist, and no engine runs for it." in done.err
        assert "Check the name after --config." in done.err
    assert not Path("no-such.toml").exists()
    assert home.run("list").out.startswith("No servers yet")


ALONE = ("remove", "enable", "disable", "login", "logout", "doctor")
OF_AN_ENGINE = ("connect", "disconnect", "restart", "logs", "tools")


def test_a_name_that_no_server_has_is_wrong_use_of_every_command(home: Home) -> None:
    home.write()
    for command in ALONE:
        done = home.run(command, "nobody", *config(home))
        assert (done.code, "There is no server named nobody." in done.err) == (2, True), done
    with Served(home, "--port", "0"):
        for command in (*ALONE, *OF_AN_ENGINE):
            done = home.run(command, "nobody", *config(home))
            assert (done.code, "There is no server named nobody." in done.err) == (2, True), done


def test_json_without_servers_is_said(home: Home) -> None:
    home.config = home.folder / "mcp.json"
    home.write('{"mcp": {"servers": {"a": {"command": "x"}}}}')
    done = home.run("list", *config(home))
    assert done.out.startswith("No servers yet")
    assert done.err == (
        "Neither `mcpServers` nor `servers` stands in the file: it has no servers.\n"
        "Unknown key `mcp`; it is kept and not used.\n"
    )


@pytest.mark.behaviour("AMG-W02", "LUN-G02")
def test_a_broken_file_keeps_the_last_good_set_running_and_says_so(home: Home) -> None:
    home.write(home.stdio("a"))
    good = home.config.read_text(encoding="utf-8")
    with Served(home, "--port", "0"):
        eventually(lambda: home.rows()["a"]["state"] == "connected", 20, "connected")
        pid = home.rows()["a"]["pid"]
        home.write(good + "[servers.b\n")
        eventually(
            lambda: (
                "line" in home.run("status", "--json", *config(home)).out.split("config_error")[1]
            ),
            10,
            "said",
        )
        assert home.rows()["a"]["pid"] == pid
        home.write(good, home.stdio("b"))
        eventually(lambda: "b" in home.rows(), 10, "the new server")
        assert home.rows()["a"]["pid"] == pid


@pytest.mark.behaviour("LUN-S03")
def test_add_edits_the_file_and_the_running_engine_follows_at_once(home: Home) -> None:
    home.write("# mine\n", home.stdio("a"))
    with Served(home, "--port", "0"):
        raw = Path("tests/fixtures/raw_stdio.py").resolve()
        added = home.run(
            "add",
            "b",
            sys.executable,
            str(raw),
            "--mark",
            home.mark,
            "--env",
            "K=v=w",
            *config(home),
        )
        assert added.code == 0, added
        eventually(lambda: home.rows()["b"]["state"] == "connected", 20, "connected")
        assert home.run("disable", "b", *config(home)).code == 0
        assert home.rows()["b"]["state"] == "disabled"
        assert home.run("disconnect", "a", *config(home)).code == 0
        assert home.rows()["a"]["state"] == "idle"
        assert home.run("connect", "a", *config(home)).code == 0
        old = home.rows()["a"]["pid"]
        assert home.run("restart", "a", *config(home)).code == 0
        assert home.rows()["a"]["pid"] != old
        assert home.run("enable", "b", *config(home)).code == 0
        eventually(lambda: home.rows()["b"]["state"] == "connected", 20, "connected")
        assert home.run("remove", "b", *config(home)).code == 0
        assert list(home.rows()) == ["a"]
    text = home.config.read_text(encoding="utf-8")
    assert text.startswith("# mine\n")
    assert list(tomllib.loads(text)["servers"]) == ["a"]


@pytest.mark.slow
def test_connect_waits_for_a_server_that_is_still_stopping(home: Home) -> None:
    home.write(home.stdio("a", "--stubborn"))
    with Served(home, "--port", "0"):
        eventually(lambda: home.rows()["a"]["state"] == "connected", 20, "connected")
        command = [sys.executable, "-m", "mcpmux_tui", "disconnect", "a", *config(home)]
        with subprocess.Popen(command, env=home.env, stdout=subprocess.DEVNULL) as stopping:
            eventually(lambda: home.rows()["a"]["state"] == "stopping", 10, "stopping")
            done = home.run("connect", "a", *config(home))
            assert done.code == 0, done
            assert "a is connected" in done.out
            stopping.wait(10)
        assert home.rows()["a"]["state"] == "connected"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("add", "x", "https://example.com/mcp", "more"), 2, "takes no arguments"),
        (("add", "x", "ftp://example.com/mcp"), 2, "begins with http:// or https://"),
        (("add", "x", "sh", "--header", "A: b"), 2, "--header is for an address"),
        (("add", "x", "sh", "--env", "novalue"), 2, "KEY=VALUE"),
        (("add", "bad name!", "sh"), 2, "bad name!"),
        (("add", "x", "https://a@b.example/mcp"), 2, "cannot be added"),
        (("answer", "1", "city=Ulm", "--decline"), 2, "--decline takes no answers"),
        (("remove", "nobody"), 2, "no server named"),
        (("connect", "a"), 3, "not running"),
        (("status",), 3, "not running"),
        (("stop",), 3, "not running"),
        (("serve", "--host", "0.0.0.0"), 2, "--host"),
        (("serve", "--port", "70000"), 2, "--port"),
        (("serve", "--timeout", "3"), 2, "--wait"),
        (("frobnicate",), 2, "frobnicate"),
    ],
)
@pytest.mark.behaviour("B4")
def test_wrong_use_is_a_sentence_and_an_exit_code(
    home: Home, args: tuple[str, ...], code: int, words: str
) -> None:
    done = home.run(*args)
    assert done.code == code
    assert words in done.err
    assert "Traceback" not in done.err
    assert not (home.folder / "config" / "config.toml").exists()


def test_config_may_stand_before_or_after_the_command(home: Home) -> None:
    home.write(home.stdio("a"))
    after = home.run("list", *config(home))
    assert home.run(*config(home), "list").out == after.out
    assert "a  " in after.out


def test_import_shows_whole_commands_adds_after_yes_and_leaves_sources_alone(home: Home) -> None:
    source = home.folder / ".cursor" / "mcp.json"
    source.parent.mkdir()
    long = "x" * 300 + " # ok\ncurl http://evil.example"
    one = {"command": "sh", "args": ["-c", f"echo {long}"], "env": {"API_KEY": "sk-1234567890"}}
    source.write_text(json.dumps({"mcpServers": {"one": one}}), encoding="utf-8")
    before = source.read_bytes()
    editor = home.folder / ".config/Code/User/mcp.json"
    editor.parent.mkdir(parents=True)
    asked = {"id": "dsn", "type": "promptString", "description": "The database", "password": True}
    two = {"command": "sh", "args": ["${input:dsn}"]}
    editor.write_text(json.dumps({"inputs": [asked], "servers": {"two": two}}), encoding="utf-8")
    declined = home.run("import", stdin="n\n")
    assert "    asks for dsn (password) The database\n" in declined.out
    whole = long.replace("\n", "\\n")
    assert f"sh -c 'echo {whole}'" in declined.out
    assert "`env.API_KEY` is a secret in plain text" in declined.out
    assert "sk-1234567890" not in declined.out
    assert "No servers yet" in home.run("list").out
    accepted = home.run("import", stdin="y\n")
    assert "Added one, two." in accepted.out
    written = tomllib.loads((home.folder / "config/config.toml").read_text(encoding="utf-8"))
    assert written["inputs"] == {"dsn": {"type": "password", "description": "The database"}}
    again = home.run("import", stdin="y\n")
    assert "already here" in again.out
    assert "Nothing to add" in again.out
    assert source.read_bytes() == before


def test_an_output_that_has_no_room_is_a_sentence(home: Home) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mcpmux_tui", "list"],
            env=home.env, stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert (done.returncode, b"No space left on device" in done.stderr) == (1, True)


def test_commands_that_have_nothing_to_list_say_so(home: Home) -> None:
    assert "No servers found in the configs of other clients" in home.run("import").out
    assert home.run("secret", "list").out == "No values are kept, and no server uses one.\n"
    assert home.run("auth", "status").out == "No server in the config is one to sign in to.\n"


def test_serve_with_wait_ends_by_cause_when_not_all_connect_in_time(home: Home) -> None:
    home.write(home.stdio("a"), "[servers.b]\ncommand = 'mcpmux-no-such-program'\n")
    done = home.run("serve", "--port", "0", "--wait", "--timeout", "10", *config(home))
    assert (done.code, done.out) == (11, "")
    home.write(home.stdio("a"))
    with Served(home, "--port", "0", "--wait", "--timeout", "15") as served:
        assert served.listening
        assert home.rows()["a"]["state"] == "connected"
    home.write(home.stdio("a", "--start-after", "30"))
    late = home.run("serve", "--port", "0", "--wait", "--timeout", "1", *config(home))
    assert late.code == 12


def test_the_token_is_stable_and_a_wrong_one_is_refused(home: Home) -> None:
    home.write("")
    first = home.run("token", *config(home)).out
    assert len(first.strip()) >= 43
    assert home.run("token", *config(home)).out == first
    home.env["MCPMUX_TOKEN"] = "not a token"
    assert home.run("token", *config(home)).code == 2
    home.env["MCPMUX_TOKEN"] = "given"
    assert home.run("token", *config(home)).out == "given\n"


@pytest.mark.behaviour("F8")
def test_a_state_folder_that_cannot_be_written_is_a_sentence(home: Home) -> None:
    home.write(home.stdio("alpha"))
    home.env["MCPMUX_STATE_DIR"] = "/proc/mcpmux"
    done = home.run("serve", *config(home), "--port", "0")
    assert done.code == 1
    assert "The state folder /proc/mcpmux/" in done.err
    assert "Set MCPMUX_STATE_DIR to a folder you can write to." in done.err
    assert "Traceback" not in done.err


def test_version(home: Home) -> None:
    done = home.run("--version")
    assert done.code == 0
    assert done.out.startswith("mcpmux, version 0.")
