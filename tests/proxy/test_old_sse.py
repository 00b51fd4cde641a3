"""The oldest transport, with the SDK's own client for it, and by hand."""

from __future__ import annotations

import asyncio
import json

import mcp_types
import pytest
from mcp import ClientSession
from mcp.client.sse import sse_client
from pydantic import FileUrl

from mcpmux_tui.model.spec import ProxySpec
from mcpmux_tui.proxy.router import Router
from tests.proxy.fakes import (
    AUTH,
    INITIALIZE,
    FakeUpstream,
    Received,
    http_client,
    rpc,
    running,
    until,
    url_of,
)
from tests.proxy.wire import Wire, connect, request

OLD = ProxySpec(sse=True)


@pytest.mark.parametrize("endpoint", ["/sse", "/sse/s"])
async def test_the_sdk_s_client_lists_calls_and_is_asked(endpoint: str) -> None:
    async def curious(received: Received) -> bytes:
        assert received.client is not None
        received.client.notified("notifications/message", b'{"level":"info","data":"hm"}')
        answer = await received.client.asked("roots/list", b"{}")
        return b'{"content":[{"type":"text","text":%b}]}' % json.dumps(answer.decode()).encode()

    logged: list[object] = []

    async def roots(context: object) -> mcp_types.ListRootsResult:
        return mcp_types.ListRootsResult(roots=[mcp_types.Root(uri=FileUrl("file:///home"))])

    async def log(params: mcp_types.LoggingMessageNotificationParams) -> None:
        logged.append(params.data)

    async with running(FakeUpstream("s", answer=curious), spec=OLD) as proxy:
        url = url_of(proxy).replace("/mcp", endpoint)
        async with (
            sse_client(url, headers=AUTH) as (reading, writing),
            ClientSession(
                reading, writing, list_roots_callback=roots, logging_callback=log
            ) as client,
        ):
            assert (await client.initialize()).server_info.name == "mcpmux"
            (tool,) = (await client.list_tools()).tools
            assert tool.name == ("echo" if endpoint == "/sse/s" else "s__echo")
            result = await client.call_tool(tool.name, {})
            assert isinstance(result, mcp_types.CallToolResult)
            (block,) = result.content
            assert isinstance(block, mcp_types.TextContent)
            assert json.loads(block.text)["roots"][0]["uri"] == "file:///home"
            assert logged == ["hm"]
            assert proxy.clients == 1
        await until(lambda: proxy.clients == 0)


async def opened(wire: Wire, port: int | None) -> str:
    """Open a stream; the address to post to."""
    await wire.send(request(port, method="GET", path="/sse"))
    assert (await wire.header()).status == 200
    return (await wire.event()).decode()


async def test_a_session_ends_with_its_stream_and_takes_its_calls_along() -> None:
    async def endless(received: Received) -> bytes:
        await asyncio.Event().wait()
        return b""

    server = FakeUpstream("s", answer=endless)
    async with running(server, spec=OLD) as proxy, http_client() as client:
        base = url_of(proxy).removesuffix("/mcp")
        async with connect(proxy.port) as wire:
            address = base + await opened(wire, proxy.port)
            early = await client.post(address, json=rpc("tools/list"))
            assert early.status_code == 202
            assert b"Initialize first" in await wire.event()
            assert (await client.post(address, json=INITIALIZE)).status_code == 202
            await wire.event()
            await client.post(address, json=rpc("tools/call", {"name": "s__echo"}))
            await server.arrived.wait()
        await until(lambda: server.cancelled)
        assert (await client.post(address, json=rpc("ping"))).status_code == 404
        assert (await client.delete(f"{base}/sse")).status_code == 405
        assert (await client.get(f"{base}/sse/unknown")).status_code == 404


@pytest.mark.behaviour("X17")
async def test_a_request_mcpmux_stumbles_over_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stumble(*_: object, **__: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Router, "forward", stumble)
    async with (
        running(FakeUpstream("s"), spec=OLD) as proxy,
        http_client() as client,
        connect(proxy.port) as wire,
    ):
        address = url_of(proxy).removesuffix("/mcp") + await opened(wire, proxy.port)
        await client.post(address, json=INITIALIZE)
        await wire.event()
        await client.post(address, json=rpc("tools/call", {"name": "s__echo"}))
        assert json.loads(await wire.event())["error"]["code"] == -32603


async def test_it_is_off_by_default_and_who_asks_for_it_is_named() -> None:
    async with running(FakeUpstream("s")) as proxy, http_client() as client:
        url = url_of(proxy).replace("/mcp", "/sse")
        for path in (url, f"{url}/s"):
            response = await client.get(path, headers={"user-agent": "old-ide/1.0"})
            assert response.status_code == 404
        (knock,) = proxy.knocks
        assert knock == (
            "old-ide/1.0 asked for the old SSE transport: `sse = true` in [proxy] offers it"
            " from the next start."
        )
        assert (await client.get(f"{url}s")).status_code == 404
