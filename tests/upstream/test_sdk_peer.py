"""The official SDK's server as the other side, in both eras and over both transports."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from mcpmux_tui.model.channel import Caller, Lists
from mcpmux_tui.model.errors import ConnectionLost, UpstreamError
from mcpmux_tui.model.server import Health
from mcpmux_tui.model.spec import HttpLaunch, StdioLaunch
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.http import HttpTransport
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.negotiation import Era
from mcpmux_tui.upstream.session import Session
from mcpmux_tui.upstream.sse import SseTransport
from mcpmux_tui.upstream.stdio import StdioTransport
from mcpmux_tui.upstream.transport import Transport
from tests.fixtures.leaks import INSTANCE
from tests.upstream.rig import FIXTURES, Ears, Lines, PlainValues, running

SERVER = str(FIXTURES / "sdk_server.py")
LIMITS = Limits(refresh_pause=0.05)


@asynccontextmanager
async def address(transport: str) -> AsyncIterator[str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, SERVER, transport, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        yield (await child.stdout.readline()).decode().strip()
    finally:
        child.terminate()
        await child.wait()


async def talk(transport: Transport, era: Era) -> None:
    """One whole session: lists, a call, a change of the lists."""
    grown = asyncio.Event()

    def listed(lists: Lists | None, error: UpstreamError | None, announced: frozenset[str]) -> None:
        # A subscription that has just opened lists once more by itself, before anything grew.
        if lists is not None and any(tool.name == "grown" for tool in lists.tools):
            grown.set()

    session = Session(
        "sdk",
        transport,
        start=20,
        probe=10,
        silence=10,
        limits=LIMITS,
        listed=listed,
        paused=lambda error: None,
        note=lambda text: None,
        audience=Ears(),
    )
    try:
        async with asyncio.timeout(20):
            await session.open(era)
            assert session.peer.era is era
            assert session.peer.info == "sdk-fixture 1.0"
            lists = await session.start()
            names = [tool.name for tool in lists.tools]
            assert names[:2] == ["echo", "grow"]
            params = b'{"name":"echo","arguments":{"text":"caf\\u00e9"}}'
            result = json.loads(
                await session.request("tools/call", params, caller=Caller(), name="echo")
            )
            assert result["content"][0]["text"] == "café"
            # The subscription may still be on its way.
            while not grown.is_set():
                await session.request(
                    "tools/call", b'{"name":"grow","arguments":{}}', caller=Caller(), name="grow"
                )
                with suppress(TimeoutError):
                    await asyncio.wait_for(grown.wait(), 0.2)
    finally:
        await session.close(ConnectionLost("was stopped"))


@pytest.mark.parametrize("era", list(Era))
async def test_a_whole_session_over_stdio(era: Era) -> None:
    children = Children(INSTANCE, LIMITS)
    await talk(
        StdioTransport(
            "sdk",
            StdioLaunch(sys.executable, (SERVER,)),
            PlainValues().environment(),
            configured=StdioLaunch(sys.executable),
            children=children,
            journal=Lines(),
            spawned=lambda pid: None,
            limits=LIMITS,
        ),
        era,
    )
    await children.close()


async def test_whole_sessions_over_http_in_both_eras() -> None:
    async with address("--http") as url:
        for era in Era:
            launch = HttpLaunch(url)
            await talk(HttpTransport(launch, configured=launch, auth=None, limits=LIMITS), era)


@pytest.mark.behaviour("H23")
async def test_a_whole_session_over_the_older_transport_found_by_itself() -> None:
    async with address("--sse") as url:
        launch = HttpLaunch(url, transport="sse")
        await talk(SseTransport(launch, configured=launch, auth=None, limits=LIMITS), Era.LEGACY)
        async with running(HttpLaunch(url)) as rig:
            assert (await rig.reach(Health.CONNECTED)).transport == "sse"
