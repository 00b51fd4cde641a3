from __future__ import annotations

import json
import shlex
import tomllib

import pytest

from mcpmux_tui.clients import entry
from mcpmux_tui.clients.entries import CLIENTS
from mcpmux_tui.model.errors import UsageError

URL = "http://127.0.0.1:4114/mcp"
TOKEN = "a\"b'c $(d)`e`\\"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


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
    assert json.loads(entry(key, url=URL, token=TOKEN).text) == expected


def test_claude_code_gets_one_line_that_a_shell_reads_whole() -> None:
    text = entry("claude-code", url=URL, token=TOKEN).text
    assert "\n" not in text
    assert shlex.split(text) == [
        "claude", "mcp", "add", "--transport", "http", "--scope", "user", "mcpmux", URL,
        "--header", f"Authorization: Bearer {TOKEN}",
    ]  # fmt: skip


def test_codex_gets_a_table() -> None:
    text = entry("codex", url=URL, token=TOKEN).text
    assert text.startswith("[mcp_servers.mcpmux]\n")
    assert tomllib.loads(text) == {"mcp_servers": {"mcpmux": {"url": URL, "http_headers": HEADERS}}}


@pytest.mark.parametrize("key", CLIENTS)
def test_without_a_token_there_is_no_header(key: str) -> None:
    made = entry(key, url=URL, token=None)
    assert "header" not in made.text.lower()
    assert "Bearer" not in made.text
    assert URL in made.text
    assert (made.client, made.title) == (key, CLIENTS[key].title)
    assert made.where


def test_an_unknown_client_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="claude-code, cursor"):
        entry("emacs", url=URL, token=None)
