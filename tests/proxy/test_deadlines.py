"""How long a connection may keep the proxy waiting, in every state and order."""

from __future__ import annotations

import asyncio
import json
import os
import socket

import pytest

from mcpmux_tui.proxy.http import Exchange
from tests.fixtures.clock import Clock, settled
from tests.proxy.fakes import until
from tests.proxy.line import Line, echo, line, unsent

GET = b"GET /a HTTP/1.1\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
HOUR = 3600.0


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.taken(monkeypatch)


async def refuse(exchange: Exchange) -> None:
    exchange.reply(401)


class Held:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def serve(self, exchange: Exchange) -> None:
        await self.release.wait()
        await echo(exchange)


@pytest.mark.behaviour("B9")
@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (b"", 10),
        (b"\r\n\r\n", 10),
        (GET[:9], 10),
        (POST + b"ab", 30),
        (CHUNKED + b"3\r\nab", 30),
        (CHUNKED + b"0\r\nX: 1\r\n", 30),
        (GET, 120),
        (GET + b"\r\n\r\n", 120),
        (GET + GET[:9], 10),
        (GET + GET + POST, 30),
    ],
)
async def test_what_is_missing_has_a_deadline(data: bytes, seconds: float, clock: Clock) -> None:
    async with line() as one:
        await one.feed(data)
        await settled()
        await clock.after(seconds - 1)
        assert one.is_open()
        await clock.after(1.5)
        assert not one.is_open()
        assert one.connection not in one.peers


@pytest.mark.behaviour("B9")
async def test_each_stage_has_its_own_deadline_whichever_was_before(clock: Clock) -> None:
    async with line() as one:
        await one.feed(GET)
        for _ in range(3):
            await clock.after(9)
            await one.feed(GET[:5])
            await clock.after(9)
            await one.feed(GET[5:] + POST[:9])
            await clock.after(9)
            await one.feed(POST[9:])
            await clock.after(29)
            await one.feed(b"abc")
            await settled()
            await clock.after(119)
            assert one.is_open()
            await one.feed(GET + GET)
            await settled()
        await one.feed(GET[:5])
        await clock.after(10.5)
        assert not one.is_open()


@pytest.mark.behaviour("B9")
async def test_the_rest_of_a_refused_body_has_a_moment_however_late_the_last_deadline(
    clock: Clock,
) -> None:
    async with line(refuse) as one:
        await one.feed(GET)
        await settled()
        await clock.after(60)
        await one.feed(POST)
        await settled()
        await clock.after(1)
        await one.feed(b"abc" + POST)
        await settled()
        await clock.after(1)
        await one.feed(b"ab")
        assert one.is_open()
        await clock.after(1.5)
        assert not one.is_open()


async def test_an_answer_may_take_long(clock: Clock) -> None:
    held = Held()
    async with line(held.serve) as one:
        await one.feed(GET)
        await clock.after(HOUR)
        await one.feed(b"\r\n")
        await clock.after(HOUR)
        held.release.set()
        assert (await one.wire.answer()).status == 200
        await clock.after(119)
        assert one.is_open()
        await clock.after(1.5)
        assert not one.is_open()


async def test_what_was_not_read_meanwhile_is_not_late(clock: Clock) -> None:
    """What is pipelined is not read while a whole request waits."""
    held = Held()
    async with line(held.serve) as one:
        await one.feed(GET + GET + POST + b"ab")
        await clock.after(HOUR)
        await clock.after(25)
        held.release.set()
        for _ in range(2):
            await one.wire.answer()
        await clock.after(25)
        await one.feed(b"c")
        assert json.loads((await one.wire.answer()).body)[3] == "abc"
        held.release.clear()
        await one.feed(GET + GET + GET[:9])
        await clock.after(HOUR)
        await clock.after(5)
        held.release.set()
        await one.wire.answer()
        await settled()
        await clock.after(9)
        assert one.is_open()
        await clock.after(1.5)
        assert not one.is_open()


async def test_a_header_begun_behind_a_call_ends_in_time(clock: Clock) -> None:
    held = Held()
    async with line(held.serve) as one:
        await one.feed(GET, GET[:9])
        await clock.after(9)
        assert one.is_open()
        await one.feed(b"T")
        await clock.after(1.5)
        assert not one.is_open()


async def test_an_answer_before_a_broken_request_may_take_long(clock: Clock) -> None:
    held = Held()
    async with line(held.serve) as one:
        await one.feed(GET, GET[:9], b"\0")
        await clock.after(HOUR)
        held.release.set()
        assert (await one.wire.answer()).status == 200
        assert await one.wire.closed() == b""


async def test_a_request_sent_while_an_answer_was_read_slowly_may_take_long(clock: Clock) -> None:
    held = Held()

    async def serve(exchange: Exchange) -> None:
        if exchange.head.method == "POST":
            exchange.reply(200, b"x" * 5_000_000)
        else:
            await held.serve(exchange)

    async with line(serve) as one:
        one.stop_reading()
        await one.feed(POST + b"abc")
        await until(lambda: one.connection.stalled)
        await one.feed(GET)
        await clock.after(30)
        assert not one.tasks  # its answer would have to be kept as well
        one.read_on()
        assert len((await one.wire.answer()).body) == 5_000_000
        await clock.after(HOUR)
        held.release.set()
        assert (await one.wire.answer()).status == 200
        assert one.is_open()


async def big(exchange: Exchange) -> None:
    exchange.reply(200, b"x" * 5_000_000)


@pytest.mark.behaviour("X4")
async def test_a_client_has_a_minute_to_read_on(clock: Clock) -> None:
    async with line(big) as one:
        one.stop_reading()
        await one.feed(GET + GET)
        for _ in range(5):
            await clock.after(59)
            take(one)
            await settled()
            assert one.is_open()
            await clock.after(2)
        await clock.after(60)
        await clock.after(60)
        assert not one.is_open()
        assert one.connection not in one.peers


@pytest.mark.behaviour("X4", "B9")
@pytest.mark.parametrize("end", ["last request", "idle", "half closed", "shutdown", "broken"])
@pytest.mark.parametrize("reads", [True, False])
async def test_a_connection_that_is_closed_waits_a_minute_for_its_client(
    end: str, reads: bool, clock: Clock
) -> None:
    async def some(exchange: Exchange) -> None:
        exchange.reply(200, b"x" * size)

    size = await unsent(30_000)
    async with line(some) as one:
        one.stop_reading()
        await one.feed(GET.replace(b"1.1", b"1.0") if end == "last request" else GET)
        if end == "idle":
            await clock.after(121)
        elif end == "half closed":
            one.wire.writer.write_eof()
        elif end == "shutdown":
            one.connection.shutdown()
        elif end == "broken":
            await one.feed(b"\0")
        await until(lambda: not one.is_open())
        await clock.after(59)
        assert one.connection in one.peers
        assert one.connection.transport.get_write_buffer_size() > 0
        if reads:
            one.read_on()
            assert len((await one.wire.answer()).body) == size
        await clock.after(1.5)
        assert one.connection not in one.peers


async def test_a_closed_connection_is_let_go_though_it_was_read_for_a_while(clock: Clock) -> None:
    async with line(big) as one:
        one.connection.transport.set_write_buffer_limits(high=2**21, low=2**20)
        one.stop_reading()
        await one.feed(GET.replace(b"1.1", b"1.0"))
        await until(lambda: one.connection.stalled)
        while one.connection.stalled:
            take(one)
            await settled()
        assert one.connection.transport.get_write_buffer_size() > 0
        await clock.after(60)
        await clock.after(60)
        assert one.connection not in one.peers


def take(one: Line) -> None:
    """Read a little, as a slow client does."""
    sock = one.wire.writer.get_extra_info("socket")
    with socket.socket(fileno=os.dup(sock.fileno())) as other:
        assert other.recv(2**18)


async def test_an_answer_to_a_header_that_came_again_has_no_deadline(clock: Clock) -> None:
    held = Held()
    held.release.set()
    async with line(held.serve) as one:
        await one.feed(POST + b"abc")
        await one.wire.answer()
        held.release.clear()
        await clock.after(100)
        await one.feed(POST + b"def")
        await clock.after(HOUR)
        assert one.is_open()
        held.release.set()
        assert json.loads((await one.wire.answer()).body)[3] == "def"
        await clock.after(119)
        assert one.is_open()
        await clock.after(2)
        assert not one.is_open()
