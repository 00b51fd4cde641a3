"""Hostile requests, byte by byte, against a proxy on a real port."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest

from mcpmux_tui.proxy.limits import DEFAULTS
from tests.fixtures.clock import Clock
from tests.proxy.fakes import (
    INITIALIZE,
    QUICK,
    TOKEN,
    FakeUpstream,
    http_client,
    modern,
    open_session,
    rpc,
    running,
    url_of,
)
from tests.proxy.wire import Answer, ask, connect, request

HELLO = json.dumps(INITIALIZE).encode()
COPIES = "`Copy entry` on the screen copies a client's entry with it."


def assert_refused(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert "mcp-session-id" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.behaviour("B1")
@pytest.mark.parametrize("path", ["/mcp", "/mcp/s", "/", "/.well-known/oauth-authorization-server",
                                  "/register", "/mcp/p/x", "/healthz/", "/nothing"])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PUT"])
async def test_every_path_wants_the_token(path: str, method: str) -> None:
    upstream = FakeUpstream("s")
    async with running(upstream) as proxy:
        for token in (None, "wrong", TOKEN[:-1], TOKEN + "x"):
            data = request(proxy.port, HELLO, method=method, path=path, token=token)
            answer = await ask(proxy.port, data)
            assert_refused(answer, 401)
            # A pointer to metadata would send clients into a sign-in that is not there.
            assert answer.headers["www-authenticate"] == "Bearer"
        assert proxy.clients == 0
    assert not upstream.requests


@pytest.mark.behaviour("B1", "B7")
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN} x"},
        {"Authorization": "Bearer "},
        {"X-Token": TOKEN},
        {"Cookie": f"token={TOKEN}"},
    ],
)
async def test_the_token_counts_only_where_it_belongs(headers: dict[str, str]) -> None:
    async with running() as proxy:
        data = request(proxy.port, HELLO, path=f"/mcp?token={TOKEN}", token=None, headers=headers)
        assert_refused(await ask(proxy.port, data), 401)


@pytest.mark.behaviour("B1")
async def test_two_tokens_are_refused_and_the_scheme_may_be_written_any_way() -> None:
    async with running() as proxy:
        good, bad = f"Bearer {TOKEN}", "Bearer wrong"
        for first, second in ((good, bad), (bad, good)):
            twice = request(
                proxy.port,
                HELLO,
                token=None,
                headers={"Authorization": first},
                extra=f"Authorization: {second}\r\n".encode(),
            )
            assert_refused(await ask(proxy.port, twice), 401)
        other = request(
            proxy.port, HELLO, token=None, headers={"Authorization": f"bEARER  {TOKEN}"}
        )
        assert (await ask(proxy.port, other)).status == 200


async def test_without_a_token_configured_none_is_asked_for() -> None:
    async with running(token=None) as proxy:
        assert (await ask(proxy.port, request(proxy.port, HELLO, token=None))).status == 200
        evil = request(proxy.port, HELLO, token=None, host="evil.com")
        assert_refused(await ask(proxy.port, evil), 421)


@pytest.mark.behaviour("B1", "C17")
@pytest.mark.parametrize("path", ["/", "/.well-known/oauth-protected-resource", "/register",
                                  "/.well-known/oauth-authorization-server", "/authorize", "/token",
                                  "/mcp/nobody", "/mcp/s/x", "/mcpx", "/mcp//"])  # fmt: skip
async def test_nothing_else_is_here(path: str) -> None:
    async with running(FakeUpstream("s")) as proxy:
        assert_refused(await ask(proxy.port, request(proxy.port, HELLO, path=path)), 404)


@pytest.mark.behaviour("B2")
@pytest.mark.parametrize(
    ("authority", "status"),
    [("127.0.0.1:{port}", 200), ("LOCALHOST:{port}", 200), ("evil", 421), ("127.0.0.1", 421),
     ("127.0.0.1:{port}@evil", 421), ("127.0.0.1:1", 421)],
)  # fmt: skip
async def test_a_target_in_absolute_form_stands_above_the_host(authority: str, status: int) -> None:
    async with running() as proxy:
        authority = authority.format(port=proxy.port)
        data = request(proxy.port, HELLO, path=f"http://{authority}/mcp")
        answer = await ask(proxy.port, data)
        assert answer.status == status
        assert len(proxy.knocks) == (status == 421)
        foreign = request(proxy.port, HELLO, path=f"http://{authority}/mcp", host="evil")
        assert_refused(await ask(proxy.port, foreign), 421)


async def test_a_pipelined_target_is_judged_on_its_own() -> None:
    async with running() as proxy, connect(proxy.port) as wire:
        evil = request(proxy.port, HELLO, path="http://evil/mcp")
        await wire.send(evil + request(proxy.port, HELLO))
        assert [(await wire.answer()).status for _ in range(2)] == [421, 200]


@pytest.mark.behaviour("B2")
@pytest.mark.parametrize(
    "host",
    [
        "evil.com", "evil.com:{port}", "localhost:{port}.evil.com", "127.0.0.1:1", "127.0.0.1",
        "127.0.0.1:+{port}", "127.0.0.1:0{port}", "127.0.0.1:{port}@evil.com", "localhost.:{port}",
        "[::1", "0.0.0.0:{port}", "127.0.0.2:{port}", "127.1:{port}", "a@127.0.0.1:{port}",
    ],
)  # fmt: skip
async def test_another_host_is_refused(host: str) -> None:
    async with running() as proxy:
        data = request(proxy.port, HELLO, host=host.format(port=proxy.port))
        assert_refused(await ask(proxy.port, data), 421)
        health = request(
            proxy.port, method="GET", path="/healthz", host=host.format(port=proxy.port)
        )
        assert_refused(await ask(proxy.port, health), 421)


@pytest.mark.behaviour("B2")
async def test_the_own_hosts_pass_and_two_or_none_do_not() -> None:
    async with running() as proxy:
        for host in ("127.0.0.1", "localhost", "LocalHost", "[::1]"):
            data = request(proxy.port, HELLO, host=f"{host}:{proxy.port}")
            assert (await ask(proxy.port, data)).status == 200
        twice = request(proxy.port, HELLO, extra=f"Host: 127.0.0.1:{proxy.port}\r\n".encode())
        assert_refused(await ask(proxy.port, twice), 421)
        assert_refused(await ask(proxy.port, b"GET /healthz HTTP/1.1\r\n\r\n"), 421)


@pytest.mark.behaviour("B3")
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.com", "null", "http://localhost:3000", "http://localhost", "",
        "https://127.0.0.1:{port}", "http://127.0.0.1:{port}.evil.com", "file://",
        "chrome-extension://abc", "http://127.0.0.1:{port}/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_a_web_page_is_refused(origin: str, method: str) -> None:
    upstream = FakeUpstream("s")
    async with running(upstream) as proxy:
        given = {
            "Origin": origin.format(port=proxy.port),
            "Access-Control-Request-Method": "POST",
        }
        answer = await ask(proxy.port, request(proxy.port, HELLO, method=method, headers=given))
        assert_refused(answer, 403)
    assert not upstream.requests


@pytest.mark.behaviour("B3")
async def test_the_own_and_listed_origins_pass() -> None:
    async with running(allowed_origins=("https://App.example/",)) as proxy:
        own = [f"http://{host}:{proxy.port}" for host in ("127.0.0.1", "localhost", "[::1]")]
        for origin in (*own, "https://app.example"):
            answer = await ask(proxy.port, request(proxy.port, HELLO, headers={"Origin": origin}))
            assert answer.status == 200
            assert "access-control-allow-origin" not in answer.headers
        for first, second in ((own[0], "https://evil.com"), ("https://evil.com", own[0])):
            both = request(
                proxy.port,
                HELLO,
                headers={"Origin": first},
                extra=f"Origin: {second}\r\n".encode(),
            )
            assert_refused(await ask(proxy.port, both), 403)


@pytest.mark.behaviour("B3")
@pytest.mark.parametrize(
    "kind", ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonx",
             "text/plain; application/json"],
)  # fmt: skip
async def test_a_body_must_be_declared_json(kind: str) -> None:
    async with running() as proxy:
        data = request(proxy.port, HELLO, headers={"Content-Type": kind})
        assert_refused(await ask(proxy.port, data), 415)
        good = request(
            proxy.port, HELLO, headers={"Content-Type": "Application/JSON ; charset=utf-8"}
        )
        assert (await ask(proxy.port, good)).status == 200


@pytest.mark.behaviour("B5")
async def test_a_websocket_is_not_opened() -> None:
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with running() as proxy:
        data = request(proxy.port, method="GET", headers=upgrade)
        assert_refused(await ask(proxy.port, data), 426)
        data = request(proxy.port, method="GET", headers=upgrade, token=None)
        assert_refused(await ask(proxy.port, data), 401)


@pytest.mark.parametrize("body", [b"", HELLO])
async def test_an_offer_of_http_2_is_refused_with_a_sentence(body: bytes) -> None:
    upgrade = {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMA"}
    async with running() as proxy, connect(proxy.port) as wire:
        await wire.send(request(proxy.port, body, headers=upgrade))
        answer = await wire.answer()
        assert_refused(answer, 426)
        assert "HTTP/1.1" in json.loads(answer.body)["error"]["message"]
        assert await wire.closed() == b""


async def test_health_is_told_without_a_token_and_nothing_else() -> None:
    async with running() as proxy:
        data = request(proxy.port, method="GET", path="/healthz", token=None)
        answer = await ask(proxy.port, data)
        assert (answer.status, answer.body) == (200, b"ok")
        assert set(answer.headers) == {"content-type", "content-length"}
        posted = request(proxy.port, HELLO, path="/healthz", token=None)
        assert_refused(await ask(proxy.port, posted), 401)


@pytest.mark.behaviour("B10")
async def test_a_body_beyond_the_limit_is_refused_before_it_is_read() -> None:
    async with running() as proxy:
        head = request(proxy.port, None, headers={"Content-Length": str(5 * 2**20)})
        assert_refused(await ask(proxy.port, head), 413)
        almost = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"%b"}}'
        full = almost % (b"x" * (4 * 2**20 - len(almost) + 2))
        assert len(full) == DEFAULTS.body_bytes
        async with http_client() as client:
            session = await open_session(client, url_of(proxy))
        assert (await ask(proxy.port, request(proxy.port, full, headers=session))).status == 200


@pytest.mark.behaviour("B10")
async def test_a_chunked_body_beyond_the_limit_is_refused_while_it_comes() -> None:
    limits = replace(QUICK, linger=0.2)
    async with running(limits=limits) as proxy, connect(proxy.port) as wire:
        await wire.send(request(proxy.port, None, headers={"Transfer-Encoding": "chunked"}))
        chunk = b"%x\r\n%b\r\n" % (2**16, b"x" * 2**16)
        with pytest.raises(ConnectionError):
            for _ in range(64 * 5):
                await wire.send(chunk)
            assert (await wire.answer()).status == 413
            await wire.closed()
            raise ConnectionError


@pytest.mark.behaviour("B10")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[" * 200_000, -32700),
        (b'{"a":' * 100_000, -32700),
        (b"", -32700),
        (b"hello", -32700),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700),
        ('{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"), -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        # Valid JSON, but beyond every reader that keeps numbers as doubles.
        (b'{"jsonrpc":"2.0","id":1e400,"method":"ping"}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"x"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', -32600),
        (b"{}", -32600),
    ],
)
@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
async def test_what_is_not_one_message_gets_400(body: bytes, code: int, era: str) -> None:
    async with running() as proxy:
        data = request(proxy.port, body, headers={"MCP-Protocol-Version": era})
        answer = await ask(proxy.port, data)
        assert answer.status == 400
        error = json.loads(answer.body)
        assert (error["id"], error["error"]["code"]) == (None, code)


@pytest.mark.parametrize(
    "extra",
    [
        b"".join(b"X-%d: 1\r\n" % n for n in range(200)),
        b"X-Long: " + b"x" * 40_000 + b"\r\n",
        b"X-Huge: " + b"x" * 2_000_000 + b"\r\n",
    ],
)
async def test_a_header_beyond_the_limit_is_refused(extra: bytes) -> None:
    async with running() as proxy, connect(proxy.port) as wire:
        data = request(proxy.port, HELLO, extra=extra)
        try:
            await wire.send(data)
            assert_refused(await wire.answer(), 431)
        except ConnectionResetError:
            # Closed while the rest was on its way: the answer may be lost with it.
            assert len(data) > 500_000


async def test_a_header_without_end_is_not_collected() -> None:
    async with running() as proxy, connect(proxy.port) as wire:
        await wire.send(b"GET /mcp HTTP/1.1\r\nX-Endless: ")
        closed = asyncio.create_task(wire.closed(5))
        sent = 0
        while not closed.done() and sent < 2**22:
            wire.writer.write(b"x" * 4096)
            sent += 4096
            await asyncio.wait({closed}, timeout=0.001)
        answer = await closed
        assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
        assert sent < 2**21


async def test_bytes_that_are_not_http_end_the_connection() -> None:
    for data in (
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /mcp HTTP/1.1\r\nHost\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\n: x\r\n",
    ):
        async with running() as proxy, connect(proxy.port) as wire:
            await wire.send(data)
            assert (await wire.answer()).status == 400
            assert await wire.closed() == b""


async def test_a_length_and_chunks_together_are_refused() -> None:
    """Two readers would disagree about where the request ends."""
    async with running() as proxy, connect(proxy.port) as wire:
        await wire.send(
            request(proxy.port, b"0\r\n\r\nGET", headers={"Transfer-Encoding": "chunked"})
        )
        assert (await wire.answer()).status == 400


SLOW = replace(QUICK, header_wait=0.3, body_wait=0.4, linger=0.2, keep_alive=0.3)


@pytest.mark.behaviour("B9")
async def test_half_requests_are_closed_while_a_good_client_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock.taken(monkeypatch)
    limits = replace(QUICK, header_wait=3600.0, keep_alive=3600.0)
    async with running(FakeUpstream("s"), limits=limits) as proxy, http_client() as client:
        assert proxy.port is not None
        halves = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(100)]
        for index, (_, writer) in enumerate(halves):
            if index % 2:
                writer.write(b"POST /mcp HTTP/1.1\r\nHost: 127")
        body, headers = modern("tools/list")
        response = await client.post(url_of(proxy), json=body, headers=headers)
        assert response.status_code == 200
        assert not any(reader.at_eof() for reader, _ in halves)
        await clock.after(3601.0)
        async with asyncio.timeout(3):
            for reader, writer in halves:
                assert await reader.read() == b""
                writer.close()


@pytest.mark.behaviour("B9")
@pytest.mark.parametrize("stage", ["header", "body", "between"])
async def test_a_trickle_of_bytes_moves_no_deadline(stage: str) -> None:
    async with running(limits=SLOW) as proxy, connect(proxy.port) as wire:
        data = request(proxy.port, HELLO)
        if stage == "header":
            pieces = [data[index : index + 1] for index in range(len(data))]
        elif stage == "body":
            start = len(data) - len(HELLO)
            await wire.send(data[:start])
            pieces = [data[index : index + 1] for index in range(start, len(data))]
        else:
            await wire.send(data)
            await wire.answer()
            pieces = [b"\r\n"] * 200
        began = time.monotonic()
        closed = asyncio.create_task(wire.closed(3))
        for piece in pieces:
            if closed.done():
                break
            wire.writer.write(piece)
            await asyncio.wait({closed}, timeout=0.02)
        assert await closed == b""
        assert 0.2 < time.monotonic() - began < 1.5


@pytest.mark.behaviour("B9")
async def test_a_body_announced_and_never_sent_holds_nothing() -> None:
    async with running(limits=SLOW) as proxy:
        async with connect(proxy.port) as wire:
            await wire.send(
                request(proxy.port, None, token=None, headers={"Content-Length": "1000"}) + b"x"
            )
            assert (await wire.answer()).status == 401
            assert await wire.closed(2) == b""
        async with connect(proxy.port) as wire:
            await wire.send(request(proxy.port, None, headers={"Content-Length": "1000"}) + b"x")
            assert await wire.closed(2) == b""


@pytest.mark.behaviour("B9")
async def test_a_refused_body_may_still_come_and_the_connection_lives_on() -> None:
    async with running() as proxy, connect(proxy.port) as wire:
        data = request(proxy.port, HELLO, token=None)
        cut = len(data) - len(HELLO)
        await wire.send(data[:cut])
        assert (await wire.answer()).status == 401
        await wire.send(data[cut:])
        await wire.send(request(proxy.port, HELLO))
        assert (await wire.answer()).status == 200


@pytest.mark.behaviour("B9")
async def test_at_the_limit_the_connection_longest_without_a_request_is_closed() -> None:
    limits = replace(QUICK, connections=4)
    stuck = asyncio.Event()

    async def wait(_: object) -> bytes:
        await stuck.wait()
        return b"{}"

    upstream = FakeUpstream("s", answer=wait)
    async with running(upstream, limits=limits) as proxy:
        body, headers = modern("tools/call", {"name": "s__echo"})
        call = request(proxy.port, json.dumps(body).encode(), headers=headers)
        async with (
            connect(proxy.port) as busy,
            connect(proxy.port) as silent,
            connect(proxy.port) as useful,
            connect(proxy.port) as fresh,
        ):
            await busy.send(call)
            await upstream.arrived.wait()
            await useful.send(request(proxy.port, HELLO))
            assert (await useful.answer()).status == 200
            async with connect(proxy.port) as newcomer:
                assert await silent.closed() == b""
                for wire in (useful, fresh, newcomer):
                    await wire.send(request(proxy.port, HELLO))
                    assert (await wire.answer()).status == 200
            stuck.set()
            assert (await busy.answer()).status == 200


@pytest.mark.behaviour("B1", "B2", "B3")
async def test_what_was_refused_is_told_once_in_clean_sentences() -> None:
    told: list[None] = []
    async with running(changed=lambda: told.append(None)) as proxy:

        async def knock(**headers: str) -> None:
            await ask(proxy.port, request(proxy.port, HELLO, token=None, headers=headers))

        for _ in range(3):
            await knock()
        assert list(proxy.knocks) == [
            f"A program came without the token: {COPIES}",
        ]
        assert len(told) == 1
        await knock(**{"User-Agent": "Cursor/1.2 (linux)"})
        await knock(**{"User-Agent": "\x9b[31mevil", "Authorization": "Bearer x"})
        await knock(Origin="https://evil.com\x9b2J")
        await ask(proxy.port, request(proxy.port, HELLO, host="evil.com"))
        _, named, wrong, page, host = proxy.knocks
        assert named == f"Cursor/1.2 came without the token: {COPIES}"
        assert wrong == f"A program came with a wrong token: {COPIES}"
        assert "https://evil.com\ufffd2J" in page
        assert "evil.com" in host
        for n in range(20):
            await knock(Origin=f"https://evil{n}.com")
        assert len(proxy.knocks) == 10
        assert "evil19" in proxy.knocks[-1]


@pytest.mark.behaviour("B12", "X17")
async def test_a_bug_behind_the_door_costs_one_request_and_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_: object) -> bytes:
        raise ZeroDivisionError("the secret is 42")

    async with running(FakeUpstream("s", answer=broken)) as proxy, http_client() as client:
        session = await open_session(client, url_of(proxy))
        call = rpc("tools/call", {"name": "s__echo"})
        response = await client.post(url_of(proxy), json=call, headers=session)
        assert response.status_code == 500
        assert "42" not in response.text
        pong = await client.post(url_of(proxy), json=rpc("ping"), headers=session)
        assert pong.status_code == 200
    assert "ZeroDivisionError" in caplog.text


async def test_what_one_request_was_let_in_for_counts_for_no_other_on_its_connection() -> None:
    async with running(FakeUpstream("s")) as proxy, connect(proxy.port) as wire:
        hello = request(proxy.port, HELLO)
        huge = f"Content-Length: {DEFAULTS.body_bytes + 1}\r\n".encode()
        for data, status in (
            (request(proxy.port, token=None, method="GET", path="/healthz"), 200),
            (request(proxy.port, None, token=None, path="/healthz"), 401),
            (request(proxy.port, token=None, method="GET"), 401),
            (hello, 200),
            (hello, 200),
            (request(proxy.port, HELLO, token="wrong"), 401),
            (request(proxy.port, HELLO, headers={"Origin": "https://example.com"}), 403),
            (hello, 200),
            (request(proxy.port, None, extra=huge), 413),
        ):
            await wire.send(data)
            assert (await wire.answer()).status == status


async def test_blanks_behind_a_value_are_no_part_of_it() -> None:
    async with running() as proxy:
        blank = request(
            proxy.port,
            None,
            host=f"127.0.0.1:{proxy.port} \t",
            headers={"Content-Length": f"0{len(HELLO)} \t"},
        )
        assert (await ask(proxy.port, blank + HELLO)).status == 200


@pytest.mark.behaviour("B10")
async def test_a_length_with_more_digits_than_numbers_have_is_refused() -> None:
    async with running() as proxy:
        zeros = request(proxy.port, None, headers={"Content-Length": "0" * 5000 + "2"})
        assert_refused(await ask(proxy.port, zeros + b"{}"), 413)
