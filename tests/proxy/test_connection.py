"""Where a request begins and ends, whoever splits, mixes or breaks it (RFC 9112)."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import weakref
from dataclasses import replace

import pytest

from mcpmux_tui.proxy.connection import Connection
from mcpmux_tui.proxy.http import ClientGone, Exchange, Head
from mcpmux_tui.proxy.limits import DEFAULTS
from tests.fixtures.clock import settled
from tests.proxy.fakes import (
    INITIALIZE,
    FakeUpstream,
    http_client,
    modern,
    open_session,
    rpc,
    running,
    until,
    url_of,
)
from tests.proxy.line import echo, line, unsent
from tests.proxy.wire import Wire, connect, request

HELLO = json.dumps(INITIALIZE).encode()
CHUNKED = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
AGAIN = b"GET /again HTTP/1.1\r\n\r\n"
WAITING = b"POST /a HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n"


def length(value: bytes) -> bytes:
    return b"POST /a HTTP/1.1\r\nContent-Length: " + value + b"\r\n\r\nab"


def coding(value: bytes) -> bytes:
    return b"POST /a HTTP/1.1\r\nTransfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n"


def header(value: bytes) -> bytes:
    return b"GET /a HTTP/1.1\r\n" + value + b"\r\n\r\n"


async def asked(wire: Wire) -> tuple[str, str, dict[str, str], str]:
    """What a server that echoes was asked."""
    answer = await wire.answer()
    assert answer.status == 200
    method, target, headers, body = json.loads(answer.body)
    return method, target, headers, body


AMBIGUOUS = {
    "two lengths": length(b"2\r\nContent-Length: 2"),
    "two other lengths": length(b"2\r\nContent-Length: 3"),
    "a list of lengths": length(b"2, 2"),
    "a signed length": length(b"+2"),
    "a negative length": length(b"-2"),
    "a length in hex": length(b"0x2"),
    "no length": length(b""),
    "a length in two parts": length(b"1 2"),
    "a length beyond 64 bits": length(b"18446744073709551618"),
    "a length in other digits": length("\u0662".encode()),
    "length and chunks": length(b"5\r\nTransfer-Encoding: chunked"),
    "chunks and length": coding(b"chunked\r\nContent-Length: 5"),
    "chunks twice": coding(b"chunked\r\nTransfer-Encoding: chunked"),
    "chunks not last": coding(b"chunked, gzip"),
    "chunks undone": coding(b"chunked\r\nTransfer-Encoding: identity"),
    "nearly chunks": coding(b"xchunked"),
    "quoted chunks": coding(b'"chunked"'),
    "chunks behind a control": coding(b"\x0bchunked"),
    "folded chunks": coding(b"\r\n chunked"),
    "a chunk of a negative size": CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    "a chunk size with a space": CHUNKED + b"1 \r\na\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"10000000000000001\r\na\r\n0\r\n\r\n",
    "a chunk size ended by LF": CHUNKED + b"1\na\r\n0\r\n\r\n",
    "LF in a chunk extension": CHUNKED + b"1;a\nb\r\na\r\n0\r\n\r\n",
    "a chunk ended by LF": CHUNKED + b"1\r\na\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
    "a length as trailer": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "chunks as trailer": CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "LF for CRLF": b"GET /a HTTP/1.1\nHost: h\n\n",
    "LF in a header": header(b"Host: h\nX: 1"),
    "CR in a header": header(b"X: a\rb"),
    "a folded header": header(b"X: a\r\n b"),
    "a folded first header": header(b" X: a"),
    "a space before the colon": header(b"Host : h"),
    "a tab before the colon": header(b"Host\t: h"),
    "a header without a name": header(b": h"),
    "a header without a colon": header(b"Host"),
    "NUL in a value": header(b"X: a\0b"),
    "NUL in a name": header(b"X\0: a"),
    "an escape in a value": header(b"X: \x1b[31m"),
    "another alphabet in a name": header(b"X\xff: a"),
    "NUL in a target": b"GET /a\0b HTTP/1.1\r\n\r\n",
    "another alphabet in a target": b"GET /a\xff HTTP/1.1\r\n\r\n",
    "a space in a target": b"GET /a b HTTP/1.1\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\n\r\n",
    "a port without end": b"GET http://h:99999/a HTTP/1.1\r\n\r\n",
    "a tunnel": b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": b"GET /a HTTP/1.2\r\n\r\n",
    "another method": b"FOO /a HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}  # fmt: skip


@pytest.mark.behaviour("B12")
@pytest.mark.parametrize("name", AMBIGUOUS)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "byte by byte"])
async def test_what_two_readers_could_read_otherwise_is_refused(name: str, whole: bool) -> None:
    data = AMBIGUOUS[name] + AGAIN
    async with line() as one:
        await one.feed(*([data] if whole else [bytes([byte]) for byte in data]))
        answer = await one.wire.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await one.wire.closed() == b""


@pytest.mark.parametrize(
    "data",
    [
        b"POST /a?b HTTP/1.1\r\nX:\r\nY: \t 1 \xe9 \r\nContent-Length: 0003 \r\n\r\nabc",
        b"\r\nPOST /a?b HTTP/1.1\r\nx:  \r\ny:1 \xe9\r\nTRANSFER-ENCODING: chunkeD\r\n\r\n"
        b'1;a="b\\"c"\r\na\r\n002\r\nbc\r\n0\r\nY: 2\r\nHost: evil\r\nX:\r\n\r\n',
    ],
    ids=["length", "chunks"],
)
async def test_a_request_is_the_same_wherever_it_is_split(data: bytes) -> None:
    async with line() as one:
        for at in range(1, len(data)):
            await one.feed(data[:at], data[at:])
            method, target, headers, body = await asked(one.wire)
            assert (method, target, body) == ("POST", "/a?b", "abc")
            assert headers.pop("transfer-encoding", "chunkeD") == "chunkeD"
            assert headers == {"x": "", "y": "1 \xe9"}


async def test_any_mixture_of_requests_comes_out_in_order() -> None:
    dice = random.Random(9112)  # noqa: S311
    for _ in range(60):
        data, expected = b"", []
        for number in range(dice.randint(1, 6)):
            body = dice.randbytes(dice.choice([0, 1, 50, 300, 70_000]))
            expected.append((f"/{number}", body.decode("latin-1")))
            first = b"POST /%d HTTP/1.1\r\n" % number
            if dice.random() < 0.5:
                data += b"%bContent-Length: %d\r\n\r\n%b" % (first, len(body), body)
                continue
            data += first + b"Transfer-Encoding: chunked\r\n\r\n"
            while body:
                size = dice.randint(1, len(body))
                data += b"%x\r\n%b\r\n" % (size, body[:size])
                body = body[size:]
            data += b"0\r\nX-Sum: 1\r\n\r\n"
        cuts = sorted({dice.randrange(1, len(data)) for _ in range(dice.choice([0, 1, 3, 30]))})
        async with line() as one:
            feeding = asyncio.create_task(
                one.feed(*(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)))
            )
            for target, body_text in expected:
                method, found, _, echoed = await asked(one.wire)
                assert (method, found, echoed) == ("POST", target, body_text)
            await feeding
            assert one.is_open()


@pytest.mark.behaviour("B3")
async def test_trailers_are_no_headers_of_this_request_or_the_next() -> None:
    trailer = b"Origin: https://evil.example\r\n"
    async with running() as proxy, connect(proxy.port) as wire:
        chunked = request(proxy.port, None, headers={"Transfer-Encoding": "chunked"})
        body = b"%x\r\n%b\r\n0\r\n" % (len(HELLO), HELLO)
        await wire.send(chunked + body + trailer + b"\r\n")
        assert (await wire.answer()).status == 200
        # As a header it has to be judged, though a header and a trailer looked just like this.
        await wire.send(chunked[:-2] + trailer + b"\r\n" + body + b"\r\n")
        assert (await wire.answer()).status == 403


@pytest.mark.behaviour("B9")
@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nX: ", CHUNKED + b"1\r\na\r\n0\r\nX: "])
async def test_neither_header_nor_trailer_is_collected_without_end(start: bytes) -> None:
    async with line() as one:
        await one.feed(start)
        for _ in range(100):
            await one.feed(b"x" * 1000)
        assert not one.is_open()
        assert (await one.wire.answer()).status == 431


async def test_a_body_in_many_small_chunks_is_taken() -> None:
    body = b"x" * 5000
    async with line(limits=replace(DEFAULTS, header_bytes=1000)) as one:
        await one.feed(CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in body))
        await one.feed(*[b"1\r\nx\r\n"] * 5000)
        await one.feed(b"0\r\n\r\n")
        assert (await asked(one.wire))[3] == "x" * 10_000


@pytest.mark.parametrize(
    "behind", [b"\0garbage", b"{}", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"x" * 100_000]
)
async def test_an_answer_that_is_owed_is_written_before_a_broken_connection_ends(
    behind: bytes,
) -> None:
    """As when a client counts characters, not bytes, for the length."""
    release = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        await release.wait()
        await echo(exchange)

    async with line(serve) as one:
        await one.feed(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nab" + behind, behind)
        release.set()
        answer = await one.wire.answer()
        assert (answer.status, json.loads(answer.body)[3]) == (200, "ab")
        assert answer.headers["connection"] == "close"
        assert await one.wire.closed() == b""


async def test_what_follows_the_last_request_is_left_unread() -> None:
    for behind in (AGAIN, b"\0garbage", b"\r\n"):
        async with line() as one:
            await one.feed(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n" + behind)
            assert (await asked(one.wire))[1] == "/a"
            assert await one.wire.closed() == b""


async def test_a_broken_body_is_refused_once() -> None:
    async def refusing(exchange: Exchange) -> None:
        exchange.reply(401)

    async with line() as one:
        await one.feed(CHUNKED + b"3\r\nabc\r\n", b"zz\r\n")
        assert (await one.wire.answer()).status == 400
        assert await one.wire.closed() == b""
    async with line(refusing) as one:
        await one.feed(CHUNKED + b"3\r\nabc\r\n", b"zz\r\n")
        assert (await one.wire.answer()).status == 401
        assert await one.wire.closed() == b""


@pytest.mark.behaviour("B9")
async def test_no_more_than_a_hundred_requests_wait_for_an_answer() -> None:
    release = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        await release.wait()
        exchange.reply(200)

    async with line(serve) as one:
        await one.feed(AGAIN * 101)
        release.set()
        for _ in range(101):
            answer = await one.wire.answer()
            assert (answer.status, answer.headers.get("connection")) == (200, None)
        release.clear()
        await one.feed(AGAIN * 10_000)
        release.set()
        assert (await one.wire.answer()).headers["connection"] == "close"
        assert await one.wire.closed() == b""


async def test_requests_behind_an_event_stream_wait_for_its_end() -> None:
    more = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        if exchange.head.target != b"/stream":
            await echo(exchange)
            return
        exchange.start_stream()
        await exchange.push(b"one")
        await more.wait()
        await exchange.push(b"two", last=True)

    async with line(serve) as one:
        await one.feed(b"POST /stream HTTP/1.1\r\nContent-Length: 2\r\n\r\nab" + AGAIN + AGAIN[:9])
        await one.wire.header()
        assert await one.wire.chunk() == b"one"
        more.set()
        assert await one.wire.chunk() == b"two"
        assert await one.wire.chunk() == b""
        assert (await asked(one.wire))[1] == "/again"
        await one.feed(AGAIN[9:])
        assert (await asked(one.wire))[1] == "/again"


async def refuse(exchange: Exchange) -> None:
    exchange.reply(401, b"no")


async def test_a_body_that_was_not_asked_for_ends_the_connection() -> None:
    """A client that waits for `100 Continue` may send its next request in place of the body."""
    served: list[bytes] = []

    async def refusing(exchange: Exchange) -> None:
        served.append(exchange.head.target)
        await refuse(exchange)

    async with line(refusing) as one:
        await one.feed(WAITING)
        answer = await one.wire.answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        await one.feed(b"abc" + AGAIN)
        assert await one.wire.closed() == b""
        assert served == [b"/a"]
    async with line() as one:
        await one.feed(WAITING)
        assert (await one.wire.header()).status == 100
        await one.feed(b"abc")
        assert (await asked(one.wire))[3] == "abc"
        await one.feed(WAITING + b"abc")  # already here: nobody has to ask
        assert (await asked(one.wire))[3] == "abc"
        assert one.is_open()
    async with line() as one:
        await one.feed(WAITING.replace(b"HTTP/1.1", b"HTTP/1.0"), b"abc")
        assert (await asked(one.wire))[3] == "abc"  # an older client knows no 1xx


async def test_a_refusal_reaches_a_client_that_still_sends() -> None:
    """To close a socket with unread bytes resets it, and the answer may be lost."""
    async with line(refuse) as one:
        size = 2**20
        await one.wire.send(
            b"POST /a HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
        )
        answer = await one.wire.answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        await one.wire.send(b"x" * (size - 1))
        assert one.is_open()
        await one.wire.send(b"x" + AGAIN)
        assert await one.wire.closed() == b""


async def test_a_list_in_two_headers_is_one_list() -> None:
    both = b"accept: application/json\r\nAccept: text/event-stream"
    heads: list[Head] = []

    async def serve(exchange: Exchange) -> None:
        heads.append(exchange.head)
        exchange.reply(200)

    async with line(serve) as one:
        await one.feed(header(both), header(b"Accept: text/html"))
        await one.wire.answer()
        await one.wire.answer()
        assert [(each.accepts_json, each.accepts_sse) for each in heads] == [
            (True, True), (False, False)
        ]  # fmt: skip


async def test_no_request_runs_for_a_client_that_is_gone() -> None:
    begun: list[bytes] = []
    release = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        begun.append(exchange.head.target)
        await release.wait()
        exchange.reply(200)

    async with line(serve) as one:
        await one.feed(header(b"X: 1") + AGAIN)
        one.wire.writer.transport.abort()
        await one.wire.writer.wait_closed()
        release.set()
        await settled()
        assert begun == [b"/a"]
        assert not one.is_open()


@pytest.mark.parametrize("act", ["body", "reply", "stream", "broken stream", "nothing"])
@pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
async def test_an_answer_on_its_way_reaches_a_client_that_sends_no_more(
    act: str, read: bool, caplog: pytest.LogCaptureFixture
) -> None:
    release, begun = asyncio.Event(), asyncio.Event()
    size = await unsent(30_000)

    async def serve(exchange: Exchange) -> None:
        if exchange.head.method == "GET":
            exchange.reply(200, b"x" * size)
            return
        begun.set()
        await release.wait()
        if act == "body":
            with pytest.raises(ClientGone):
                await exchange.body(10)
        elif act == "reply":
            exchange.reply(200, b"late")
        elif act.endswith("stream"):
            exchange.start_stream()
            await exchange.push(b"late", last=act == "stream")

    async with line(serve) as one:
        one.stop_reading()
        await one.feed(AGAIN + WAITING)
        await begun.wait()
        one.wire.writer.write_eof()
        await until(lambda: not one.is_open())
        if not read:
            release.set()
            await settled()
        one.read_on()
        assert len((await one.wire.answer()).body) == size
        assert await one.wire.closed() == b""
        release.set()
        await settled()
        assert not one.tasks
    assert not caplog.records


@pytest.mark.behaviour("B12", "X17")
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("how", ["raises", "is cancelled", "forgets"])
async def test_who_leaves_a_request_unanswered_costs_that_connection_alone(
    how: str, begun: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve(exchange: Exchange) -> None:
        if begun:
            exchange.start_stream()
            await exchange.push(b"one")
        if how == "raises":
            raise ZeroDivisionError
        if how == "is cancelled":
            await asyncio.Event().wait()

    async with line(serve) as one:
        await one.feed(AGAIN + AGAIN)
        for task in list(one.tasks):
            task.cancel()
        if begun:
            assert (await one.wire.closed()).endswith(b"\r\n\r\n3\r\none\r\n")
        else:
            answer = await one.wire.answer()
            assert (answer.status, answer.headers["connection"]) == (500, "close")
            assert await one.wire.closed() == b""
        assert not one.tasks
    assert ("ZeroDivisionError" in caplog.text) == (how == "raises")


STATES = {
    "answered": AGAIN,
    "in a header": AGAIN + AGAIN[:9],
    "in a body": b"POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nab",
    "pipelined": AGAIN * 9,
    "broken": b"\0",
    "broken behind a request": AGAIN + b"\0",
    "offered another protocol": header(b"Connection: Upgrade\r\nUpgrade: h2c"),
    "in a stream": b"GET /stream HTTP/1.1\r\n\r\n",
}


@pytest.mark.behaviour("X18")
@pytest.mark.parametrize("state", STATES)
async def test_a_connection_leaves_nothing_behind(state: str) -> None:
    async def serve(exchange: Exchange) -> None:
        if exchange.head.target != b"/stream":
            await echo(exchange)
            return
        gone = asyncio.Event()
        with exchange.when_gone(gone.set):
            exchange.start_stream()
            await gone.wait()

    gc.collect()
    gc.disable()
    try:
        before = objects()
        async with line(serve) as one:
            gone = weakref.ref(one.connection)
            await one.feed(STATES[state])
            one.wire.writer.close()
            await settled()
            assert not one.tasks
        del one
        await settled()
        assert gone() is None
        assert objects() == before
    finally:
        gc.enable()


@pytest.mark.behaviour("X18")
@pytest.mark.parametrize("era", ["2025", "2026", "refused", "broken"])
async def test_a_request_leaves_nothing_to_the_garbage_collector(era: str) -> None:
    upstream = FakeUpstream("s")
    async with running(upstream) as proxy:
        async with http_client() as client:
            session = await open_session(client, url_of(proxy))
        body, headers = modern("tools/call", {"name": "s__echo"})
        old = json.dumps(rpc("tools/call", {"name": "s__echo"})).encode()
        data = {
            "2025": request(proxy.port, old, headers=session),
            "2026": request(proxy.port, json.dumps(body).encode(), headers=headers),
            "refused": request(proxy.port, old, token="wrong"),
            "broken": request(proxy.port, b"{", headers=session),
        }[era]
        async with connect(proxy.port) as wire:
            await wire.send(data)
            await wire.answer()
            gc.collect()
            gc.disable()
            try:
                for _ in range(200):
                    await wire.send(data)
                    await wire.answer()
                upstream.requests.clear()
                assert gc.collect() < 100
            finally:
                gc.enable()


def objects() -> dict[type, int]:
    kinds: tuple[type, ...] = (Connection, Exchange, Head)
    everything = gc.get_objects()
    return {kind: sum(type(each) is kind for each in everything) for kind in kinds}


@pytest.mark.behaviour("X16")
@pytest.mark.parametrize("state", ["idle", "in a header", "in a body", "answering", "lingering"])
async def test_a_shutdown_waits_for_the_answer_under_way_alone(state: str) -> None:
    release = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        if state == "lingering":
            await refuse(exchange)
            return
        await release.wait()
        await echo(exchange)

    begun = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\na"
    data = {"idle": b"", "in a header": AGAIN[:9], "answering": AGAIN * 2}.get(state, begun)
    async with line(serve) as one:
        await one.feed(data)
        if state == "lingering":
            assert (await one.wire.answer()).status == 401
        one.connection.shutdown()
        release.set()
        if state in {"in a body", "answering"}:
            await one.feed(b"b")
            assert (await one.wire.answer()).headers["connection"] == "close"
        assert await one.wire.closed() == b""


@pytest.mark.behaviour("B9")
async def test_a_client_that_reads_no_more_counts_until_it_is_let_go() -> None:
    async def big(exchange: Exchange) -> None:
        exchange.reply(200, b"x" * size)

    peers: set[Connection] = set()
    limits = replace(DEFAULTS, connections=2)
    size = await unsent(30_000)
    async with line(big, limits=limits, peers=peers) as one:
        one.stop_reading()
        await one.feed(b"GET / HTTP/1.0\r\n\r\n")
        await until(lambda: not one.is_open())
        assert 0 < one.connection.transport.get_write_buffer_size() < 2**16
        async with line(limits=limits, peers=peers) as two, line(limits=limits, peers=peers):
            await settled()
            assert one.connection not in peers
            assert two.is_open()
