"""A header that comes again is not read again, and nothing else is taken for it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from mcpmux_tui.proxy.connection import Connection
from mcpmux_tui.proxy.http import Exchange
from mcpmux_tui.proxy.limits import DEFAULTS
from tests.fixtures.clock import settled
from tests.proxy.fakes import until
from tests.proxy.line import Line, echo, line, unsent
from tests.proxy.test_connection import asked, refuse

END = b"GET /end HTTP/1.1\r\nConnection: close\r\n\r\n"


def post(body: bytes, *, target: bytes = b"/a", more: bytes = b"", length: bytes = b"") -> bytes:
    said = length or b"%d" % len(body)
    return b"POST %b HTTP/1.1\r\nX: 1\r\nContent-Length: %b\r\n%b\r\n%b" % (
        target, said, more, body,
    )  # fmt: skip


BEFORE = post(b"abc").partition(b"3\r\n")[0]
READS = (
    post(b"abc"),
    post(b"xyz"),
    post(b"x" * 12_345),
    post(b""),
    post(b"a\r\n\r\nb"),
    post(b"abc", target=b"/b"),
    post(b"abc", more=b"Y: 2\r\n"),
    post(b"abc", length=b"0003"),
    post(b"abc", length=b"3 "),
    post(b"abc").replace(b"Content-Length", b"content-length"),
    post(b"abc").replace(b"X: 1", b"x:1"),
    post(b"abc") + post(b"def"),
    post(b"abc") + b"\r\n",
    b"\r\n" + post(b"abc"),
    post(b"abc") + post(b"abc")[:30] + b"\0" + post(b"abc")[30:],
    post(b"abc")[:-2],
    post(post(b"abc"))[: -len(post(b"abc"))],
    BEFORE + b"%d0" % len(BEFORE),
    b"POST /z HTTP/1.1\r\nZ: ",
    post(b"abc") + b"POST /z HTTP/1.1\r\nZ: ",
    b"\r\n" * 40,
    b"POST /a HTTP/1.1\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"16\r\n\r\nContent-Length: 3\r\n\r\n\r\n0\r\n\r\n",
    post(b"abc") + b"x",
    post(b"abc", length=b"2"),
    post(b"abc", length=b"+3"),
    post(b"abc", length=b"3x"),
    post(b"abc", length=b""),
    post(b"abc", length=b"\xb2"),
    post(b"abc", more=b"Content-Length: 3\r\n"),
    post(b"abc", more=b"Content-Length: 2\r\n"),
    post(b"3\r\nabc\r\n0\r\n\r\n", more=b"Transfer-Encoding: chunked\r\n"),
    post(b"abc", more=b"Connection: close\r\n"),
    post(b"abc", more=b"Expect: 100-continue\r\n"),
    post(b"abc").replace(b"HTTP/1.1", b"HTTP/1.0"),
    b"GET /a HTTP/1.1\r\nX: 1\r\n\r\n",
    b"POST /a HTTP/1.1\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
)


async def transcript(one: Line, reads: list[bytes]) -> bytes:
    """Everything that was answered."""
    for read in [*reads, END]:
        await one.feed(read)
        await settled()
    one.wire.writer.write_eof()
    return await one.wire.reader.read()


@pytest.mark.behaviour("B12")
async def test_whatever_comes_after_a_known_header_is_answered_as_if_none_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dice = random.Random(2119)  # noqa: S311
    limits = replace(DEFAULTS, header_bytes=150)
    for serve in (echo, refuse):
        for first in READS:
            for second in READS:
                reads = [first, second, dice.choice(READS), second, first]
                async with line(serve, limits=limits) as one, line(serve, limits=limits) as other:
                    monkeypatch.setattr(other.connection, "_get_to_know", lambda _: None)
                    assert await transcript(one, reads) == await transcript(other, reads), reads


async def test_a_known_header_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line() as one:
        for target in ("/a", "/b"):
            await one.feed(post(b"abc", target=target.encode()))
            assert (await asked(one.wire))[3] == "abc"
            with monkeypatch.context() as no_parser:
                no_parser.delattr(one.connection, "_parser")
                for body in (b"abc", b"", b"x" * 60_000):
                    await one.feed(post(body, target=target.encode()))
                    assert await asked(one.wire) == ("POST", target, {"x": "1"}, body.decode())


async def test_a_known_header_waits_for_an_earlier_answer() -> None:
    release = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await release.wait()
        await echo(exchange)

    async with line(slow) as one:
        release.set()
        await one.feed(post(b"abc"))
        await asked(one.wire)
        for behind in (post(b"ghi"), post(b"ghi", target=b"/b")):
            release.clear()
            await one.feed(post(b"def"))
            one.connection.data_received(behind)
            await settled()
            assert len(one.tasks) == 1
            release.set()
            assert (await asked(one.wire))[3] == "def"
            assert (await asked(one.wire))[3] == "ghi"
        await one.feed(post(b"jkl", target=b"/b"))
        assert (await asked(one.wire))[1] == "/b"


async def test_who_asked_last_with_a_known_header_is_not_the_one_to_make_room() -> None:
    peers: set[Connection] = set()
    limits = replace(DEFAULTS, connections=2)
    async with line(limits=limits, peers=peers) as one, line(limits=limits, peers=peers) as other:
        for each in (one, other, one):
            await each.feed(post(b"abc"))
            await asked(each.wire)
        async with line(limits=limits, peers=peers):
            await until(lambda: not (one.is_open() and other.is_open()))
            assert one.is_open()


async def test_a_known_header_waits_for_a_client_that_reads_no_answers() -> None:
    size = await unsent(2**20)

    async def serve(exchange: Exchange) -> None:
        if exchange.unread:
            await echo(exchange)
        else:
            exchange.reply(200, b"x" * size)

    async with line(serve) as one:
        await one.feed(post(b"abc"))
        await asked(one.wire)
        one.stop_reading()
        await one.feed(post(b""))
        await settled()
        assert one.connection.stalled
        one.connection.data_received(post(b"def"))
        await settled()
        assert not one.tasks and not one.connection.transport.is_reading()
        one.read_on()
        assert len((await one.wire.answer()).body) == size
        assert (await asked(one.wire))[3] == "def"
