"""The 2026 era: the checks of header against body, discovery, subscriptions."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ToolsListChanged

from mcpmux_tui.proxy.legacy import CAPABILITIES
from mcpmux_tui.proxy.modern import STATUS
from tests.proxy.fakes import (
    ENVELOPE,
    MODERN,
    QUICK,
    FakeUpstream,
    by_name,
    http_client,
    modern,
    rpc,
    running,
    tool,
    until,
    url_of,
)
from tests.proxy.wire import connect, request


def test_the_status_of_an_error_is_the_sdk_s() -> None:
    from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS

    assert dict(ERROR_CODE_HTTP_STATUS) == STATUS


async def test_discovery_names_versions_and_what_is_there() -> None:
    async with running() as proxy, http_client() as client:
        body, headers = modern("server/discover")
        response = await client.post(url_of(proxy), json=body, headers=headers)
        result = response.json()["result"]
        assert result["supportedVersions"] == [MODERN]
        assert result["capabilities"] == CAPABILITIES
        assert result["resultType"] == "complete"
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "mcpmux"
        assert "mcp-session-id" not in response.headers


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"mcp-method": "tools/call"}, -32020, 400),
        ({"mcp-method": None}, -32020, 400),
        ({"mcp-name": "s__other"}, -32020, 400),
        ({"mcp-name": None}, -32020, 400),
        ({"mcp-name": "=?base64?!!!?="}, -32020, 400),
        ({"mcp-protocol-version": "2027-01-01"}, -32020, 400),
        ({"mcp-protocol-version": "nonsense"}, -32020, 400),
    ],
)
async def test_a_header_that_contradicts_the_body_is_refused(
    changes: dict[str, str | None], code: int, status: int
) -> None:
    upstream = FakeUpstream("s")
    async with running(upstream) as proxy, http_client() as client:
        method = "tools/list" if changes.get("mcp-method") else "tools/call"
        body, headers = modern(method, {"name": "s__echo"})
        given = {name: value for name, value in (headers | changes).items() if value is not None}
        response = await client.post(url_of(proxy), json=body, headers=given)
        error = response.json()
        assert (response.status_code, error["error"]["code"]) == (status, code)
        assert error["id"] == 1
    assert not upstream.requests


@pytest.mark.parametrize("header", ["mcp-protocol-version", "mcp-method", "mcp-name"])
async def test_a_header_that_comes_twice_is_refused(header: str) -> None:
    body, headers = modern("tools/call", {"name": "s__echo"})
    async with running(FakeUpstream("s")) as proxy, connect(proxy.port) as wire:
        await wire.send(
            request(
                proxy.port,
                json.dumps(body).encode(),
                headers=headers,
                extra=f"{header}: {headers[header]}\r\n".encode(),
            )
        )
        answer = await wire.answer()
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        (None, -32602),
        ([], -32602),
        ({}, -32602),
        ({key: value for key, value in ENVELOPE.items() if "Capab" not in key}, -32602),
        ({key: value for key, value in ENVELOPE.items() if "Version" not in key}, -32602),
        ({**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": []}, -32602),
        ({**ENVELOPE, "io.modelcontextprotocol/clientInfo": "me"}, -32602),
        ({**ENVELOPE, "io.modelcontextprotocol/protocolVersion": 20260728}, -32020),
    ],
)
async def test_a_request_without_its_envelope_is_refused(meta: object, code: int) -> None:
    async with running() as proxy, http_client() as client:
        params = {} if meta is None else {"_meta": meta}
        headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
        response = await client.post(url_of(proxy), json=rpc("tools/list", params), headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (400, code)


async def test_a_version_nobody_speaks_is_answered_with_those_that_are() -> None:
    async with running() as proxy, http_client() as client:
        version = "2031-01-01"
        meta = {**ENVELOPE, "io.modelcontextprotocol/protocolVersion": version}
        body, headers = modern("tools/list", {"_meta": meta})
        headers["mcp-protocol-version"] = version
        response = await client.post(url_of(proxy), json=body, headers=headers)
        assert response.status_code == 400
        assert response.json()["error"]["code"] == -32022
        assert response.json()["error"]["data"] == {"supported": [MODERN], "requested": version}
        body = rpc("notifications/x", None, None)
        response = await client.post(url_of(proxy), json=body, headers=headers)
        assert response.status_code == 400


async def test_a_name_may_be_wrapped_in_base64() -> None:
    name = "liste-é"
    upstream = FakeUpstream("s", (tool(name),))
    async with running(upstream) as proxy, http_client() as client:
        body, headers = modern("tools/call", {"name": name})
        wrapped = base64.b64encode(name.encode()).decode()
        headers["mcp-name"] = f"=?base64?{wrapped}?="
        url = url_of(proxy, "s")
        assert (await client.post(url, json=body, headers=headers)).status_code == 200
        headers["mcp-name"] = "=?base64?" + wrapped.rstrip("=") + "?="
        assert (await client.post(url, json=body, headers=headers)).status_code == 400
    assert [received.name for received in upstream.requests] == [name]


async def test_methods_that_are_not_here() -> None:
    async with running() as proxy, http_client() as client:
        for method in ("initialize", "ping", "resources/subscribe", "logging/setLevel", "x"):
            body, headers = modern(method)
            response = await client.post(url_of(proxy), json=body, headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (404, -32601)
        for verb in ("GET", "DELETE"):
            response = await client.request(verb, url_of(proxy), headers=headers)
            assert (response.status_code, response.headers["allow"]) == (405, "POST")
        notification = rpc("notifications/cancelled", {"requestId": 1}, None)
        response = await client.post(url_of(proxy), json=notification, headers=headers)
        assert (response.status_code, response.content) == (202, b"")
        reply = {"jsonrpc": "2.0", "id": 1, "result": {}}
        response = await client.post(url_of(proxy), json=reply, headers=headers)
        assert response.status_code == 400


@pytest.mark.parametrize("server", ["", "s"])
async def test_the_sdk_client_hears_of_a_changed_list(server: str) -> None:
    upstream, other = FakeUpstream("s"), FakeUpstream("t")
    async with running(upstream, other) as proxy, http_client() as http:
        transport = streamable_http_client(url_of(proxy, server), http_client=http)
        async with (
            Client(transport, mode="auto") as client,
            client.listen(tools_list_changed=True) as events,
        ):
            for _ in range(2):
                upstream.tools += (tool(f"more{len(upstream.tools)}"),)
                proxy.lists_changed("a")
                async with asyncio.timeout(5):
                    assert await anext(events) == ToolsListChanged()
            listed = await client.list_tools()
            assert len(listed.tools) == (3 if server else 4)


async def test_a_subscription_is_acknowledged_tagged_and_ended_in_order() -> None:
    upstream = FakeUpstream("s")
    async with running(upstream) as proxy, connect(proxy.port) as wire:
        wanted = {"toolsListChanged": True, "somethingElse": True}
        body, headers = modern("subscriptions/listen", {"notifications": wanted}, "sub-1")
        await wire.send(request(proxy.port, json.dumps(body).encode(), headers=headers))
        assert (await wire.header()).headers["content-type"] == "text/event-stream"
        meta = {"io.modelcontextprotocol/subscriptionId": "sub-1"}
        assert json.loads(await wire.event()) == {
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": {"notifications": {"toolsListChanged": True}, "_meta": meta},
        }
        assert proxy.clients == 1
        upstream.tools = ()
        proxy.lists_changed("a")
        assert json.loads(await wire.event()) == {
            "jsonrpc": "2.0",
            "method": "notifications/tools/list_changed",
            "params": {"_meta": meta},
        }
        await proxy.stop()
        assert json.loads(await wire.event()) == {
            "jsonrpc": "2.0",
            "id": "sub-1",
            "result": {"resultType": "complete", "_meta": meta},
        }


async def test_a_subscription_ends_with_its_server() -> None:
    one, two = FakeUpstream("one"), FakeUpstream("two")
    async with running(one, two) as proxy, AsyncExitStack() as stack:
        body, headers = modern("subscriptions/listen", {"notifications": {}}, "sub-1")
        wires = {}
        for path in ("/mcp", "/mcp/one", "/mcp/two"):
            wires[path] = wire = await stack.enter_async_context(connect(proxy.port))
            await wire.send(
                request(proxy.port, json.dumps(body).encode(), path=path, headers=headers)
            )
            await wire.header()
            await wire.event()
        proxy.set_upstreams(by_name(one))
        assert json.loads(await wires["/mcp/two"].event())["id"] == "sub-1"
        assert await wires["/mcp/two"].chunk() == b""
        for path in ("/mcp", "/mcp/one"):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wires[path].chunk(), 0.1)


@pytest.mark.parametrize(
    ("params", "accept", "status"),
    [
        ({}, "*/*", 400),
        ({"notifications": []}, "*/*", 400),
        ({"notifications": {}}, "application/json", 406),
    ],
)
async def test_a_bad_subscription_is_refused(
    params: dict[str, object], accept: str, status: int
) -> None:
    async with running() as proxy, http_client(accept=accept) as client:
        body, headers = modern("subscriptions/listen", params)
        response = await client.post(url_of(proxy), json=body, headers=headers)
        assert response.status_code == status


async def test_what_was_not_asked_for_is_not_sent() -> None:
    upstream = FakeUpstream("s")
    limits = replace(QUICK, ping=0.1)
    async with running(upstream, limits=limits) as proxy, connect(proxy.port) as wire:
        body, headers = modern("subscriptions/listen", {"notifications": {}})
        await wire.send(request(proxy.port, json.dumps(body).encode(), headers=headers))
        await wire.header()
        assert json.loads(await wire.event())["params"]["notifications"] == {}
        upstream.tools = ()
        proxy.lists_changed("a")
        assert await wire.chunk() == b": ping\n\n"


async def test_a_client_counts_while_it_asks_and_not_for_ever() -> None:
    told: list[int] = []
    limits = replace(QUICK, client_memory=0.1)
    async with (
        running(limits=limits, changed=lambda: told.append(1)) as proxy,
        http_client() as client,
    ):
        for _ in range(3):
            body, headers = modern("tools/list")
            await client.post(url_of(proxy), json=body, headers=headers)
        assert proxy.clients == 1
        assert len(told) == 1
        await until(lambda: proxy.clients == 0)
