"""Streams that broke off are taken up again with Last-Event-ID. Spec: 2025-11-25 transports."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.proxy.fakes import (
    INITIALIZE,
    QUICK,
    FakeUpstream,
    Received,
    http_client,
    open_session,
    rpc,
    running,
    tool,
    url_of,
)
from tests.proxy.wire import Wire, connect, request


class Event:
    """One server-sent event."""

    def __init__(self, chunk: bytes) -> None:
        fields = [line.partition(b":") for line in chunk.splitlines()]
        self.id = next((value.strip().decode() for key, _, value in fields if key == b"id"), "")
        data = next((value.strip() for key, _, value in fields if key == b"data"), b"")
        self.message: Any = json.loads(data) if data else None


async def event(wire: Wire) -> Event:
    """The next one that is no comment."""
    while chunk := await wire.chunk():
        if not chunk.startswith(b":"):
            return Event(chunk)
    raise EOFError


async def get(wire: Wire, port: int | None, session: dict[str, str], last: str = "") -> None:
    """Begin to read a stream."""
    more = {"accept": "text/event-stream"} | ({"last-event-id": last} if last else {})
    await wire.send(request(port, method="GET", headers=session | more))
    await wire.header()


class Slow:
    """A tool that reports its progress when told, and answers when told."""

    def __init__(self) -> None:
        self.ticks: asyncio.Queue[int | None] = asyncio.Queue()

    async def __call__(self, received: Received) -> bytes:
        assert received.client is not None
        while (tick := await self.ticks.get()) is not None:
            params = b'{"progressToken":7,"progress":%d}' % tick
            received.client.notified("notifications/progress", params)
        return b'{"content":[]}'


@pytest.mark.behaviour("X2")
async def test_an_answer_whose_client_dropped_the_connection_is_had_by_its_last_event() -> None:
    slow = Slow()
    call = json.dumps(rpc("tools/call", {"name": "s__echo"})).encode()
    async with running(FakeUpstream("s", answer=slow)) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        async with connect(proxy.port) as wire:
            await wire.send(request(proxy.port, call, headers=session))
            for tick in (1, 2):
                slow.ticks.put_nowait(tick)
            await wire.header()
            primed, first, second = [await event(wire) for _ in range(3)]
        assert primed.message is None
        assert first.message["params"]["progress"] == 1
        assert primed.id.partition("-")[0] == first.id.partition("-")[0]
        async with connect(proxy.port) as wire, connect(proxy.port) as stranger:
            await get(wire, proxy.port, session, first.id)
            again = await event(wire)
            assert (again.id, again.message) == (second.id, second.message)
            slow.ticks.put_nowait(3)
            assert (await event(wire)).message["params"]["progress"] == 3
            slow.ticks.put_nowait(None)
            answer = await event(wire)
            assert answer.message == {"jsonrpc": "2.0", "id": 1, "result": {"content": []}}
            with pytest.raises(EOFError):
                await event(wire)
            # Another client's events are none of its own: it gets a new, empty stream.
            other = await open_session(client, url_of(proxy))
            await get(stranger, proxy.port, other, first.id)
            assert (await event(stranger)).id.endswith("-0")
        async with connect(proxy.port) as wire:
            await get(wire, proxy.port, session, again.id)
            assert (await event(wire)).message["params"]["progress"] == 3


async def test_what_was_said_while_a_listening_client_was_away_is_told_when_it_is_back() -> None:
    server = FakeUpstream("s")
    async with running(server) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        async with connect(proxy.port) as wire:
            await get(wire, proxy.port, session)
            primed = await event(wire)
        server.tools += (tool("more"),)
        proxy.lists_changed("s")
        async with connect(proxy.port) as wire:
            await get(wire, proxy.port, session, primed.id)
            told = await event(wire)
            assert told.message["method"] == "notifications/tools/list_changed"
            # A second reader of the same stream takes it over.
            async with connect(proxy.port) as later:
                await get(later, proxy.port, session, primed.id)
                assert (await event(later)).message == told.message
                with pytest.raises(EOFError):
                    await event(wire)


@pytest.mark.parametrize(
    ("seconds", "size", "kept"), [(300.0, 2**20, True), (0.0, 2**20, False), (300.0, 0, False)]
)
async def test_a_broken_stream_is_kept_for_a_time_and_up_to_a_size(
    seconds: float, size: int, kept: bool
) -> None:
    server = FakeUpstream("s")
    limits = replace(QUICK, resumable=seconds, resumable_bytes=size)
    async with running(server, limits=limits) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        async with connect(proxy.port) as wire:
            await get(wire, proxy.port, session)
            primed = await event(wire)
            server.tools += (tool("more"),)
            proxy.lists_changed("s")
            await event(wire)
        async with connect(proxy.port) as wire:
            await get(wire, proxy.port, session, primed.id)
            assert ((await event(wire)).message is not None) == kept


@pytest.mark.parametrize("last", ["x", "-1", "abc-1", "abc-x", "-", "\u00b2-1"])
async def test_an_event_that_nobody_knows_begins_a_new_stream(last: str) -> None:
    async with running() as proxy, http_client() as client, connect(proxy.port) as wire:
        session = await open_session(client, url_of(proxy))
        await get(wire, proxy.port, session, last)
        assert (await event(wire)).id.endswith("-0")


async def test_clients_of_older_revisions_get_no_event_without_data() -> None:
    old = json.loads(json.dumps(INITIALIZE).replace("2025-11-25", "2025-06-18"))
    async with running() as proxy, http_client() as client, connect(proxy.port) as wire:
        response = await client.post(url_of(proxy), json=old)
        session = {"mcp-session-id": response.headers["mcp-session-id"]}
        await get(wire, proxy.port, session)
        assert await wire.chunk() == b": open\n\n"
