from __future__ import annotations

import asyncio

import pytest

from mcpmux_tui.bridge import http
from mcpmux_tui.bridge.http import Address, Gates, Pool
from mcpmux_tui.bridge.trouble import Lost, NotSent
from mcpmux_tui.http1 import Broken
from tests.bridge.scripted import CLOSE, Scripted, json_response, scripted, stream

BODY = b'{"a":"' + b"x" * 50 + b'"}'
RESPONSES = {
    "length": json_response(BODY),
    "chunks": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    b"\r\n3;x=1\r\n" + BODY[:3] + b"\r\n" + b"%X\r\n" % (len(BODY) - 3) + BODY[3:]
    + b"\r\n0\r\nTrailer: 1\r\n\r\n",
    "after 100": b"HTTP/1.1 100 Continue\r\n\r\n" + json_response(BODY),
}  # fmt: skip


def pool(server: Scripted, headers: bytes = b"") -> Pool:
    return Pool(Address("127.0.0.1", server.port, "/mcp", headers=headers), Gates())


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("kind", RESPONSES)
async def test_a_body_comes_whole_however_it_is_cut_and_its_connection_is_used_again(
    kind: str, size: int
) -> None:
    data = RESPONSES[kind]

    async def answer(_: bytes) -> list[bytes]:
        return [data[at : at + size] for at in range(0, len(data), size)]

    async with scripted(answer) as server:
        connections = pool(server, b"x-own: 1\r\n")
        for _ in range(3):
            response = await connections.post(b"mcp-session-id: s\r\n", b"{}")
            assert (response.status, response.body) == (200, BODY)
        connections.close()
    assert server.connections == 1
    assert b"x-own: 1\r\n" in server.requests[0]
    assert b"mcp-session-id: s\r\n" in server.requests[0]
    assert server.requests[0].endswith(b"content-length: 2\r\nmcp-session-id: s\r\n\r\n{}")


async def test_a_body_without_a_length_goes_to_the_connections_end() -> None:
    async def answer(_: bytes) -> list[bytes]:
        return [b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", BODY, CLOSE]

    async with scripted(answer) as server:
        assert (await pool(server).post(b"", b"{}")).body == BODY


@pytest.mark.parametrize(
    "said",
    [
        [CLOSE],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", CLOSE],
        [b"SSH-2.0-x\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnope\r\n"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n"],
        [b"x" * 70_000],
    ],
)
async def test_an_answer_that_breaks_or_is_no_http_is_lost(said: list[bytes]) -> None:
    async def answer(_: bytes) -> list[bytes]:
        return said

    async with scripted(answer) as server:
        with pytest.raises(Lost):
            await pool(server).post(b"", b"{}")


async def test_where_nobody_listens_nothing_was_sent() -> None:
    async def answer(_: bytes) -> list[bytes]:
        return []

    async with scripted(answer) as server:
        pass
    with pytest.raises(NotSent, match=r"/mcp cannot be reached: connection refused\.$"):
        await pool(server).post(b"", b"{}")


async def test_a_connection_idle_for_long_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_: bytes) -> list[bytes]:
        return [json_response(b"{}")]

    monkeypatch.setattr(http, "FRESH", -1.0)
    async with scripted(answer) as server:
        connections = pool(server)
        for _ in range(2):
            await connections.post(b"", b"{}")
        connections.close()
    assert server.connections == 2


async def test_a_stream_is_read_as_it_comes_and_leaving_it_ends_the_connection() -> None:
    async def answer(request: bytes) -> list[bytes]:
        if b"first" in request:
            return [stream(b"data: 1\n\n", b"data: 2\n\n")]
        return [stream(b"data: 1\n\n").removesuffix(b"0\r\n\r\n")]

    async with scripted(answer) as server:
        connections = pool(server)
        response = await connections.post(b"", b"first")
        said = b""
        while data := await response.read():
            said += data
        assert said == b"data: 1\n\ndata: 2\n\n"
        endless = await connections.post(b"", b"second")
        assert server.connections == 1
        assert await endless.read() == b"data: 1\n\n"
        endless.close()
        with pytest.raises(Broken):
            await endless.read()
        await connections.post(b"", b"first")
        assert server.connections == 2
        connections.close()


async def test_a_request_that_is_given_up_takes_its_connection_along() -> None:
    async def answer(_: bytes) -> list[bytes]:
        await asyncio.Event().wait()
        return []

    async with scripted(answer) as server:
        connections = pool(server)
        asking = asyncio.create_task(connections.post(b"", b"{}"))
        await server.asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connections.post(b"", b"{}")
        connections.close()
    assert server.connections == 2


async def test_many_at_once_get_each_its_own_answer() -> None:
    async def answer(request: bytes) -> list[bytes]:
        return [json_response(request.partition(b"\r\n\r\n")[2])]

    async with scripted(answer) as server:
        connections = pool(server)

        async def ask(number: int) -> None:
            for turn in range(20):
                body = b"[%d,%d]" % (number, turn)
                assert (await connections.post(b"", body)).body == body

        async with asyncio.timeout(10):
            await asyncio.gather(*map(ask, range(8)))
        connections.close()
    assert server.connections <= 8
