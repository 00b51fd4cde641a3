"""Ways to a server: names, addresses, certificates, proxies."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.upstream.http_client import system_trust
from mcpmux_tui.upstream.limits import Limits
from tests.fixtures.raw_http import RawHttp, parse
from tests.upstream.rig import running

WAITS = Limits(retry_first=60.0, retry_most=60.0)
LOOPBACKS = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}


def resolver(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str]]) -> None:
    """Let names resolve to these addresses and to nothing else."""
    real = asyncio.BaseEventLoop.getaddrinfo

    async def getaddrinfo(
        loop: asyncio.BaseEventLoop, host: Any, port: Any, **options: Any
    ) -> list[Any]:
        host = host.decode() if isinstance(host, bytes) else host
        if host in LOOPBACKS:
            return await real(loop, host, port, **options)
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = [await real(loop, address, port, **options) for address in answers[host]]
        return [each for part in found for each in part]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


@asynccontextmanager
async def served(host: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawHttp]:
    """The raw server on one of the two loopback addresses."""
    http = RawHttp(parse(()))
    try:
        listener = await http.listen(host=host, tls=tls)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        pytest.skip(f"this machine has no {host}")
    try:
        yield http
    finally:
        await http.close(listener)


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[trustme.CA]:
    """A certificate authority of one's own, in `tmp_path / "ca.pem"`; nobody trusts it yet."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    system_trust.cache_clear()
    yield ca
    system_trust.cache_clear()


def server_side(ca: trustme.CA, *names: str, **dates: Any) -> ssl.SSLContext:
    """TLS with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names, **dates).configure_cert(context)
    return context


@pytest.mark.behaviour("H27")
@pytest.mark.parametrize("server", LOOPBACKS)
@pytest.mark.parametrize("resolved", LOOPBACKS)
async def test_localhost_is_found_on_either_address_whatever_the_resolver_knows(
    server: str, resolved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver(monkeypatch, {"localhost": [resolved]})
    async with served(server) as http:
        port = httpx2.URL(http.url).port
        async with running(HttpLaunch(f"http://localhost:{port}/mcp"), limits=WAITS) as rig:
            await rig.until(lambda s: s.state is not Health.CONNECTING)
            assert rig.snapshot.state is Health.CONNECTED
            await rig.call("echo")
            assert http.last_headers["host"] == f"localhost:{port}"


@pytest.mark.behaviour("H27", "H1")
async def test_a_localhost_where_nobody_listens_is_named_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with running(HttpLaunch(f"http://localhost:{port}/mcp"), limits=WAITS) as rig:
        down = await rig.reach(Health.RECONNECTING)
        assert down.detail.startswith(f"Connection refused by localhost:{port}.")


@pytest.mark.behaviour("H1")
async def test_a_name_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, {})
    async with running(HttpLaunch("http://mcp.invalid/mcp"), limits=WAITS) as rig:
        down = await rig.reach(Health.RECONNECTING)
        assert down.detail.startswith("No such host: mcp.invalid.")


@pytest.mark.behaviour("H1", "H26")
async def test_an_authority_of_ones_own_is_refused_until_it_is_named(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with served("127.0.0.1", server_side(authority, "localhost", "127.0.0.1")) as http:
        launch = HttpLaunch(http.url)
        async with running(launch, limits=WAITS) as rig:
            failed = await rig.reach(Health.FAILED)
            assert failed.detail.startswith("Certificate not trusted for 127.0.0.1")
            assert "SSL_CERT_FILE" in failed.detail
            assert (failed.action, failed.retry_at) == (Action.RETRY, None)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        system_trust.cache_clear()
        async with running(launch, limits=WAITS) as rig:
            await rig.reach(Health.CONNECTED)
            await rig.call("echo")


@pytest.mark.behaviour("H26")
async def test_an_authority_that_came_to_be_trusted_counts_from_the_next_retry(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = tmp_path / "store.pem"
    trustme.CA().cert_pem.write_to_path(store)
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    async with (
        served("127.0.0.1", server_side(authority, "127.0.0.1")) as http,
        running(HttpLaunch(http.url), limits=WAITS) as rig,
    ):
        await rig.reach(Health.FAILED)
        authority.cert_pem.write_to_path(store, append=True)
        rig.supervisor.post(Action.RETRY)
        await rig.reach(Health.CONNECTED)


YEAR = timedelta(days=365)


@pytest.mark.behaviour("H26")
@pytest.mark.parametrize(
    ("name", "dates", "hint"),
    [
        ("other.example", (-YEAR, YEAR), "It is made for another name: look at the address"),
        ("mcp.example", (-2 * YEAR, -YEAR), "if it is right, the server's operator has to renew"),
        ("mcp.example", (YEAR, 2 * YEAR), "Look at the clock of this machine; if it is right"),
    ],
    ids=["another-name", "expired", "not-valid-yet"],
)
async def test_a_certificate_that_proves_nothing_fails_with_what_to_do_and_no_timer(
    name: str,
    dates: tuple[timedelta, timedelta],
    hint: str,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    resolver(monkeypatch, {"mcp.example": ["127.0.0.1"]})
    begin, end = (datetime.now(UTC) + each for each in dates)
    async with (
        served("127.0.0.1", server_side(authority, name, not_before=begin, not_after=end)) as http,
        running(
            HttpLaunch(f"https://mcp.example:{httpx2.URL(http.url).port}/mcp"), limits=WAITS
        ) as rig,
    ):
        failed = await rig.reach(Health.FAILED)
        assert failed.detail.startswith("Certificate not trusted for mcp.example")
        assert hint in failed.detail
        assert failed.retry_at is None


@pytest.mark.behaviour("H1")
async def test_a_login_page_before_a_server_that_was_trusted_once_passes(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    http = RawHttp(parse(()))
    listener = await http.listen(tls=server_side(authority, "127.0.0.1"))
    port = httpx2.URL(http.url).port
    assert port is not None
    async with running(HttpLaunch(http.url), limits=WAITS) as rig:
        await rig.reach(Health.CONNECTED)
        await http.close(listener)
        listener = await http.listen(port, tls=server_side(trustme.CA(), "127.0.0.1"))
        rig.supervisor.post(Action.RESTART)
        down = await rig.until(lambda s: s.detail.startswith("Certificate not trusted"))
        await http.close(listener)
        assert down.state is Health.RECONNECTING
        listener = await http.listen(port, tls=server_side(authority, "127.0.0.1"))
        rig.supervisor.post(Action.RETRY)
        await rig.reach(Health.CONNECTED)
    await http.close(listener)


@pytest.mark.behaviour("H1")
@pytest.mark.parametrize("host", ["127.0.0.1", "mcp.example"])
async def test_plain_http_to_a_tls_port_is_no_call_that_may_have_been_carried_out(
    host: str, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver(monkeypatch, {"mcp.example": ["127.0.0.1"]})
    async with served("127.0.0.1", server_side(authority, "127.0.0.1")) as http:
        port = httpx2.URL(http.url).port
        async with running(HttpLaunch(f"http://{host}:{port}/mcp"), limits=WAITS) as rig:
            down = await rig.reach(Health.RECONNECTING)
            assert down.detail.startswith(f"No HTTP answer from {host}:{port} (")
            assert "should begin with https" in down.detail
            assert "carried out" not in down.detail


@pytest.mark.behaviour("H26", "H27")
async def test_a_certificate_for_localhost_holds_on_whichever_address_answers(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    resolver(monkeypatch, {"localhost": ["127.0.0.1"]})
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with served("::1", server_side(authority, "localhost")) as http:
        url = f"https://localhost:{httpx2.URL(http.url).port}/mcp"
        async with running(HttpLaunch(url), limits=WAITS) as rig:
            await rig.reach(Health.CONNECTED)


@pytest.mark.behaviour("H25")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_loopback_never_goes_through_a_proxy_and_remotes_do(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readline()).strip())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        async with served("::1" if host == "[::1]" else "127.0.0.1") as http:
            url = f"http://{host}:{httpx2.URL(http.url).port}/mcp"
            async with running(HttpLaunch(url), limits=WAITS) as rig:
                await rig.reach(Health.CONNECTED)
                await rig.call("echo")
        assert seen == []
        async with running(HttpLaunch("http://mcp.invalid/mcp"), limits=WAITS) as rig:
            await rig.reach(Health.RECONNECTING)
        assert seen[0] == b"POST http://mcp.invalid/mcp HTTP/1.1"
