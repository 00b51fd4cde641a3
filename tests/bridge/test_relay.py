"""The relay before servers that behave as servers may, and as they may not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mcpmux_tui.bridge import relay
from mcpmux_tui.bridge.http import Gates
from mcpmux_tui.bridge.relay import Relay
from mcpmux_tui.bridge.target import Fixed
from mcpmux_tui.model.lines import Line
from tests.bridge.scripted import CLOSE, Answer, Scripted, json_response, scripted, stream

INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
RESULT = (
    b'{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","serverInfo":{},'
    b'"capabilities":{"tools":{"listChanged":true}}}}'
)
OPENED = json_response(RESULT, b"Mcp-Session-Id: s1")
REFUSED = json_response(b"", status=b"405 No")
TAKEN = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


class Client:
    """What a client says to a relay, and what it hears."""

    def __init__(self, server: Scripted) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.relay = Relay(Fixed(server.url, {}), Gates(), self.heard.put_nowait)

    def say(self, message: bytes) -> None:
        self.relay.take(Line(message))

    def ask(self, method: str, id: object = 1, **params: object) -> None:
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        self.say(json.dumps(message, separators=(",", ":")).encode())

    async def hear(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.heard.get()

    async def open(self) -> None:
        self.ask("initialize", 0, protocolVersion="2025-11-25", capabilities={}, clientInfo={})
        assert await self.hear() == RESULT
        self.say(INITIALIZED)


@asynccontextmanager
async def client_of(answer: Answer) -> AsyncIterator[tuple[Client, Scripted]]:
    async with scripted(answer) as server:
        client = Client(server)
        yield client, server
        await client.relay.close()


def method_in(request: bytes) -> str:
    head, _, body = request.partition(b"\r\n\r\n")
    verb = head.partition(b" ")[0].decode()
    return str(json.loads(body).get("method")) if body else verb


async def test_a_request_waits_for_the_notifications_before_it() -> None:
    async def answer(request: bytes) -> list[bytes]:
        match method_in(request):
            case "initialize":
                return [OPENED]
            case "notifications/initialized":
                await asyncio.sleep(0.05)
                return [TAKEN]
            case "GET":
                return [REFUSED]
        return [json_response(b'{"jsonrpc":"2.0","id":1,"result":{}}')]

    async with client_of(answer) as (client, server):
        await client.open()
        client.ask("ping")
        assert await client.hear() == b'{"jsonrpc":"2.0","id":1,"result":{}}'
        asked = [method_in(each) for each in server.requests]
    assert asked.index("notifications/initialized") < asked.index("ping")
    assert b"mcp-session-id: s1\r\n" in server.requests[asked.index("ping")]
    assert b"mcp-protocol-version: 2025-11-25\r\n" in server.requests[asked.index("ping")]
    assert method_in(server.requests[-1]) == "DELETE"


async def test_a_forgotten_session_is_opened_again_with_all_that_was_wished_for() -> None:
    sessions = iter((b"s1", b"s2"))
    known = b""

    async def answer(request: bytes) -> list[bytes]:
        nonlocal known
        method = method_in(request)
        if method == "initialize":
            known = next(sessions)
            body = RESULT if known == b"s1" else RESULT.replace(b'"id":0', b'"id":"mcpmux-stdio"')
            return [json_response(body, b"mcp-session-id: " + known)]
        if method == "GET":
            return [REFUSED]
        if b"mcp-session-id: " + known + b"\r\n" not in request:
            return [json_response(b"{}", status=b"404 Gone")]
        if method.startswith("notifications/"):
            return [TAKEN]
        return [json_response(b'{"jsonrpc":"2.0","id":1,"result":{"of":"%b"}}' % known)]

    async with client_of(answer) as (client, server):
        await client.open()
        client.ask("logging/setLevel", level="error")
        await client.hear()
        for uri in ("x://1", "x://2"):
            client.ask("resources/subscribe", uri=uri)
            await client.hear()
        client.ask("resources/unsubscribe", uri="x://1")
        await client.hear()
        known = b"another"
        before = len(server.requests)
        client.ask("tools/call", name="t")
        assert b"tools/list_changed" in await client.hear()
        assert b'"of":"s2"' in await client.hear()
        again = server.requests[before:]
    assert [method_in(each) for each in again if method_in(each) not in {"GET", "DELETE"}] == [
        "tools/call",
        "initialize",
        "notifications/initialized",
        "logging/setLevel",
        "resources/subscribe",
        "tools/call",
    ]
    assert sum(b"x://2" in each for each in again) == 1


async def test_a_call_is_sent_once_and_a_list_again_where_the_connection_breaks() -> None:
    async def answer(request: bytes) -> list[bytes]:
        broken = sum(method_in(each) == method_in(request) for each in server.requests) == 1
        return [CLOSE] if broken else [json_response(b'{"jsonrpc":"2.0","id":2,"result":{}}')]

    async with client_of(answer) as (client, server):
        client.ask("tools/call", name="t")
        assert b"may have been carried out" in await client.hear()
        client.ask("tools/list", 2)
        assert b'"result"' in await client.hear()
    assert [method_in(each) for each in server.requests].count("tools/call") == 1


async def test_a_stream_that_breaks_is_resumed_where_it_stopped() -> None:
    async def answer(request: bytes) -> list[bytes]:
        match method_in(request):
            case "initialize":
                return [OPENED]
            case "notifications/initialized":
                return [TAKEN]
            case "GET" if b"last-event-id: 7\r\n" in request:
                answer = b'id: 8\ndata: {"jsonrpc":"2.0",\ndata: "id":1,"result":{}}\n\n'
                return [stream(answer)]
            case "GET":
                return [REFUSED]
        return [stream(b'id: 7\ndata: {"jsonrpc":"2.0","method":"n"}\n\n')]

    async with client_of(answer) as (client, _):
        await client.open()
        client.ask("tools/call", name="t")
        assert await client.hear() == b'{"jsonrpc":"2.0","method":"n"}'
        assert await client.hear() == b'{"jsonrpc":"2.0", "id":1,"result":{}}'


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (json_response(b"<html>", status=b"502 Bad"), b"answered HTTP 502 and no message"),
        (json_response(b"", status=b"202 Fine"), b"answered HTTP 202 and no message"),
        (json_response(b"{}", status=b"401 Who"), b"wants credentials (HTTP 401)"),
        (
            json_response(
                b'{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"m"}}',
                status=b"400 Bad",
            ),
            b'{"jsonrpc":"2.0","id":"k","error":{"code": -32020, "message": "m"}}',
        ),
        (
            json_response(b'{"jsonrpc":"2.0",\r\n"id":"k","result":{}}'),
            b'{"jsonrpc":"2.0",  "id":"k","result":{}}',
        ),
    ],
)
async def test_every_request_has_an_answer_of_one_line(response: bytes, said: bytes) -> None:
    async def answer(_: bytes) -> list[bytes]:
        return [response]

    async with client_of(answer) as (client, _):
        client.ask("tools/call", "k", name="t")
        heard = await client.hear()
    assert said in heard
    assert b"\n" not in heard
    assert json.loads(heard)["id"] == "k"


async def test_a_web_page_is_no_answer_to_initialize() -> None:
    async def answer(_: bytes) -> list[bytes]:
        return [json_response(b"<html>").replace(b"application/json", b"text/html")]

    async with client_of(answer) as (client, _):
        client.ask("initialize", "k", protocolVersion="2025-11-25", capabilities={}, clientInfo={})
        heard = json.loads(await client.hear())
    assert heard["id"] == "k"
    assert heard["error"]["message"].endswith("answered HTTP 200 and no message.")


async def test_a_cancelled_request_of_2026_ends_its_connection_and_has_no_answer() -> None:
    async def answer(request: bytes) -> list[bytes]:
        if method_in(request) == "tools/call":
            await asyncio.Event().wait()
        return [json_response(b'{"jsonrpc":"2.0","id":2,"result":{}}')]

    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    async with client_of(answer) as (client, server):
        client.ask("tools/call", name="t\u00e9", _meta=meta)
        await server.asked.wait()
        client.say(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
        await client.relay.finished()
        client.ask("tools/list", 2, _meta=meta)
        assert json.loads(await client.hear())["id"] == 2
    assert len(server.requests) == 2
    head = server.requests[0]
    assert b"mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\n" in head
    assert b"mcp-name: =?base64?dMOp?=\r\n" in head


async def test_a_subscription_is_taken_up_again_where_its_stream_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "FIRST_WAIT", 0.01)
    meta = b'"_meta":{"io.modelcontextprotocol/subscriptionId":"l"}'
    acknowledged = (
        b'{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":'
        b'{"notifications":{"toolsListChanged":true},' + meta + b"}}"
    )

    async def answer(_: bytes) -> list[bytes]:
        if len(server.requests) > 2:
            await asyncio.Event().wait()
        return [stream(b"data: " + acknowledged + b"\n\n").removesuffix(b"0\r\n\r\n"), CLOSE]

    async with client_of(answer) as (client, server):
        version = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
        client.ask("subscriptions/listen", "l", _meta=version, notifications={})
        assert await client.hear() == acknowledged
        told = json.loads(await client.hear())
    assert told["method"] == "notifications/tools/list_changed"
    assert told["params"] == {"_meta": {"io.modelcontextprotocol/subscriptionId": "l"}}
