"""The SDK's own server as the oracle: the same requests, the same status and error code.

Where the answers differ on purpose, the case says why.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler

from tests.fixtures.asgi import serving
from tests.proxy.fakes import (
    ENVELOPE,
    FakeUpstream,
    http_client,
    modern,
    open_session,
    rpc,
    running,
    url_of,
)

Context = ServerRequestContext[dict[str, Any]]
Verdict = tuple[int, int | None]
"""HTTP status and, where the body is a JSON-RPC error, its code."""


async def list_tools(
    _: Context, params: types.PaginatedRequestParams | None
) -> types.ListToolsResult:
    if params is not None and params.cursor is not None:
        raise MCPError(types.INVALID_PARAMS, "Invalid cursor")
    return types.ListToolsResult(tools=[types.Tool(name="echo", input_schema={"type": "object"})])


async def call_tool(_: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    if params.name != "echo":
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    return types.CallToolResult(content=[types.TextContent(type="text", text="hello")])


@asynccontextmanager
async def oracle() -> AsyncIterator[str]:
    """The SDK's server with one tool, `echo`, on a free port."""
    server: Server[dict[str, Any]] = Server(
        "oracle",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_subscriptions_listen=ListenHandler(InMemorySubscriptionBus()),
    )
    manager = StreamableHTTPSessionManager(server, json_response=True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await manager.handle_request(scope, receive, send)

    async with manager.run(), serving(app) as url:
        yield f"{url}/mcp"


@dataclass
class Case:
    """A request, and what the oracle says to it where that is another thing, and why."""

    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    session: bool = False
    theirs: Verdict | None = None
    why: str = ""


def of_2026(method: str, params: dict[str, object] | None = None, **changes: object) -> Case:
    body, headers = modern(method, params)
    for name, value in changes.items():
        headers.pop(name.replace("_", "-"), None)
        if value is not None:
            headers[name.replace("_", "-")] = str(value)
    return Case(body, headers)


LISTEN = of_2026("subscriptions/listen", {"notifications": {}})
LISTEN.headers["accept"] = "application/json"
OLD = {"mcp-protocol-version": "2025-06-18"}
UNKNOWN = {"mcp-protocol-version": "1999-01-01"}
JSON_TYPE = {"content-type": "application/json"}
CALL: dict[str, object] = {"name": "echo", "arguments": {}}

LEGACY_CASES = {
    "ping": Case(rpc("ping"), session=True),
    "list": Case(rpc("tools/list"), session=True),
    "list with version": Case(rpc("tools/list"), OLD, session=True),
    "list with a cursor": Case(rpc("tools/list", {"cursor": "x"}), session=True),
    "call": Case(rpc("tools/call", CALL), session=True),
    "call with a text id": Case(rpc("tools/call", CALL, "x"), session=True),
    "unknown tool": Case(rpc("tools/call", {"name": "x"}), session=True),
    "call without a name": Case(rpc("tools/call", {}), session=True),
    "call with a number as name": Case(rpc("tools/call", {"name": 5}), session=True),
    "unknown method": Case(rpc("x/y"), session=True),
    "notification": Case(rpc("notifications/x", None, None), session=True),
    "cancelled for nothing": Case(
        rpc("notifications/cancelled", {"requestId": 99}, None), session=True
    ),
    "response": Case({"jsonrpc": "2.0", "id": 7, "result": {}}, session=True),
    "error response": Case(
        {"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "x"}}, session=True
    ),
    "bad initialize": Case(rpc("initialize", {"protocolVersion": 1})),
    "no session": Case(rpc("tools/list")),
    "unknown session": Case(rpc("tools/list"), {"mcp-session-id": "0" * 32}),
    "initialize in an unknown session": Case(
        rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                           "clientInfo": {"name": "x", "version": "1"}}),
        {"mcp-session-id": "0" * 32},
        theirs=(404, -32600),
        why="a client that kept its id over a restart of mcpmux gets in at once",
    ),
    "get without a session": Case(method="GET"),
    "get of an unknown session": Case(method="GET", headers={"mcp-session-id": "0" * 32}),
    "get that wants json": Case(method="GET", headers={"accept": "application/json"}, session=True),
    "delete of an unknown session": Case(method="DELETE", headers={"mcp-session-id": "0" * 32}),
    "delete without a session": Case(method="DELETE"),
    "put": Case(rpc("ping"), method="PUT", session=True),
    "wants html": Case(rpc("ping"), {"accept": "text/html"}, session=True),
    "not json": Case(b"hello", JSON_TYPE, session=True),
    "empty": Case(b"", JSON_TYPE, session=True),
    "deep": Case(b"[" * 100_000, JSON_TYPE, session=True),
    "batch": Case(
        [rpc("ping")], session=True, theirs=(400, -32602), why="-32600 is JSON-RPC's own code"
    ),
    "no message": Case(
        {"hello": 1}, session=True, theirs=(400, -32602), why="-32600 is JSON-RPC's own code"
    ),
    "null id": Case(
        {"jsonrpc": "2.0", "id": None, "method": "ping"}, session=True, theirs=(202, None),
        why="JSON-RPC 2.0: neither a request nor a notification, and MCP forbids it",
    ),
    "NaN": Case(
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}', JSON_TYPE, session=True,
        theirs=(200, None), why="NaN is not JSON",
    ),
    "a key twice": Case(
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}', JSON_TYPE, session=True,
        theirs=(200, None), why="two readers would disagree about the value",
    ),
    "plain text": Case(
        json.dumps(rpc("ping")).encode(), {"content-type": "text/plain"}, session=True,
        theirs=(400, None), why="415 is what HTTP has for it",
    ),
}  # fmt: skip

MODERN_CASES = {
    "discover": of_2026("server/discover"),
    "list": of_2026("tools/list"),
    "list with a cursor": of_2026("tools/list", {"cursor": "x"}),
    "call": of_2026("tools/call", CALL),
    "unknown tool": of_2026("tools/call", {"name": "x"}),
    "call without a name": of_2026("tools/call", {}),
    "initialize": of_2026("initialize"),
    "ping": of_2026("ping"),
    "unknown method": of_2026("x/y"),
    "no method header": of_2026("tools/list", mcp_method=None),
    "another method": of_2026("tools/list", mcp_method="tools/call"),
    "no name header": of_2026("tools/call", CALL, mcp_name=None),
    "another name": of_2026("tools/call", CALL, mcp_name="x"),
    "name in bad base64": of_2026("tools/call", CALL, mcp_name="=?base64?e?="),
    "another version": of_2026("tools/list", mcp_protocol_version="2030-01-01"),
    "no envelope": Case(rpc("tools/list"), of_2026("tools/list").headers),
    "no capabilities": Case(
        rpc("tools/list", {"_meta": {k: v for k, v in ENVELOPE.items() if "Capab" not in k}}),
        of_2026("tools/list").headers,
    ),
    "capabilities of another kind": of_2026(
        "tools/list", {"_meta": {"io.modelcontextprotocol/clientCapabilities": 5}}
    ),
    "unknown version": of_2026(
        "tools/list",
        {"_meta": {"io.modelcontextprotocol/protocolVersion": "1999-01-01"}},
        mcp_protocol_version="1999-01-01",
    ),
    "unknown version without an envelope": Case(rpc("tools/list"), UNKNOWN),
    "unknown version in an old session": Case(rpc("tools/list"), UNKNOWN, session=True),
    "notification": Case(rpc("notifications/x", None, None), of_2026("x").headers),
    "notification of an unknown version": Case(rpc("notifications/x", None, None), UNKNOWN),
    "response": Case({"jsonrpc": "2.0", "id": 1, "result": {}}, of_2026("x").headers),
    "listen that wants json": LISTEN,
    "listen for nothing": of_2026("subscriptions/listen"),
    "get": Case(method="GET", headers=of_2026("x").headers),
    "delete": Case(method="DELETE", headers=of_2026("x").headers),
    "batch": Case([rpc("ping")], of_2026("ping").headers),
    "not json": Case(b"hello", of_2026("ping").headers | JSON_TYPE),
    "deep": Case(b"[" * 100_000, of_2026("ping").headers | JSON_TYPE),
    "wants html": Case(rpc("ping"), of_2026("ping").headers | {"accept": "text/html"}),
}


async def verdict(client: httpx2.AsyncClient, url: str, case: Case) -> Verdict:
    headers = {"accept": "application/json, text/event-stream"} | case.headers
    if case.session:
        headers |= await open_session(client, url)
    content = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    if case.method in {"POST", "PUT"}:
        headers = JSON_TYPE | headers
        response = await client.request(case.method, url, content=content, headers=headers)
    else:
        response = await client.request(case.method, url, headers=headers)
    answer = response.content
    is_error = response.headers.get("content-type") == "application/json" and answer != b""
    error = json.loads(answer).get("error") if is_error else None
    return response.status_code, error and error["code"]


CASES = [
    pytest.param(case, id=f"{era} {name}")
    for era, cases in (("2025", LEGACY_CASES), ("2026", MODERN_CASES))
    for name, case in cases.items()
]


@pytest.mark.parametrize("case", CASES)
async def test_the_answer_is_the_sdk_s(case: Case) -> None:
    async with (
        oracle() as oracle_url,
        running(FakeUpstream("s")) as proxy,
        http_client(accept="application/json, text/event-stream") as client,
    ):
        theirs = await verdict(client, oracle_url, case)
        ours = await verdict(client, url_of(proxy, "s"), case)
        # Bodies without an envelope of JSON-RPC are the HTTP layer's own; only the status counts.
        if theirs[1] is None and theirs[0] >= 400:
            ours = (ours[0], None)
        if case.theirs is None:
            assert ours == theirs
        else:
            assert theirs == case.theirs
            assert ours != theirs


async def test_discovery_and_lists_have_the_members_the_sdk_s_have() -> None:
    async with (
        oracle() as oracle_url,
        running(FakeUpstream("s")) as proxy,
        http_client(accept="application/json, text/event-stream") as client,
    ):
        for method in ("server/discover", "tools/list"):
            body, headers = modern(method)
            results = [
                (await client.post(url, json=body, headers=headers)).json()["result"]
                for url in (oracle_url, url_of(proxy, "s"))
            ]
            assert set(results[1]) == set(results[0])
            assert set(results[1]["_meta"]) == set(results[0]["_meta"])
            if method == "server/discover":
                assert results[1]["supportedVersions"] == results[0]["supportedVersions"]
