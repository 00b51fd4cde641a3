"""Listing and calling tools with real clients, and with bytes by hand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import mcp_types
import pytest
from mcp import MCPError
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from mcpmux_tui.model.errors import ConnectionLost, RequestTimeout, RpcError
from mcpmux_tui.model.server import Health
from mcpmux_tui.model.spec import ToolFilter
from mcpmux_tui.proxy.legacy import CAPABILITIES
from tests.proxy.fakes import (
    ENVELOPE,
    MODERN,
    FakeUpstream,
    Received,
    gone,
    http_client,
    modern,
    open_session,
    rpc,
    running,
    tool,
    url_of,
)
from tests.proxy.wire import ask, connect, request

HARD_RESULT = (
    b'{ "content":[{"type":"text","text":"\\ud83d"},{"type":"hologram","x":1.0}] ,'
    b'"_meta":{"a":1180591620717411303424},"unknown": [1e400, 1.10]}'
)


@asynccontextmanager
async def sdk_client(url: str, mode: str) -> AsyncIterator[Client]:
    async with (
        http_client() as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.mark.behaviour("B13")
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_sdk_client_lists_and_calls_across_servers(mode: str) -> None:
    files, clock = FakeUpstream("files"), FakeUpstream("clock", (tool("now"), tool("echo")))
    async with running(files, clock) as proxy, sdk_client(url_of(proxy), mode) as client:
        listed = await client.list_tools()
        assert [item.name for item in listed.tools] == ["files__echo", "clock__now", "clock__echo"]
        assert listed.tools[0].description == "does echo"
        result = await client.call_tool("clock__echo", {"n": 1})
        assert isinstance(result.content[0], mcp_types.TextContent)
        assert json.loads(result.content[0].text) == {"n": 1}
        assert [call.name for call in clock.requests] == ["echo"]
        assert not files.requests
        assert clock.calls == [("echo", True)]
        assert client.server_capabilities == mcp_types.ServerCapabilities.model_validate(
            CAPABILITIES
        )
        assert client.server_info is not None
        assert client.server_info.name == "mcpmux"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_one_server_has_its_own_endpoint_with_bare_names(mode: str, slash: str) -> None:
    upstream = FakeUpstream("my.files", (tool("read.file"),))
    async with (
        running(upstream, FakeUpstream("other")) as proxy,
        sdk_client(url_of(proxy, "my.files") + slash, mode) as client,
    ):
        assert [item.name for item in (await client.list_tools()).tools] == ["read.file"]
        await client.call_tool("read.file", {})
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("other__echo", {})


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_the_bytes_of_a_result_cross_unchanged(era: str) -> None:
    async def answer(_: Received) -> bytes:
        return HARD_RESULT

    async with running(FakeUpstream("s", answer=answer)) as proxy, http_client() as client:
        if era == "legacy":
            headers = await open_session(client, url_of(proxy))
            body = rpc("tools/call", {"name": "s__echo"})
            expected = HARD_RESULT
        else:
            body, headers = modern("tools/call", {"name": "s__echo"})
            expected = b'{"resultType":"complete",' + HARD_RESULT[2:]
        response = await client.post(url_of(proxy), json=body, headers=headers)
        assert response.content == b'{"jsonrpc":"2.0","id":1,"result":' + expected + b"}"


@pytest.mark.parametrize(
    "result",
    [
        b'{"resultType":"input_required","inputRequests":{}}',
        b'{"content":[],"resultType" : "complete"}',
    ],
)
async def test_a_result_type_that_is_there_is_left_alone(result: bytes) -> None:
    async def answer(_: Received) -> bytes:
        return result

    async with running(FakeUpstream("s", answer=answer)) as proxy, http_client() as client:
        body, headers = modern("tools/call", {"name": "s__echo"})
        response = await client.post(url_of(proxy), json=body, headers=headers)
        assert response.content.endswith(b'"result":' + result + b"}")


@pytest.mark.parametrize(
    ("result", "sent"),
    [
        (b"{}", b'{"resultType":"complete"}'),
        (b" { } ", b'{"resultType":"complete"} '),
        (
            b'{"content":[{"resultType":"x"}]}',
            b'{"resultType":"complete","content":[{"resultType":"x"}]}',
        ),
    ],
)
async def test_a_missing_result_type_is_added_for_the_newer_era(result: bytes, sent: bytes) -> None:
    async def answer(_: Received) -> bytes:
        return result

    async with running(FakeUpstream("s", answer=answer)) as proxy, http_client() as client:
        body, headers = modern("tools/call", {"name": "s__echo"})
        response = await client.post(url_of(proxy), json=body, headers=headers)
        assert response.content == b'{"jsonrpc":"2.0","id":1,"result":' + sent + b"}"


async def test_a_question_to_a_client_that_cannot_answer_becomes_an_error() -> None:
    async def answer(_: Received) -> bytes:
        return b'{"resultType":"input_required","inputRequests":{}}'

    upstream = FakeUpstream("s", answer=answer, protocol_version=MODERN)
    async with running(upstream) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        body = rpc("tools/call", {"name": "s__echo"})
        response = await client.post(url_of(proxy), json=body, headers=session)
        assert "input" in response.json()["error"]["message"]


async def test_arguments_cross_as_received_and_the_client_s_own_meta_ends_here() -> None:
    upstream = FakeUpstream("s")
    arguments = b'{ "big": 1180591620717411303424, "f":1.0, "e":1e400, "s":"\\ud83d" }'
    params = b'{"arguments":%b,"name":"s__echo","_meta":{"progressToken":7,"trace":[1.0]},"x":1}'

    async def answer(_: Received) -> bytes:
        return b"{}"

    upstream.answer = answer
    async with running(upstream) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + params % arguments
        await client.post(
            url_of(proxy),
            content=body + b"}",
            headers=session | {"content-type": "application/json"},
        )
        call, headers = modern("tools/call", {"name": "s__echo", "_meta": {"progressToken": 7}})
        await client.post(url_of(proxy), json=call, headers=headers)
    first, second = upstream.requests
    assert first.params == (
        b'{"arguments":%b,"name":"echo","_meta":{"progressToken":7,"trace":[1.0]},"x":1}'
        % arguments
    )
    assert json.loads(second.params) == {"name": "echo", "_meta": {"progressToken": 7}}


async def test_the_server_hears_what_the_caller_declared() -> None:
    upstream = FakeUpstream("s")
    async with running(upstream) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        old = rpc("tools/call", {"name": "s__echo"})
        await client.post(url_of(proxy), json=old, headers=session)
        new, headers = modern("tools/call", {"name": "s__echo"})
        await client.post(url_of(proxy), json=new, headers=headers)
    legacy, current = (request.caller for request in upstream.requests)
    assert json.loads(legacy.capabilities) == {"sampling": {}}
    assert json.loads(legacy.info or b"") == {"name": "test", "version": "1"}
    declared = ENVELOPE["io.modelcontextprotocol/clientCapabilities"]
    assert json.loads(current.capabilities) == declared
    assert json.loads(current.info or b"") == {"name": "test", "version": "1"}


@pytest.mark.behaviour("B14", "X15")
async def test_two_clients_of_both_eras_with_the_same_ids_get_their_own_answers() -> None:
    release = asyncio.Event()
    upstream = FakeUpstream("s")

    async def slow(request: Received) -> bytes:
        if len(upstream.requests) == 2 * 6:
            release.set()
        await release.wait()
        tag = json.loads(request.params)["arguments"]["tag"]
        return json.dumps({"tag": tag}).encode()

    upstream.answer = slow
    ids = ["5", '"5"', "1180591620717411303424", "-1", '"\\u00e9 \\" x"', "0"]
    async with running(upstream) as proxy, http_client() as client:
        url = url_of(proxy)
        session = await open_session(client, url)

        async def call(era: str, raw_id: str) -> tuple[bytes, bytes]:
            tag = f"{era} {raw_id}"
            params: dict[str, object] = {"name": "s__echo", "arguments": {"tag": tag}}
            if era == "new":
                message, headers = modern("tools/call", params)
            else:
                message, headers = rpc("tools/call", params), session
            body = json.dumps(message).replace('"id": 1', f'"id": {raw_id}').encode()
            response = await client.post(
                url, content=body, headers=headers | {"content-type": "application/json"}
            )
            extra = b'"resultType":"complete",' if era == "new" else b""
            expected = b'{"jsonrpc":"2.0","id":%b,"result":{%b%b}' % (
                raw_id.encode(),
                extra,
                json.dumps({"tag": tag}).encode()[1:],
            )
            return response.content, expected

        calls = [call(era, raw_id) for era in ("old", "new") for raw_id in ids]
        for got, expected in await asyncio.gather(*calls):
            assert got == expected


async def test_what_is_filtered_or_disabled_neither_lists_nor_calls() -> None:
    shop = FakeUpstream(
        "shop",
        (tool("get_item"), tool("drop_table"), tool("admin")),
        filter=ToolFilter(allow=("get_*", "drop_*"), deny=("drop_*",)),
    )
    off = FakeUpstream("off", enabled=False)
    async with running(shop, off) as proxy, http_client() as client:
        for server, names in {"": ["shop__get_item"], "shop": ["get_item"], "off": []}.items():
            url = url_of(proxy, server)
            session = await open_session(client, url)
            response = await client.post(url, json=rpc("tools/list"), headers=session)
            tools = response.json()["result"]["tools"]
            assert [item["name"] for item in tools] == names
        session = await open_session(client, url_of(proxy))
        for name in ("shop__drop_table", "shop__admin", "off__echo", "drop_table"):
            call = rpc("tools/call", {"name": name})
            response = await client.post(url_of(proxy), json=call, headers=session)
            assert response.json()["error"]["code"] == -32602
    assert not shop.requests
    assert not off.requests


async def test_definitions_are_listed_as_received_but_for_the_name() -> None:
    raw = (
        b'{ "inputSchema": {"type":"object","x":1.10}, "name":"echo", "big": 1e400, "s":"\\ud83d"}'
    )
    upstream = FakeUpstream("s", (type(tool("echo"))("echo", raw),))
    async with running(upstream) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        response = await client.post(url_of(proxy), json=rpc("tools/list"), headers=session)
        renamed = (
            b'{"inputSchema":{"type":"object","x":1.10},"name":"s__echo","big":1e400,"s":"\\ud83d"}'
        )
        assert renamed in response.content
        session = await open_session(client, url_of(proxy, "s"))
        response = await client.post(url_of(proxy, "s"), json=rpc("tools/list"), headers=session)
        assert raw in response.content


async def test_a_list_is_cacheable_only_while_no_server_is_on_its_way() -> None:
    late = FakeUpstream("late", (), state=Health.CONNECTING)
    async with running(FakeUpstream("s"), late) as proxy, http_client() as client:

        async def ttl() -> int:
            body, headers = modern("tools/list")
            response = await client.post(url_of(proxy), json=body, headers=headers)
            result = response.json()["result"]
            assert result["resultType"] == "complete"
            assert result["cacheScope"] == "private"
            return int(result["ttlMs"])

        assert await ttl() == 0
        late.state = Health.NEEDS_INPUT
        assert await ttl() > 0
        late.state = Health.RECONNECTING
        late.enabled = False
        assert await ttl() > 0


@pytest.mark.behaviour("B15", "X10")
@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (gone("s"), -32000),
        (ConnectionLost("s went away.", "Try again."), -32000),
        (RequestTimeout("s was silent for 300 s.", "Raise timeout."), -32001),
        (ConnectionLost("s answered HTTP 401.", "Sign in to s in mcpmux."), -32000),
    ],
)
async def test_trouble_with_a_server_is_an_error_with_what_to_do(
    era: str, error: ConnectionLost, code: int
) -> None:
    upstream = FakeUpstream("s")

    async def fail(_: Received) -> bytes:
        raise error

    if code == -32000:
        upstream.away = error
    else:
        upstream.answer = fail
    async with running(upstream) as proxy, http_client() as client:
        url = url_of(proxy)
        if era == "legacy":
            body, headers = rpc("tools/call", {"name": "s__echo"}), await open_session(client, url)
        else:
            body, headers = modern("tools/call", {"name": "s__echo"})
        response = await client.post(url, json=body, headers=headers)
        assert response.status_code == 200
        answer = response.json()
        assert answer["error"] == {"code": code, "message": str(error)}
        assert upstream.calls == [("echo", False)]


@pytest.mark.parametrize(
    ("code", "status"),
    [(-32602, 400), (-32601, 404), (-32021, 400), (-32603, 200), (1, 200)],
)
async def test_a_server_s_own_error_crosses_as_received(code: int, status: int) -> None:
    raw = b'{"code": %d, "message":"no","data":{"x":1.0,"y":[1e400]}, "more":1}' % code

    async def answer(_: Received) -> bytes:
        raise RpcError(raw, code, "no")

    async with running(FakeUpstream("s", answer=answer)) as proxy, http_client() as client:
        body, headers = modern("tools/call", {"name": "s__echo"})
        response = await client.post(url_of(proxy), json=body, headers=headers)
        assert response.status_code == status
        assert response.content == b'{"jsonrpc":"2.0","id":1,"error":' + raw + b"}"
        session = await open_session(client, url_of(proxy))
        body = rpc("tools/call", {"name": "s__echo"})
        response = await client.post(url_of(proxy), json=body, headers=session)
        assert response.status_code == 200
        assert response.content == b'{"jsonrpc":"2.0","id":1,"error":' + raw + b"}"


class Stuck:
    """An answer that never comes."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def __call__(self, _: Received) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError


@pytest.mark.behaviour("X1", "B14")
async def test_a_client_takes_back_its_own_call_and_nobody_else_s() -> None:
    stuck = Stuck()
    upstream = FakeUpstream("s", answer=stuck)
    async with running(upstream) as proxy, http_client() as client:
        url = url_of(proxy)
        mine, other = await open_session(client, url), await open_session(client, url)
        call = asyncio.create_task(
            client.post(url, json=rpc("tools/call", {"name": "s__echo"}, "a"), headers=mine)
        )
        await upstream.arrived.wait()
        cancel = rpc("notifications/cancelled", {"requestId": "a"}, None)
        assert (await client.post(url, json=cancel, headers=other)).status_code == 202
        assert not stuck.ended.is_set()
        assert (await client.post(url, json=cancel, headers=mine)).status_code == 202
        await asyncio.wait_for(stuck.ended.wait(), 5)
        assert (await call).json()["error"]["code"] == -32800
        pong = await client.post(url, json=rpc("ping"), headers=mine)
        assert pong.json()["result"] == {}


@pytest.mark.behaviour("X1", "X2")
async def test_going_away_ends_a_call_in_the_newer_era_only() -> None:
    stuck = Stuck()
    upstream = FakeUpstream("s", answer=stuck)
    async with running(upstream) as proxy:
        body, headers = modern("tools/call", {"name": "s__echo"})
        async with connect(proxy.port) as wire:
            await wire.send(request(proxy.port, json.dumps(body).encode(), headers=headers))
            await upstream.arrived.wait()
        await asyncio.wait_for(stuck.ended.wait(), 5)
        assert upstream.cancelled == 1

        upstream.arrived.clear()
        async with http_client() as client:
            session = await open_session(client, url_of(proxy))
            call = json.dumps(rpc("tools/call", {"name": "s__echo"})).encode()
            stuck.ended.clear()
            async with connect(proxy.port) as wire:
                await wire.send(request(proxy.port, call, headers=session))
                await upstream.arrived.wait()
            await client.post(url_of(proxy), json=rpc("ping"), headers=session)
            assert not stuck.ended.is_set()
            await client.delete(url_of(proxy), headers=session)
            await asyncio.wait_for(stuck.ended.wait(), 5)


async def test_a_call_that_ended_cannot_be_taken_back() -> None:
    async with running(FakeUpstream("s")) as proxy, http_client() as client:
        url = url_of(proxy)
        session = await open_session(client, url)
        for _ in range(3):
            call = rpc("tools/call", {"name": "s__echo", "arguments": {"a": 1}}, 9)
            response = await client.post(url, json=call, headers=session)
            assert "result" in response.json()
            cancel = rpc("notifications/cancelled", {"requestId": 9}, None)
            await client.post(url, json=cancel, headers=session)


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with running(FakeUpstream("s")) as proxy:
        posts = []
        for n in range(3):
            body, headers = modern("tools/list", None, n)
            posts.append(request(proxy.port, json.dumps(body).encode(), headers=headers))
        async with connect(proxy.port) as wire:
            await wire.send(b"".join(posts))
            answers = [json.loads((await wire.answer()).body)["id"] for _ in posts]
        assert answers == [0, 1, 2]


async def test_no_answer_waits_for_an_acknowledgement() -> None:
    """A header and a body sent apart cost 40 ms each time where Nagle's rule is in force."""
    async with running(FakeUpstream("s")) as proxy, connect(proxy.port) as wire:
        body, headers = modern("tools/list")
        data = request(proxy.port, json.dumps(body).encode(), headers=headers)
        times = []
        for _ in range(20):
            began = time.perf_counter()
            await wire.send(data)
            await wire.answer()
            times.append(time.perf_counter() - began)
        assert min(times[5:]) < 0.03


@pytest.mark.parametrize("arguments", [{}, {"big": "x" * 1_000_000}])
async def test_a_large_call_crosses_in_one_piece(arguments: dict[str, str]) -> None:
    async with running(FakeUpstream("s")) as proxy:
        body, headers = modern("tools/call", {"name": "s__echo", "arguments": arguments})
        answer = await ask(
            proxy.port, request(proxy.port, json.dumps(body).encode(), headers=headers)
        )
        text = json.loads(answer.body)["result"]["content"][0]["text"]
        assert json.loads(text) == arguments


@pytest.mark.parametrize(
    ("result", "sent"),
    [
        (b'{"content":[],"resultType":"complete"}', b'{"content":[]}'),
        (b'{"resultType":"complete","content":[]}', b'{"content":[]}'),
        (b'{"a":1,"resultType" : "complete","b":2}', b'{"a":1,"b":2}'),
        (b'{"resultType":"complete"}', b"{}"),
        # Those of members and in strings are the server's own.
        (
            b'{"a":{"b":1,"resultType":"complete"},"resultType":"complete"}',
            b'{"a":{"b":1,"resultType":"complete"}}',
        ),
        (
            b'{"resultType":"complete","a":",\\"resultType\\":\\"complete"}',
            b'{"a":",\\"resultType\\":\\"complete"}',
        ),
        (b'{"resultType":"other","a":1}', b'{"resultType":"other","a":1}'),
        # Two readers would disagree about it.
        (
            b'{"resultType":"other","a":1,"resultType":"complete"}',
            b'{"resultType":"other","a":1,"resultType":"complete"}',
        ),
    ],
)
async def test_the_result_type_of_the_newer_era_stays_here_for_older_clients(
    result: bytes, sent: bytes
) -> None:
    async def answer(_: Received) -> bytes:
        return result

    upstream = FakeUpstream("s", answer=answer, protocol_version="2026-07-28")
    async with running(upstream) as proxy, http_client() as client:
        headers = await open_session(client, url_of(proxy))
        body = rpc("tools/call", {"name": "s__echo"})
        response = await client.post(url_of(proxy), json=body, headers=headers)
        assert response.content == b'{"jsonrpc":"2.0","id":1,"result":' + sent + b"}"
