"""What one call takes however many servers, sessions and rows there are."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import psutil

from tests.benchmarks.calls import SMALL
from tests.benchmarks.client import Asks, Peer, Stream, one_at_a_time
from tests.benchmarks.machine import OTHER_CORE, TOKEN, cpu, entry, serve
from tests.benchmarks.table import Row, at_most, median
from tests.end_to_end.program import Home, Terminal, eventually

COUNTS = (1, 20, 200)
ROWS = 50
PACE = 100
"""Calls a second while the screen is watched."""
SESSIONS = 50
TOUCHES = 20
"""Announcements a second that each session hears."""


async def servers(home: Home, seconds: float, rounds: int, counts: Sequence[int] = COUNTS) -> Row:
    """One call among one, 20 and 200 servers, in turns."""
    took: dict[int, float] = {}
    for count in counts:
        home.write(*(entry(number, tools=5) for number in range(count)))
        with serve(home) as served:
            home.wait_until_connected(120)
            peer = Peer(served.url, TOKEN, tool="s000__echo")
            (connection,) = await peer.connect()
            await one_at_a_time(connection, peer.call(SMALL), seconds)
            each = [
                median(await one_at_a_time(connection, peer.call(SMALL), seconds))
                for _ in range(rounds)
            ]
            took[count] = min(each) * 1e3
            connection.close()
            served.stop()
    spread = 100 * (max(took.values()) / min(took.values()) - 1)
    shown = ", ".join(f"{value:.3f}" for value in took.values()) + f" ms ({spread:.0f} % apart)"
    named = ", ".join(map(str, counts))
    return Row(f"one call among {named} servers", "", shown, "", "within 10 %", spread > 10)


async def lists(home: Home, seconds: float) -> Row:
    """The list of 3,000 tools."""
    home.write(*(entry(number, tools=150) for number in range(20)))
    with serve(home) as served:
        home.wait_until_connected()
        peer = Peer(served.url, TOKEN)
        (connection,) = await peer.connect()
        took = await one_at_a_time(connection, peer.request("tools/list"), seconds)
        connection.close()
        served.stop()
    return Row("list of 3,000 tools", "", f"{median(took) * 1e3:.2f} ms")


async def screen(home: Home, seconds: float) -> Sequence[Row]:
    """Calls at a steady pace while the screen shows each of 50 rows change, and what that costs."""
    home.write("[proxy]\nport = 0\n", *(entry(number, tools=5) for number in range(ROWS)))
    with Terminal(home, "--config", str(home.config), columns=120, rows=70) as terminal:
        psutil.Process(terminal.process.pid).cpu_affinity([OTHER_CORE])
        stop = threading.Event()
        drawing = threading.Thread(
            target=lambda: terminal.read_until(stop.is_set, 300, "the end"), daemon=True
        )
        drawing.start()
        eventually(home.all_connected, 60, "all connected")
        snapshot = home.snapshot()
        assert snapshot is not None
        assert snapshot.proxy is not None
        assert snapshot.proxy.url is not None
        psutil.Process(snapshot.proxy.pid).cpu_affinity([OTHER_CORE])
        peer = Peer(snapshot.proxy.url, TOKEN)
        (connection,) = await peer.connect()
        requests = [peer.call(SMALL, f"s{number:03}__echo") for number in range(ROWS)]
        await asyncio.sleep(2)
        drawn = len(terminal.output)
        before, began = cpu(terminal.process.pid), time.perf_counter()
        took = []
        for number in range(int(seconds * PACE)):
            await asyncio.sleep(max(0.0, began + number / PACE - time.perf_counter()))
            start = time.perf_counter()
            await connection.ask(requests[number % ROWS])
            took.append((time.perf_counter() - start) * 1e3)
        share = 100 * (cpu(terminal.process.pid) - before) / (time.perf_counter() - began)
        assert len(terminal.output) - drawn > 1_000 * seconds, "nothing was drawn"
        connection.close()
        stop.set()
        drawing.join()
    took.sort()
    shown, goal, missed = at_most(took[int(len(took) * 0.99)], 5, "ms")
    name = f"screen open, {ROWS} rows changing, {PACE} calls/s: 99th percentile"
    ui, ui_goal, ui_missed = at_most(share, 6, "% of a core")
    return (
        Row(name, "", shown, "", goal, missed),
        Row("— the screen's process", "", ui, "", ui_goal, ui_missed),
    )


async def sessions(home: Home, seconds: float) -> Row:
    """Calls of one client while 50 others hear of a resource that changes all the time."""
    home.write(entry(0), entry(1))
    with serve(home) as served:
        home.wait_until_connected()
        streams = []
        for _ in range(SESSIONS):
            client = Peer(served.url, TOKEN)
            (connection,) = await client.connect()
            await connection.ask(client.request("resources/subscribe", {"uri": "x://1"}))
            connection.close()
            streams.append(await Stream.open(client, client.session))
        caller = Peer(served.url, TOKEN, tool="s001__echo")
        one, two = await caller.connect(2)
        quiet = await one_at_a_time(one, caller.call(SMALL), seconds)
        touching = asyncio.create_task(_touch(two, caller, seconds))
        busy = await one_at_a_time(one, caller.call(SMALL), seconds)
        touches = await touching
        await asyncio.sleep(0.5)
        heard = [stream.data.count(b"resources/updated") for stream in streams]
        for stream in streams:
            stream.close()
        one.close()
        two.close()
        served.stop()
    shown = (
        f"{median(busy) * 1e3:.2f} ms, 99 %: {busy[int(len(busy) * 0.99)] * 1e3:.1f} ms;"
        f" {100 * min(heard) / touches:.0f} % heard by each"
    )
    name = f"one call while {SESSIONS} sessions hear {TOUCHES} notices/s each"
    return Row(name, f"{median(quiet) * 1e3:.2f} ms in quiet", shown)


async def _touch(connection: Asks, peer: Peer, seconds: float) -> int:
    """Have a resource change at a steady pace; how often."""
    began = time.perf_counter()
    count = 0
    while (now := time.perf_counter() - began) < seconds:
        await connection.ask(peer.call(SMALL, "s000__touch"))
        count += 1
        await asyncio.sleep(max(0.0, count / TOUCHES - now))
    return count
