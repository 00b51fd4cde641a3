"""Real clients of both eras list and call the tools of real servers through `mcpmux serve`."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

import httpx2
import mcp_types
import psutil
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.end_to_end.program import Home, Served
from tests.real.conftest import Engine, Real, entry
from tests.real.parts import node_package, program

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

VERSIONS = {"legacy": "2025-11-25", "auto": "2026-07-28"}
CLIENT_MJS = Path(__file__).with_name("client.mjs")


@asynccontextmanager
async def python_client(url: str, token: str, mode: str) -> AsyncIterator[Client]:
    """The Python SDK's client on an address that wants a token."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client


async def never_asked(context: object, params: object = None) -> mcp_types.ErrorData:
    """Refuse a server's question."""
    return mcp_types.ErrorData(code=mcp_types.INVALID_REQUEST, message="not here")


async def names(client: Client) -> list[str]:
    """The names of all tools, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = await client.list_tools(cursor=cursor)
        found += [tool.name for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.fixture(scope="module")
def own(
    servers: tuple[Real, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """What each server lists to a client of its own.

    It declares what mcpmux declares to a process that many clients share: some servers list tools
    that ask something only to clients that can be asked.
    """

    async def listed(server: Real, errors: TextIO) -> list[str]:
        command, *args = server.command
        launch = StdioServerParameters(command=command, args=args)
        async with Client(
            stdio_client(launch, errlog=errors),
            mode="legacy",
            sampling_callback=never_asked,
            list_roots_callback=never_asked,
            elicitation_callback=never_asked,
        ) as client:
            return await names(client)

    with (tmp_path_factory.mktemp("own") / "stderr").open("w", encoding="utf-8") as errors:
        return {server.name: asyncio.run(listed(server, errors)) for server in servers}


def public(own: dict[str, list[str]]) -> list[str]:
    """The names that clients of mcpmux see."""
    return sorted(f"{server}__{tool}" for server, tools in own.items() for tool in tools)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_python_client_lists_all_tools_and_calls_one_on_each_server(
    engine: Engine, servers: tuple[Real, ...], own: dict[str, list[str]], mode: str
) -> None:
    async with python_client(engine.url, engine.token, mode) as client:
        assert client.protocol_version == VERSIONS[mode]
        assert sorted(await names(client)) == public(own)
        for server in servers:
            result = await client.call_tool(f"{server.name}__{server.tool}", server.arguments)
            assert not result.is_error, result.content
            (content, *_) = result.content
            assert content.type == "text"
            assert server.answer in content.text
    rows = (await asyncio.to_thread(engine.status))["servers"]
    assert {row["name"]: row["tools"] for row in rows} == {
        server: len(tools) for server, tools in own.items()
    }


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_one_server_alone_is_there_under_its_own_names(
    engine: Engine, servers: tuple[Real, ...], own: dict[str, list[str]], mode: str
) -> None:
    for server in servers:
        url = f"{engine.url}/{server.name}"
        async with python_client(url, engine.token, mode) as client:
            assert await names(client) == own[server.name]
            result = await client.call_tool(server.tool, server.arguments)
            assert server.answer in str(result.content)


@pytest.mark.parametrize(
    ("package", "mode"),
    [
        ("@modelcontextprotocol/sdk", "legacy"),
        ("@modelcontextprotocol/client", "legacy"),
        ("@modelcontextprotocol/client", "auto"),
    ],
)
async def test_a_typescript_client_lists_all_tools_and_calls_one_on_each_server(
    engine: Engine,
    servers: tuple[Real, ...],
    own: dict[str, list[str]],
    package: str,
    mode: str,
) -> None:
    node = program("node", "Node.js")
    folder = node_package(package)
    calls = [{"name": f"{s.name}__{s.tool}", "arguments": s.arguments} for s in servers]
    process = await asyncio.create_subprocess_exec(
        *(node, str(CLIENT_MJS), str(folder), package, mode, engine.url, engine.token),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(json.dumps(calls).encode())
    assert process.returncode == 0, errors.decode()
    answer = json.loads(output)
    assert answer["version"] == VERSIONS[mode]
    assert sorted(answer["tools"]) == public(own)
    for server, text in zip(servers, answer["texts"], strict=True):
        assert server.answer in text


def test_sigterm_ends_it_cleanly_and_leaves_no_process(
    servers: tuple[Real, ...], tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    home.write(*map(entry, servers))
    with Served(home, "--port", "0") as served:
        home.wait_until_connected()
        children = psutil.Process(served.process.pid).children(recursive=True)
        assert len(children) >= len(servers)
        done = served.stop(signal.SIGTERM, limit=8)
    assert done.code == 0, done
    assert done.out == ""
    assert "Traceback" not in done.err
    assert [child for child in children if alive(child)] == []


def alive(process: psutil.Process) -> bool:
    """Whether a process still runs; one that only init has yet to collect does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
