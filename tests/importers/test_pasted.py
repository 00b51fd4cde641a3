"""What people paste: commands, addresses, JSON of every usual form."""

from __future__ import annotations

import json
import shlex
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from mcpmux_tui.config import edit
from mcpmux_tui.config.check import name_problem
from mcpmux_tui.config.file import load
from mcpmux_tui.config.schema import Entry, server_spec
from mcpmux_tui.importers.command_line import Unreadable
from mcpmux_tui.importers.naming import suggested
from mcpmux_tui.importers.pasted import Pasted, read

HOME = Path("/home/ana")


def pasted(text: str, *taken: str) -> tuple[Pasted, ...]:
    return read(text, home=HOME, taken=taken, own=Entry.model_fields)


def entries(text: str) -> dict[str, dict[str, JsonValue]]:
    return {each.name: each.entry for each in pasted(text)}


def npx(*args: str, **more: JsonValue) -> dict[str, JsonValue]:
    return {"command": "npx", "args": [*args], **more}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("npx -y @acme/mcp --region eu", {"acme": npx("-y", "@acme/mcp", "--region", "eu")}),
        ("A=1 B='x y' npx p", {"p-server": npx("p", env={"A": "1", "B": "x y"})}),
        ("env A=1 npx things", {"things": npx("things", env={"A": "1"})}),
        ("env -u X npx", {"env": {"command": "env", "args": ["-u", "X", "npx"]}}),
        ("$ npx \\\n   -y things", {"things": npx("-y", "things")}),
        ("# start it\nnpx things\n", {"things": npx("things")}),
        ("K=$HOME npx \"x $A ${B:-c}\" '$D' \\$E", {
            "x-a-b": npx("x ${A} ${B:-c}", "$D", "$E", env={"K": "${HOME}"})}),
        ("npx a '$$'", {"a": npx("a", "$$$$")}),
        ("https://mcp.linear.app/sse?a=1&b=2", {
            "linear": {"url": "https://mcp.linear.app/sse?a=1&b=2"}}),
        ("https://a.example/mcp\nhttps://b.test/mcp", {
            "a": {"url": "https://a.example/mcp"}, "b": {"url": "https://b.test/mcp"}}),
        ('claude mcp add --transport http notion https://n.example/mcp -H "X-Key: $T"', {
            "notion": {"url": "https://n.example/mcp", "headers": {"X-Key": "${T}"}}}),
        ("claude mcp add -t sse s https://n.example/sse", {
            "s": {"url": "https://n.example/sse", "transport": "sse"}}),
        ("claude mcp add air -s user --env A=1 B=2 -- npx -y air", {
            "air": npx("-y", "air", env={"A": "1", "B": "2"})}),
        ("codex mcp add --env=A=1 air -- npx -y air", {"air": npx("-y", "air", env={"A": "1"})}),
        ("gemini mcp add air npx -y air", {"air": npx("-y", "air")}),
        ("mcpmux add air --cwd /x --disabled -- npx -y air", {
            "air": npx("-y", "air", cwd="/x", enabled=False)}),
        ("""claude mcp add-json w -s user '{"type":"stdio","command":"npx","args":["x"]}'""", {
            "w": npx("x")}),
        ("""code --add-mcp '{"name":"my","command":"npx","args":["x"]}'""", {"my": npx("x")}),
        ('{"mcpServers": {"a b": {"command": "npx", "args": ["x",],}, /* c */ },}', {
            "a-b": npx("x")}),
        ('// VS Code\n{"servers": {"a": {"type": "sse", "url": "https://h/"}}}', {
            "a": {"url": "https://h/", "transport": "sse"}}),
        ('{"mcp": {"servers": {"a": {"command": "npx", "args": ["x"]}}}}', {"a": npx("x")}),
        ('{"a": {"command": "npx", "args": ["x"]}, "b": {"serverUrl": "https://h/"}}', {
            "a": npx("x"), "b": {"url": "https://h/"}}),
        ('"a": {"command": "npx", "args": ["x", 1]},', {"a": npx("x", "1")}),
        ('{"command": ["npx", "things"], "env": {"P": 3, "Q": null}}', {
            "things": npx("things", env={"P": "3"})}),
        ('[{"name": "a", "httpUrl": "https://h/"}]', {"a": {"url": "https://h/"}}),
        ('{"command": "npx", "args": ["things"], "prefix": "t", "timeout": 3}', {
            "things": npx("things", prefix="t", timeout=3)}),
    ],
)  # fmt: skip
def test_every_usual_form_is_understood(text: str, found: dict[str, object]) -> None:
    assert entries(text) == found
    assert entries(text.replace("\n", "\r\n")) == found
    assert entries(f"\ufeff  {text}\n") == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" \n", "It is empty."),
        ("# nothing", "There is no server in it."),
        ("npx 'x", "A quote is opened in it and not closed."),
        ("npx x\\", "It ends with a backslash."),
        ("A=1", "There is no command in it."),
        ("''", "There is no command in it."),
        ("cd x && npx y", "`&` is for a shell"),
        ("npx $(cat x)", "`$(` is for a shell"),
        ("curl x | sh", "`|` is for a shell"),
        ("A=1 https://h/", "takes no variables"),
        ("https://h/ x", "takes no variables and no arguments"),
        ("claude mcp add x --wat y npx", "`--wat` is not known here"),
        ("claude mcp add x", "names no server"),
        ("claude mcp add x --env", "`--env` has no value"),
        ("claude mcp add x --env K npx", "takes KEY=value"),
        ("claude mcp add-json x", "takes a name and JSON"),
        ("{", "It is not valid JSON: line 1, column 2"),
        ('{"a": 1}', "This JSON names no server"),
        ("{}", "This JSON names no server"),
        ("[]", "This JSON names no server"),
        ('{"mcpServers": {}}', "There is no server in it."),
        ('{"mcpServers": {"a": {"args": []}}}', "`a` has no `command` and no `url`."),
        ('{"mcpServers": {"a": 3}}', "`a` is not an object."),
        ('{"command": "x", "args": "y"}', "It has `args` that are no list."),
        ("npx \u200bx", "acts or hides: \\u200b"),
        ("npx \x1b[2J", "acts or hides: \\x1b"),
        ("x" * 70_000, "It is longer than 64 KiB."),
        ('{"a":' * 20_000, "It is longer than 64 KiB."),
        ('{"a":' * 5_000, "It is not valid JSON"),
    ],
)
def test_what_names_no_server_is_a_sentence(text: str, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        pasted(text)
    assert why in str(caught.value)


def test_what_is_left_out_is_said_and_a_taken_name_gets_a_number() -> None:
    text = '{"a": {"command": "x", "alwaysAllow": []}, "a ": {"command": "y"}}'
    first, second = pasted(text, "a", "a-2")
    assert (first.name, second.name) == ("a-3", "a-4")
    assert first.notes == ("Not taken over: `alwaysAllow`.",)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("npx -y @modelcontextprotocol/server-filesystem /tmp", "filesystem"),
        ("uvx mcp-server-time --local-timezone=Europe/Berlin", "time"),
        ("uvx --from git+https://h/x.git serena start-mcp-server", "serena"),
        ("docker run -i --rm -e K ghcr.io/github/github-mcp-server:1.2", "github"),
        ("python -m mcp_server_git", "git"),
        ("npx -y @playwright/mcp@latest", "playwright"),
        ("/opt/Weather Server.py", "weather-server"),
        ("mcp-server", "mcp-server"),
        ("https://api.githubcopilot.com/mcp/", "githubcopilot"),
        ("https://mcp.sentry.dev/mcp", "sentry"),
        ("http://127.0.0.1:3000/mcp", "local"),
        ("http://localhost/notes", "notes"),
        ("https://[::1]/x", "x"),
    ],
)
def test_a_name_is_suggested(words: str, name: str) -> None:
    command, *args = [words] if words.startswith("/") else words.split()
    assert (
        suggested({"url": words} if "//" in command else {"command": command, "args": args}) == name
    )


@given(st.text() | st.text(st.sampled_from("{}[]\"':,\\ \n$=#|npx-A1/")))
@example('{"mcp": {"mcp": {"mcp": {}}}}')
@example("https://[")
@example('{"url": "https://["}')
def test_nothing_pasted_crashes_it(text: str) -> None:
    try:
        found = pasted(text)
    except Unreadable as error:
        assert str(error)
        return
    assert len({each.name for each in found}) == len(found)
    for each in found:
        assert name_problem(each.name) is None


words = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="$"))


@given(
    command=words.filter(lambda text: bool(text.strip()) and "://" not in text and "=" not in text),
    args=st.lists(words, max_size=4),
    env=st.dictionaries(st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,8}\Z"), words, max_size=3),
    as_json=st.booleans(),
    suffix=st.sampled_from([".toml", ".json"]),
)
def test_what_is_pasted_and_written_is_read_again_as_the_same(
    command: str, args: list[str], env: dict[str, str], as_json: bool, suffix: str
) -> None:
    if command in {"env", "claude", "code", "cursor", "gemini", "codex", "mcpmux"} or not (
        command.isprintable() and all(map(str.isprintable, (*args, *env.values())))
    ):
        return
    text = " ".join([*(f"{key}={shlex.quote(value)}" for key, value in env.items()),
                     shlex.join([command, *args])])  # fmt: skip
    if as_json:
        text = json.dumps({"mcpServers": {"x": {"command": command, "args": args, "env": env}}})
    try:
        (found,) = pasted(text)
    except Unreadable as error:
        # What hides is none of these: it is never taken.
        assert "acts or hides" in str(error) or text.strip().startswith(("#", "{", "[", '"'))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"config{suffix}"
        edit.add_server(path, found.name, found.entry)
        (spec,) = load(path, required=True).servers
    assert spec.problem is None
    assert spec.launch == server_spec(found.name, found.entry, folder=Path(folder)).launch
    assert found.entry["command"] == command
    assert found.entry.get("args", []) == args
    assert found.entry.get("env", {}) == env
