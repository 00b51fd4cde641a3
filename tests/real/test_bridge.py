"""Real clients start `mcpmux stdio` from Claude Desktop's form of a config, both eras."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from mcpmux_tui.engine import offline
from mcpmux_tui.engine.instance import Instance
from tests.real.conftest import Engine, Real
from tests.real.parts import node_package, program
from tests.real.test_serve import CLIENT_MJS, VERSIONS, names, own, public

__all__ = ["own"]
pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


@pytest.fixture
def desktop(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `claude_desktop_config.json` with the entry that mcpmux gives for it."""
    monkeypatch.setenv("MCPMUX_STATE_DIR", engine.home.env["MCPMUX_STATE_DIR"])
    monkeypatch.delenv("MCPMUX_CONFIG_DIR", raising=False)
    instance = Instance.of(engine.home.config)
    path = tmp_path / "claude_desktop_config.json"
    entry = offline.client_entry("claude-desktop", engine.url, engine.token, instance)
    assert engine.token not in entry.text
    path.write_text(entry.text, encoding="utf-8")
    return path


@pytest.fixture
def started(desktop: Path) -> Iterator[tuple[StdioServerParameters, TextIO]]:
    """How a client starts the config's only server, and where that may complain."""
    (entry,) = json.loads(desktop.read_text(encoding="utf-8"))["mcpServers"].values()
    with (desktop.parent / "stderr").open("w+", encoding="utf-8") as errors:
        yield StdioServerParameters(**entry), errors


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_python_client_lists_all_tools_and_calls_one_on_each_server(
    started: tuple[StdioServerParameters, TextIO],
    servers: tuple[Real, ...],
    own: dict[str, list[str]],
    mode: str,
) -> None:
    launch, errors = started
    async with Client(stdio_client(launch, errlog=errors), mode=mode) as client:
        assert client.protocol_version == VERSIONS[mode]
        assert sorted(await names(client)) == public(own)
        for server in servers:
            result = await client.call_tool(f"{server.name}__{server.tool}", server.arguments)
            assert server.answer in str(result.content)
    errors.seek(0)
    assert errors.read() == ""


@pytest.mark.parametrize(
    ("package", "mode"),
    [
        ("@modelcontextprotocol/sdk", "legacy"),
        ("@modelcontextprotocol/client", "legacy"),
        ("@modelcontextprotocol/client", "auto"),
    ],
)
async def test_a_typescript_client_lists_all_tools_and_calls_one_on_each_server(
    desktop: Path, servers: tuple[Real, ...], own: dict[str, list[str]], package: str, mode: str
) -> None:
    node = program("node", "Node.js")
    calls = [{"name": f"{s.name}__{s.tool}", "arguments": s.arguments} for s in servers]
    process = await asyncio.create_subprocess_exec(
        *(node, str(CLIENT_MJS), str(node_package(package)), package, mode, str(desktop)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(json.dumps(calls).encode())
    assert process.returncode == 0, errors.decode()
    answer = json.loads(output)
    # Over stdio the older package tells no version.
    assert answer.get("version") in {VERSIONS[mode], None}
    assert sorted(answer["tools"]) == public(own)
    for server, text in zip(servers, answer["texts"], strict=True):
        assert server.answer in text
