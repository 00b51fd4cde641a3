"""The port: binding, both loopback addresses, and an orderly end."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import time
from contextlib import closing
from dataclasses import replace

import psutil
import pytest

from mcpmux_tui.model.errors import PortInUse, UsageError
from mcpmux_tui.proxy import Proxy
from tests.fixtures import accepting
from tests.proxy.fakes import (
    INITIALIZE,
    QUICK,
    TOKEN,
    FakeUpstream,
    Received,
    http_client,
    modern,
    open_session,
    rpc,
    running,
    until,
    url_of,
)
from tests.proxy.wire import connect, request

HELLO = json.dumps(INITIALIZE).encode()


def taken(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind((host, 0))
    sock.listen()
    return sock


def new_proxy() -> Proxy:
    return Proxy(token=TOKEN, changed=lambda: None)


def has_ipv6() -> bool:
    try:
        taken("::1").close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@pytest.mark.behaviour("B11", "X5")
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
async def test_a_port_taken_on_either_address_is_named_with_its_owner(host: str) -> None:
    with closing(taken(host)) as sock:
        port = sock.getsockname()[1]
        proxy = new_proxy()
        with pytest.raises(PortInUse) as caught:
            await proxy.start(port)
        assert f"Port {port} is in use by pid {os.getpid()} (" in caught.value.message
        assert (proxy.port, proxy.url) == (None, None)
    # The same proxy may try again, and nothing of the failed try is left bound.
    await proxy.start(port)
    assert proxy.port == port
    await proxy.stop()


async def test_a_port_that_may_not_be_had_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)
    with pytest.raises(UsageError, match="Port 80 cannot be used: Permission denied"):
        await new_proxy().start(80)


@needs_ipv6
@pytest.mark.behaviour("B4", "B11")
async def test_both_loopback_addresses_are_served_and_nothing_else() -> None:
    async with running() as proxy:
        assert proxy.url == f"http://127.0.0.1:{proxy.port}/mcp"
        for host in ("127.0.0.1", "::1"):
            async with connect(proxy.port, host) as wire:
                await wire.send(request(proxy.port, HELLO))
                assert (await wire.answer()).status == 200
        with pytest.raises(ConnectionRefusedError):
            async with connect(proxy.port, "127.0.0.2"):
                pass


async def test_a_restart_gets_the_same_port_at_once() -> None:
    proxy = new_proxy()
    await proxy.start(0)
    port = proxy.port
    assert port
    for _ in range(3):
        async with connect(port) as wire:
            await wire.send(request(port, HELLO))
            assert (await wire.answer()).status == 200
            # This end closes first, so the old connection lingers in the kernel.
            await proxy.stop()
            await proxy.start(port)
        assert proxy.clients == 0
    await proxy.stop()
    await proxy.stop()


async def test_signals_stay_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with running():
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        assert during == before


async def test_the_sockets_are_not_inherited() -> None:
    async with running() as proxy:
        assert proxy.port is not None
        child = await asyncio.create_subprocess_exec(
            "sleep", "30", close_fds=False, stdin=asyncio.subprocess.DEVNULL
        )
        port = proxy.port
        await proxy.stop()
        try:
            again = new_proxy()
            await again.start(port)
            await again.stop()
        finally:
            child.kill()
            await child.wait()


@pytest.mark.behaviour("X16")
async def test_stop_ends_streams_and_calls_in_time(caplog: pytest.LogCaptureFixture) -> None:
    async def never(_: Received) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    upstream = FakeUpstream("s", answer=never)
    async with running(upstream) as proxy, http_client() as client:
        url = url_of(proxy)
        session = await open_session(client, url)
        async with (
            connect(proxy.port) as get_stream,
            connect(proxy.port) as listening,
            connect(proxy.port) as silent,
            connect(proxy.port) as half,
        ):
            await get_stream.send(request(proxy.port, method="GET", headers=session))
            await get_stream.header()
            body, headers = modern("subscriptions/listen", {"notifications": {}})
            await listening.send(request(proxy.port, json.dumps(body).encode(), headers=headers))
            await listening.header()
            await half.send(b"POST /mcp HT")
            message = rpc("tools/call", {"name": "s__echo"})
            old_call = asyncio.create_task(client.post(url, json=message, headers=session))
            body, headers = modern("tools/call", {"name": "s__echo"})
            new_call = asyncio.create_task(client.post(url, json=body, headers=headers))
            await until(lambda: len(upstream.requests) == 2)
            began = time.monotonic()
            await proxy.stop()
            assert time.monotonic() - began < 2
            for call in (old_call, new_call):
                assert (await call).status_code == 503
            for wire in (get_stream, silent, half):
                await wire.closed()
            assert b'"resultType":"complete"' in await listening.closed()
        assert upstream.cancelled == 2
        assert proxy.clients == 0
    assert not caplog.records


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def big(_: Received) -> bytes:
        return b'{"x":"%b"}' % (b"x" * 30_000_000)

    upstream = FakeUpstream("s", answer=big)
    async with running(upstream) as proxy, connect(proxy.port) as wire:
        body, headers = modern("tools/call", {"name": "s__echo"})
        data = request(proxy.port, json.dumps(body).encode(), headers=headers)
        transport = wire.writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        await wire.send(data + data)
        await upstream.arrived.wait()
        async with http_client() as client:
            await open_session(client, url_of(proxy))
        # What it asked for besides is not even begun: its answer would have to be kept as well.
        assert len(upstream.requests) == 1
        began = time.monotonic()
        await proxy.stop()
        assert time.monotonic() - began < 2
    assert not caplog.records


async def test_calls_that_end_in_time_are_answered_while_it_stops() -> None:
    release = asyncio.Event()

    async def answer(_: Received) -> bytes:
        await release.wait()
        return b"{}"

    upstream = FakeUpstream("s", answer=answer)
    async with running(upstream) as proxy, http_client() as client:
        body, headers = modern("tools/call", {"name": "s__echo"})
        call = asyncio.create_task(client.post(url_of(proxy), json=body, headers=headers))
        await upstream.arrived.wait()
        asyncio.get_running_loop().call_later(0.2, release.set)
        await proxy.stop()
        assert (await call).status_code == 200


@pytest.mark.behaviour("X4")
async def test_a_client_that_stops_reading_holds_up_nobody_and_is_let_go() -> None:
    async def answer(request: Received) -> bytes:
        if b'"big"' in request.params:
            return b'{"content":[],"x":"%b"}' % (b"x" * 10_000_000)
        return b'{"content":[]}'

    limits = replace(QUICK, write_wait=0.3)
    call = json.dumps(rpc("tools/call", {"name": "s__echo", "arguments": {"text": "big"}}))
    async with (
        running(FakeUpstream("s", answer=answer), limits=limits) as proxy,
        http_client() as client,
        connect(proxy.port) as wire,
    ):
        session = await open_session(client, url_of(proxy))
        transport = wire.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        await wire.send(request(proxy.port, call.encode(), headers=session))
        small = rpc("tools/call", {"name": "s__echo"})
        response = await client.post(url_of(proxy), json=small, headers=session)
        assert response.json()["result"] == {"content": []}
        own = transport.get_extra_info("sockname")[1]

        def let_go() -> bool:
            kept = psutil.Process().net_connections("tcp")
            return not any(
                each.raddr[1:] == (own,) and each.status == psutil.CONN_ESTABLISHED for each in kept
            )

        await until(let_go)


async def test_a_client_that_comes_as_the_proxy_stops_is_let_go() -> None:
    async with running() as proxy:
        assert proxy.port is not None
        with accepting.client(("127.0.0.1", proxy.port)) as sock:
            await accepting.accepted()
            await proxy.stop()
            assert await asyncio.to_thread(sock.recv, 1) == b""
