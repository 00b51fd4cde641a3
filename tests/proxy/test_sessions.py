"""The 2025 era: sessions, their limits, their streams."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from mcpmux_tui.proxy.legacy import CAPABILITIES
from tests.proxy.fakes import (
    INITIALIZE,
    QUICK,
    FakeUpstream,
    http_client,
    open_session,
    rpc,
    running,
    tool,
    until,
    url_of,
)
from tests.proxy.wire import connect, request


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ],
)
async def test_initialize_settles_the_version_and_advertises_what_is_there(
    asked: str, spoken: str
) -> None:
    async with running() as proxy, http_client() as client:
        params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "x"}}
        response = await client.post(url_of(proxy), json=rpc("initialize", params))
        result = response.json()["result"]
        assert result.pop("serverInfo")["name"] == "mcpmux"
        assert result == {
            "protocolVersion": spoken,
            "capabilities": CAPABILITIES,
        }
        assert len(response.headers["mcp-session-id"]) == 32


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        {"protocolVersion": 5, "capabilities": {}, "clientInfo": {}},
        {"protocolVersion": "2025-11-25", "clientInfo": {}},
        {"protocolVersion": "2025-11-25", "capabilities": [], "clientInfo": {}},
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": "x"},
    ],
)
@pytest.mark.behaviour("B10")
async def test_a_bad_initialize_opens_no_session(params: object) -> None:
    async with running() as proxy, http_client() as client:
        response = await client.post(url_of(proxy), json=rpc("initialize", params))
        assert response.json()["error"]["code"] == -32602
        assert "mcp-session-id" not in response.headers
        assert proxy.clients == 0


@pytest.mark.parametrize("method", ["tools/list", "tools/call", "ping", "notifications/x"])
async def test_nothing_but_initialize_works_without_a_session(method: str) -> None:
    async with running(FakeUpstream("s")) as proxy, http_client() as client:
        message = rpc(method, None, None if method.startswith("notif") else 1)
        assert (await client.post(url_of(proxy), json=message)).status_code == 400
        headers = {"mcp-session-id": "0" * 32}
        response = await client.post(url_of(proxy), json=message, headers=headers)
        assert response.status_code == 404
        assert (await client.get(url_of(proxy))).status_code == 400
        assert (await client.get(url_of(proxy), headers=headers)).status_code == 404
        assert (await client.delete(url_of(proxy), headers=headers)).status_code == 404


async def test_messages_of_a_session() -> None:
    async with running(FakeUpstream("s")) as proxy, http_client() as client:
        url = url_of(proxy)
        session = await open_session(client, url)

        async def post(message: dict[str, object]) -> tuple[int, object]:
            response = await client.post(url, json=message, headers=session)
            return response.status_code, response.json() if response.content else None

        assert await post(rpc("ping", None, "x")) == (
            200,
            {"jsonrpc": "2.0", "id": "x", "result": {}},
        )
        assert await post(rpc("notifications/whatever", {"a": 1}, None)) == (202, None)
        assert await post(rpc("notifications/cancelled", {"requestId": {}}, None)) == (202, None)
        assert await post({"jsonrpc": "2.0", "id": 1, "result": {}}) == (202, None)
        for method in ("tasks/list", "server/discover"):
            status, answer = await post(rpc(method))
            assert status == 200
            assert isinstance(answer, dict)
            assert answer["error"]["code"] == -32601
        for params in (None, {}, {"name": 5}, {"name": "s__echo", "_meta": 1}):
            status, answer = await post(rpc("tools/call", params))
            assert isinstance(answer, dict)
            assert (status, answer["error"]["code"]) == (200, -32602)
        _, answer = await post(rpc("tools/list", {"cursor": "x"}))
        assert isinstance(answer, dict)
        assert answer["error"]["code"] == -32602
        put = await client.put(url, json=rpc("ping"), headers=session)
        assert (put.status_code, put.headers["allow"]) == (405, "GET, POST, DELETE")


async def test_a_session_belongs_to_its_endpoint_and_ends_with_delete() -> None:
    async with running(FakeUpstream("s")) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        ping = rpc("ping")
        elsewhere = await client.post(url_of(proxy, "s"), json=ping, headers=session)
        assert elsewhere.status_code == 404
        assert proxy.clients == 1
        assert (await client.delete(url_of(proxy), headers=session)).status_code == 200
        assert proxy.clients == 0
        assert (await client.post(url_of(proxy), json=ping, headers=session)).status_code == 404


@pytest.mark.behaviour("X8")
async def test_a_client_with_a_session_from_before_gets_a_new_one() -> None:
    async with running() as proxy, http_client() as client:
        old = {"mcp-session-id": "f" * 32}
        assert (await client.post(url_of(proxy), json=rpc("ping"), headers=old)).status_code == 404
        response = await client.post(url_of(proxy), json=INITIALIZE, headers=old)
        assert response.headers["mcp-session-id"] != old["mcp-session-id"]


async def test_sessions_of_a_removed_server_end() -> None:
    upstream = FakeUpstream("s")
    async with running(upstream) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy, "s"))
        await open_session(client, url_of(proxy))
        proxy.set_upstreams({})
        assert proxy.clients == 1
        response = await client.post(url_of(proxy, "s"), json=rpc("ping"), headers=session)
        assert response.status_code == 404


@pytest.mark.behaviour("B10")
async def test_beyond_the_limit_the_longest_idle_session_is_let_go() -> None:
    async with running(FakeUpstream("s")) as proxy, http_client() as client:
        url = url_of(proxy)
        sessions = [await open_session(client, url) for _ in range(70)]
        assert proxy.clients == 64
        for session in sessions[:6]:
            response = await client.post(url, json=rpc("ping"), headers=session)
            assert response.status_code == 404
        assert (await client.post(url, json=rpc("ping"), headers=sessions[6])).status_code == 200
        await open_session(client, url)
        assert (await client.post(url, json=rpc("ping"), headers=sessions[6])).status_code == 200
        assert (await client.post(url, json=rpc("ping"), headers=sessions[7])).status_code == 404


@pytest.mark.behaviour("B10")
async def test_busy_sessions_are_never_let_go() -> None:
    release = asyncio.Event()

    async def wait(_: object) -> bytes:
        await release.wait()
        return b"{}"

    upstream = FakeUpstream("s", answer=wait)
    async with (
        running(upstream, limits=replace(QUICK, sessions=2)) as proxy,
        http_client() as client,
        connect(proxy.port) as stream,
    ):
        url = url_of(proxy)
        calling, listening = await open_session(client, url), await open_session(client, url)
        call = asyncio.create_task(
            client.post(url, json=rpc("tools/call", {"name": "s__echo"}), headers=calling)
        )
        await upstream.arrived.wait()
        await stream.send(request(proxy.port, method="GET", headers=listening))
        assert (await stream.header()).status == 200
        assert (await client.post(url, json=INITIALIZE)).status_code == 503
        release.set()
        assert (await call).status_code == 200
        await open_session(client, url)
        assert (await client.post(url, json=rpc("ping"), headers=calling)).status_code == 404
        assert (await client.post(url, json=rpc("ping"), headers=listening)).status_code == 200


async def test_an_idle_session_is_dropped() -> None:
    limits = replace(QUICK, session_idle=0.05)
    async with running(limits=limits) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        assert proxy.clients == 1
        await until(lambda: proxy.clients == 0)
        response = await client.post(url_of(proxy), json=rpc("ping"), headers=session)
        assert response.status_code == 404


async def test_a_stream_carries_list_changed_once_and_pings() -> None:
    upstream = FakeUpstream("s")
    async with (
        running(upstream, limits=replace(QUICK, ping=0.05)) as proxy,
        http_client() as client,
        connect(proxy.port) as older,
        connect(proxy.port) as newer,
    ):
        session = await open_session(client, url_of(proxy))
        for wire in (older, newer):
            await wire.send(request(proxy.port, method="GET", headers=session))
            head = await wire.header()
            assert head.headers["content-type"] == "text/event-stream"
            assert head.headers["cache-control"] == "no-cache, no-transform"
        upstream.tools += (tool("more"),)
        proxy.lists_changed("a")
        notice = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        assert json.loads(await newer.event()) == notice
        assert (await older.chunk()).endswith(b"-0\ndata:\n\n")
        assert await older.chunk() == b": ping\n\n"
        # The older one takes over when the newer one is gone.
        newer.writer.close()
        await newer.closed()
        # By the second ping the proxy has seen that it is.
        assert await older.chunk() == b": ping\n\n"
        assert await older.chunk() == b": ping\n\n"
        upstream.tools += (tool("again"),)
        proxy.lists_changed("a")
        assert json.loads(await older.event()) == notice


async def test_a_stream_must_be_wanted() -> None:
    async with running() as proxy, http_client(accept="application/json") as client:
        session = await open_session(client, url_of(proxy))
        assert (await client.get(url_of(proxy), headers=session)).status_code == 406


async def test_delete_ends_the_streams_of_the_session() -> None:
    async with running() as proxy, http_client() as client, connect(proxy.port) as wire:
        session = await open_session(client, url_of(proxy))
        await wire.send(request(proxy.port, method="GET", headers=session))
        await wire.header()
        await client.delete(url_of(proxy), headers=session)
        with pytest.raises(EOFError):
            await wire.event()
