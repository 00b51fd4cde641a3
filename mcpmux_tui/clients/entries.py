"""The entry that makes a client use mcpmux, in the form that each client's own manual gives."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import tomli_w

from mcpmux_tui.model.errors import UsageError

NAME = "mcpmux"


@dataclass(frozen=True, slots=True)
class Entry:
    """What to put where, for one client; `text` holds the token if the client sends it itself."""

    client: str
    title: str
    where: str
    """The file or place it goes to."""
    text: str


@dataclass(frozen=True, slots=True)
class Bridge:
    """What starts `mcpmux stdio` for this engine, and the variables it needs for that."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Way:
    """How a client reaches mcpmux: at an address, or by a command."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    bridge: Bridge


def _claude_code(way: Way) -> str:
    command = ["claude", "mcp", "add", "--transport", "http", "--scope", "user", NAME, way.url]
    # --header takes all that follows it: it stands last.
    for name, value in way.headers.items():
        command += ["--header", f"{name}: {value}"]
    return shlex.join(command)


def _codex(way: Way) -> str:
    entry: dict[str, object] = {"url": way.url}
    if way.headers:
        entry["http_headers"] = dict(way.headers)
    return tomli_w.dumps({"mcp_servers": {NAME: entry}})


def _command(way: Way) -> str:
    program, *args = way.bridge.command
    entry: dict[str, object] = {"command": program, "args": args}
    if way.bridge.env:
        entry["env"] = dict(way.bridge.env)
    return json.dumps({"mcpServers": {NAME: entry}}, indent=2) + "\n"


def _in_json(table: str, address: str = "url", **fixed: str) -> Callable[[Way], str]:
    def write(way: Way) -> str:
        entry: dict[str, object] = {**fixed, address: way.url}
        if way.headers:
            entry["headers"] = dict(way.headers)
        return json.dumps({table: {NAME: entry}}, indent=2) + "\n"

    return write


@dataclass(frozen=True, slots=True)
class Client:
    """A client's name for people, where its entry goes, and how it is written."""

    title: str
    where: str
    write: Callable[[Way], str]


CLIENTS: Mapping[str, Client] = {
    # code.claude.com/docs/en/mcp
    "claude-code": Client("Claude Code", "a terminal: run this command once", _claude_code),
    # modelcontextprotocol.io/docs/develop/connect-local-servers: it starts commands only
    "claude-desktop": Client(
        "Claude Desktop", "its claude_desktop_config.json (Settings, Developer)", _command
    ),
    # cursor.com/docs/mcp
    "cursor": Client("Cursor", "~/.cursor/mcp.json", _in_json("mcpServers")),
    # code.visualstudio.com/docs/copilot/reference/mcp-configuration
    "vscode": Client(
        "VS Code",
        "your mcp.json (command palette: MCP: Open User Configuration)",
        _in_json("servers", type="http"),
    ),
    # developers.openai.com/codex/mcp: a literal `bearer_token` is refused, `http_headers` is not
    "codex": Client("Codex CLI", "~/.codex/config.toml", _codex),
    # geminicli.com/docs/tools/mcp-server: `url` would be the old SSE transport
    "gemini": Client("Gemini CLI", "~/.gemini/settings.json", _in_json("mcpServers", "httpUrl")),
    # docs.windsurf.com/windsurf/cascade/mcp
    "windsurf": Client(
        "Windsurf", "~/.codeium/windsurf/mcp_config.json", _in_json("mcpServers", "serverUrl")
    ),
    # zed.dev/docs/ai/mcp
    "zed": Client(
        "Zed", "your settings.json (zed: open settings file)", _in_json("context_servers")
    ),
    "json": Client("Any other client", "its MCP settings", _in_json("mcpServers", type="http")),
}


def entry(key: str, *, url: str, token: str | None, bridge: Bridge) -> Entry:
    """Return the entry for the client `key`: the proxy's `url`, `token` unless it needs none, and
    the `bridge` for clients that take no address.

    Raises UsageError for a client nobody knows.
    """
    try:
        client = CLIENTS[key]
    except KeyError:
        raise UsageError(
            f"There is no client named {key!r}.", f"Known are: {', '.join(CLIENTS)}."
        ) from None
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return Entry(key, client.title, client.where, client.write(Way(url, headers, bridge)))
