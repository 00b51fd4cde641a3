"""Sessions of their own for clients that a 2025 server may ask something."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.personal import PersonalSessions
from mcpmux_tui.upstream.session import Session
from tests.fixtures.raw_http import RawHttp
from tests.upstream.rig import Rig, running

CAPABILITIES = b'{"elicitation":{"form":{}}}'


async def seen(rig: Rig, key: str) -> dict[str, Any]:
    """What the server has seen, told to a 2025 client that can be asked."""
    caller = Caller(b'{"name":"ada","version":"1"}', CAPABILITIES, key=key)
    channel = await rig.channel()
    params = b'{"name":"seen","arguments":{}}'
    result = await channel.request("tools/call", params, caller=caller, name="seen")
    found: dict[str, Any] = json.loads(json.loads(result)["content"][0]["text"])
    return found


async def test_a_server_of_2026_only_is_tried_once_and_told_the_caller_s_capabilities() -> None:
    async with RawHttp.open("--modern-only") as http, running(HttpLaunch(http.url)) as rig:
        await seen(rig, "a")
        report = await seen(rig, "b")
        declared = report["meta"]["io.modelcontextprotocol/clientCapabilities"]
        assert declared == {"elicitation": {"form": {}}}
        assert report["methods"].get("initialize", 0) <= 1


@pytest.mark.behaviour("B14")
async def test_each_client_has_one_session_at_a_2025_server_for_all_its_calls() -> None:
    async with RawHttp.open("--legacy-only") as http, running(HttpLaunch(http.url)) as rig:
        for key in ("a", "b", "a", "b"):
            report = await seen(rig, key)
        # One is mcpmux's own.
        assert report["methods"]["initialize"] == 3
        assert len(http.sessions) == 3
        rig.supervisor.forget_client("a")
        await http.until(lambda: len(http.sessions) == 2)


class NeverOpen:
    """A session at a server that does not answer."""

    def __init__(self) -> None:
        self.opening = asyncio.Event()
        self.lost_with: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def open_alone(self) -> None:
        self.opening.set()
        await asyncio.Event().wait()

    async def close(self, farewell: ConnectionLost) -> None:
        self.lost_with.set_result(farewell)


async def test_a_stop_while_a_session_is_being_opened_is_an_error_and_no_cancel() -> None:
    silent = NeverOpen()
    sessions = PersonalSessions(lambda caller: cast("Session", silent), Limits())
    waiting = asyncio.create_task(sessions.of(Caller(key="a")))
    await silent.opening.wait()
    await sessions.close()
    with pytest.raises(ConnectionLost, match="was stopped"):
        await waiting
    assert silent.lost_with.done()
