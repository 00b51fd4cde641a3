from __future__ import annotations

import json
import shlex
import tomllib

import pytest

from mcpmux_tui.clients import Bridge, Entry, entry
from mcpmux_tui.clients.entries import CLIENTS
from mcpmux_tui.model.errors import UsageError

URL = "http://127.0.0.1:4114/mcp"
TOKEN = "a\"b'c $(d)`e`\\"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
BRIDGE = Bridge(("/opt/my bin/mcpmux", "stdio", "--config", "/home/ada/c.toml"))


def made(key: str, token: str | None = TOKEN, bridge: Bridge = BRIDGE) -> Entry:
    return entry(key, url=URL, token=token, bridge=bridge)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("cursor", {"mcpServers": {"mcpmux": {"url": URL, "headers": HEADERS}}}),
        ("vscode", {"servers": {"mcpmux": {"type": "http", "url": URL, "headers": HEADERS}}}),
        ("gemini", {"mcpServers": {"mcpmux": {"httpUrl": URL, "headers": HEADERS}}}),
        ("windsurf", {"mcpServers": {"mcpmux": {"serverUrl": URL, "headers": HEADERS}}}),
        ("zed", {"context_servers": {"mcpmux": {"url": URL, "headers": HEADERS}}}),
        ("json", {"mcpServers": {"mcpmux": {"type": "http", "url": URL, "headers": HEADERS}}}),
    ],
)
def test_json_clients_get_their_form(key: str, expected: object) -> None:
    assert json.loads(made(key).text) == expected


def test_claude_code_gets_one_line_that_a_shell_reads_whole() -> None:
    text = made("claude-code").text
    assert "\n" not in text
    assert shlex.split(text) == [
        "claude", "mcp", "add", "--transport", "http", "--scope", "user", "mcpmux", URL,
        "--header", f"Authorization: Bearer {TOKEN}",
    ]  # fmt: skip


def test_a_client_that_starts_commands_gets_one_and_no_token() -> None:
    text = made("claude-desktop").text
    command = {"command": "/opt/my bin/mcpmux", "args": ["stdio", "--config", "/home/ada/c.toml"]}
    assert json.loads(text) == {"mcpServers": {"mcpmux": command}}
    placed = Bridge(BRIDGE.command, {"MCPMUX_STATE_DIR": "/s"})
    own = json.loads(made("claude-desktop", bridge=placed).text)["mcpServers"]["mcpmux"]
    assert own == command | {"env": {"MCPMUX_STATE_DIR": "/s"}}


def test_codex_gets_a_table() -> None:
    text = made("codex").text
    assert text.startswith("[mcp_servers.mcpmux]\n")
    assert tomllib.loads(text) == {"mcp_servers": {"mcpmux": {"url": URL, "http_headers": HEADERS}}}


@pytest.mark.parametrize("key", CLIENTS)
def test_without_a_token_there_is_no_header(key: str) -> None:
    open_to_all = made(key, token=None)
    assert "header" not in open_to_all.text.lower()
    assert "Bearer" not in open_to_all.text
    assert (URL in open_to_all.text) == (key != "claude-desktop")
    assert (open_to_all.client, open_to_all.title) == (key, CLIENTS[key].title)
    assert open_to_all.where


def test_an_unknown_client_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="claude-code, claude-desktop, cursor"):
        made("emacs")
