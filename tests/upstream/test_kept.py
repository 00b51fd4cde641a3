"""Kept connections to servers on this machine."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from mcpmux_tui.upstream.kept import KeptTransport


@pytest.mark.parametrize(("idle", "connections"), [(3.0, 1), (4.9, 2)])
async def test_a_connection_that_its_server_may_be_about_to_close_is_not_used_again(
    idle: float, connections: int
) -> None:
    made = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.append(writer)
        while await reader.read(65536):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    transport = KeptTransport(connect=5)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with httpx2.AsyncClient(transport=transport) as client:
        assert (await client.get(url)).text == "ok"
        assert transport._connection is not None
        transport._connection.idle_since -= idle
        assert (await client.get(url)).text == "ok"
    assert len(made) == connections
    for writer in made:
        writer.close()
    server.close()
    await server.wait_closed()
