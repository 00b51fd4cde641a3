"""From a start to the whole list, and what is held then."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

from tests.benchmarks.client import Peer, SsePeer
from tests.benchmarks.machine import ECHO, ON_THE_OTHER, TOKEN, entry, hub, serve
from tests.benchmarks.table import Row, at_most, median
from tests.end_to_end.program import Home

SERVERS, TOOLS = 20, 50
ASK = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}\n'
    b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n'
)


async def starting(home: Home, program: str | None, rounds: int) -> Row:
    """Seconds to a whole list of 20 servers: through a new engine, a new hub, and of them alone."""
    ours: list[float] = []
    alone: list[float] = []
    others: list[float] = []
    home.write(*(entry(number) for number in range(SERVERS)))
    for _ in range(rounds):
        alone.append(await asyncio.to_thread(_alone))
        began = time.perf_counter()
        with serve(home) as served:
            await until_listed(Peer(served.url, TOKEN))
            ours.append(time.perf_counter() - began)
            served.stop()
        # The next one shall not find the lists on the disk.
        shutil.rmtree(home.env["MCPMUX_STATE_DIR"])
        if program is not None:
            others.append(await _hub(program, home.folder))
    shown, goal, missed = at_most(median(ours), 0.40, "s", 2)
    return Row(
        "start to the whole list, 20 servers x 50 tools", f"{median(alone):.2f} s", shown,
        f"{median(others):.2f} s" if others else "", goal, missed,
    )  # fmt: skip


async def until_listed(peer: Peer, count: int = SERVERS * TOOLS) -> bytes:
    """The first list with every server's tools."""
    (connection,) = await peer.connect()
    request = peer.request("tools/list")
    while (answer := await connection.ask(request)).count(b'"inputSchema"') < count:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    connection.close()
    return answer


async def _hub(program: str, folder: Path) -> float:
    began = time.perf_counter()
    with hub(program, folder, (), SERVERS) as (url, _):
        await until_there(SsePeer(url))
        return time.perf_counter() - began


async def until_there(peer: Peer, count: int = SERVERS * TOOLS) -> None:
    """The same of a program that does not say when it listens."""
    async with asyncio.timeout(60):
        while True:
            try:
                await until_listed(peer, count)
            except OSError:
                await asyncio.sleep(0.005)
            else:
                return


def _alone() -> float:
    """Seconds to start all servers and have all their lists, without anything in between."""
    started = time.perf_counter()
    children = [
        subprocess.Popen(
            [*ON_THE_OTHER, *ECHO, str(TOOLS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(SERVERS)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(ASK)
        child.stdin.flush()
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.readline()
    took = time.perf_counter() - started
    for child in children:
        child.communicate()
    return took
