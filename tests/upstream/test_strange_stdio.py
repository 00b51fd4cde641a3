"""Servers that write what no server should, over stdio."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import psutil
import pytest

from mcpmux_tui.model.errors import ConnectionLost, RequestTimeout, UpstreamError
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.upstream.limits import KIB, MIB
from tests.upstream.rig import DEADLINE, QUICK, UNHURRIED, Rig, raw, running

OK = '{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"ok"}]}}'


async def write(rig: Rig, stdout: str, **more: object) -> bytes:
    """Call the tool that writes exactly these bytes."""
    return await rig.call("write", json.dumps({"stdout": stdout, **more}))


@pytest.mark.behaviour("P5")
@pytest.mark.parametrize("end", ["\n", ""], ids=["lines", "no-line-feed"])
async def test_a_flood_on_stderr_blocks_nothing_and_is_not_kept(end: str) -> None:
    async with running(raw()) as rig:
        await rig.call("echo")
        before = psutil.Process().memory_info().rss
        line = "x" * (MIB - len(end)) + end
        assert b'"ok"' in await write(rig, "", stderr=line, times=64, end=OK + "\n")
        assert psutil.Process().memory_info().rss - before < 16 * MIB
        assert max(len(line) for line in rig.journal.of("stderr") or [""]) < 9 * KIB


@pytest.mark.behaviour("P7")
@pytest.mark.parametrize(
    "line",
    ["\xff\xfe\x80\n" + OK + "\n", "\xef\xbb\xbf" + OK + "\n", OK + "\r\n", "\n\r\n" + OK + "\n"],
    ids=["no-utf8", "byte-order-mark", "crlf", "blank"],
)
async def test_an_answer_among_odd_bytes_arrives(line: str) -> None:
    async with running(raw()) as rig:
        assert b'"ok"' in await write(rig, line)


@pytest.mark.behaviour("P7")
async def test_utf16_is_recognised_and_named() -> None:
    async with running(raw()) as rig:
        await rig.reach(Health.CONNECTED)
        utf16 = ("\ufeff" + OK + "\r\n").encode("utf-16-le").decode("latin-1")
        with pytest.raises(ConnectionLost, match="writes UTF-16 to its standard output"):
            await write(rig, utf16, times=2)
        failed = await rig.reach(Health.FAILED)
        assert "where MCP wants UTF-8" in failed.summary


@pytest.mark.behaviour("P8")
@pytest.mark.parametrize(
    ("result", "why"),
    [
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested"),
        ('{"content":[}', "could not be read"),
        ('{"a":1', "could not be read"),
        ('{"a":NaN}', "could not be read"),
    ],
    ids=["deep", "bracket", "cut", "nan"],
)
async def test_an_answer_that_cannot_be_read_fails_its_own_call(result: str, why: str) -> None:
    async with running(raw(), silence=4 * DEADLINE) as rig:
        line = '{"jsonrpc":"2.0","id":$ID,"result":' + result + "}\n"
        started = time.monotonic()
        with pytest.raises(ConnectionLost, match="the answer could not be read") as met:
            await write(rig, line)
        assert why in met.value.message
        assert met.value.hint.startswith("Only MCP messages belong on its standard output")
        assert time.monotonic() - started < DEADLINE
        assert b"text" in await rig.call("echo")


@pytest.mark.behaviour("P8")
@pytest.mark.parametrize("value", ['"half \\ud83d"', "1" * 5000, "1e400"])
async def test_values_that_readers_stumble_over_pass_as_they_came(value: str) -> None:
    async with running(raw()) as rig:
        line = '{"jsonrpc":"2.0","id":$ID,"result":{"x":' + value + "}}\n"
        assert await write(rig, line) == b'{"x":' + value.encode() + b"}"


@pytest.mark.behaviour("P9")
async def test_a_line_without_end_ends_its_server() -> None:
    limits = replace(QUICK, message=MIB, retry_first=60, retry_most=60)
    async with running(raw(), limits=limits) as rig:
        pid = (await rig.reach(Health.CONNECTED)).pid
        assert pid is not None
        with pytest.raises(ConnectionLost, match=r"wrote 4 MiB .* without ending a line"):
            await write(rig, "x" * MIB, times=5)
        await rig.reach(Health.RECONNECTING)
        rig.supervisor.post(Action.RETRY)
        await rig.reach(Health.CONNECTED)
        assert not psutil.pid_exists(pid)


@pytest.mark.behaviour("P10")
@pytest.mark.parametrize(
    "odd",
    [
        OK + "\n" + OK,
        OK.replace("$ID", "99999") + "\n" + OK,
        OK.replace("$ID", '"$ID"') + "\n" + OK,
        OK.replace("$ID", "null") + "\n" + OK,
    ],
    ids=["twice", "unknown", "text", "null"],
)
async def test_answers_to_nobody_are_ignored(odd: str) -> None:
    async with running(raw()) as rig:
        assert b'"ok"' in await write(rig, odd + "\n")
        assert b"text" in await rig.call("echo")
        assert rig.states == ["connecting", "connected"]


@pytest.mark.behaviour("P23")
async def test_calls_in_flight_at_a_restart_say_so_and_new_ones_wait() -> None:
    async with running(raw(), limits=UNHURRIED) as rig:
        first = (await rig.reach(Health.CONNECTED)).pid
        slow = [asyncio.create_task(rig.call("slow")) for _ in range(5)]
        await rig.call("tell", '{"key":"other"}')
        started = time.monotonic()
        rig.supervisor.post(Action.RESTART)
        failed = await asyncio.gather(*slow, return_exceptions=True)
        assert time.monotonic() - started < UNHURRIED.eof
        assert {str(each) for each in failed} == {
            "fixture: is being restarted Try again in a moment."
        }
        assert all(isinstance(each, UpstreamError) for each in failed)
        assert b"text" in await rig.call("echo")
        assert rig.snapshot.pid != first


@pytest.mark.behaviour("P26")
async def test_what_a_child_writes_at_its_end_is_taken_and_harms_nobody() -> None:
    async with running(raw("--last-words")) as rig:
        await rig.reach(Health.CONNECTED)
        rig.supervisor.post(Action.DISCONNECT)
        await rig.reach(Health.IDLE)
        assert rig.journal.of("stderr") == ["closing the database"]


@pytest.mark.behaviour("P3")
async def test_a_call_that_hangs_leaves_the_other_tools_of_its_server_usable() -> None:
    async with running(raw(), silence=0.5) as rig:
        slow = asyncio.create_task(rig.call("slow"))
        for _ in range(3):
            assert b"text" in await rig.call("echo")
        with pytest.raises(RequestTimeout):
            await slow
        assert b"text" in await rig.call("echo")
