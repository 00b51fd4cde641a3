"""Calls through the proxy against the same calls without it: ratios of one run, and their floors.

The client runs on the first core, `mcpmux serve` and all servers on the second.

    python -m tests.benchmarks.calls [ROUNDS]
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.benchmarks.client import Connection, Peer, at_once, one_at_a_time
from tests.end_to_end.program import Home, Served, home_at

ECHO = Path(__file__).with_name("echo.py")
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
SERVERS, TOOLS = 20, 50
TOKEN = "benchmark"
SMALL, BIG = "x" * 100, "x" * 1_000_000
CLIENT_CORE, OTHER_CORE = 0, 1
MB = 1e6


@dataclass
class Figures:
    """What one peer took, a value a round."""

    one: list[float] = field(default_factory=list)
    """Median milliseconds of a call, one at a time."""
    tail: list[float] = field(default_factory=list)
    """99th percentile over the median."""
    rate: list[float] = field(default_factory=list)
    """Calls a second, 32 at once."""
    big: list[float] = field(default_factory=list)
    """Milliseconds of 1 MB there and back."""
    cpu: list[float] = field(default_factory=list)
    """CPU seconds per 1,000 calls, of the proxy alone."""


async def measure(
    peer: Peer, figures: Figures, seconds: float, process: psutil.Process | None = None
) -> None:
    """One round at one peer."""
    connections = await peer.connect(32)
    small, big = peer.call(SMALL), peer.call(BIG)
    await one_at_a_time(connections[0], small, 0.2)
    took = sorted(await one_at_a_time(connections[0], small, seconds))
    figures.one.append(statistics.median(took) * 1e3)
    figures.tail.append(took[int(len(took) * 0.99)] / statistics.median(took))
    before = sum(process.cpu_times()[:2]) if process else 0.0
    figures.rate.append(await at_once(connections, small, seconds))
    if process:
        used = sum(process.cpu_times()[:2]) - before
        figures.cpu.append(used / (figures.rate[-1] * seconds) * 1e3)
    figures.big.append(statistics.median(await one_at_a_time(connections[0], big, seconds)) * 1e3)
    for connection in connections:
        close(connection)


def close(connection: Connection) -> None:
    assert connection.transport is not None
    connection.transport.close()


@asynccontextmanager
async def echo_over_http() -> AsyncIterator[str]:
    """The address of an echo server."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ECHO), "http", str(TOOLS)), stdout=asyncio.subprocess.PIPE
    )
    psutil.Process(process.pid).cpu_affinity([OTHER_CORE])
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


def entry(number: int) -> str:
    args = [str(ECHO), "stdio", "--tools", str(TOOLS)]
    return f"[servers.s{number:02}]\ncommand = {sys.executable!r}\nargs = {args!r}\n"


def spawn_all() -> float:
    """Seconds to start all servers and have all their lists, without anything in between."""
    ask = (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}\n'
        b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n'
    )
    started = time.perf_counter()
    children = [
        subprocess.Popen(
            ["taskset", "-c", str(OTHER_CORE), sys.executable, str(ECHO), "stdio", "--tools", "50"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(SERVERS)
    ]  # fmt: skip
    for child in children:
        assert child.stdin is not None
        child.stdin.write(ask)
        child.stdin.flush()
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.readline()
    took = time.perf_counter() - started
    for child in children:
        child.communicate()
    return took


async def until_listed(peer: Peer) -> bytes:
    """The first list with every server's tools."""
    (connection,) = await peer.connect()
    request = peer.request("tools/list")
    while (answer := await connection.ask(request)).count(b'"inputSchema"') < SERVERS * TOOLS:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    close(connection)
    return answer


def serve(home: Home) -> Served:
    return Served(home, "--port", "0", before=("taskset", "-c", str(OTHER_CORE)))


def row(name: str, value: float, unit: str, floor: float, *, at_least: bool = False) -> bool:
    """Print one figure; whether its floor holds."""
    holds = value >= floor if at_least else value <= floor
    sign = ">=" if at_least else "<="
    print(f"{name:<34} {value:>9.2f} {unit:<4} {sign} {floor:<6g} {'' if holds else 'MISSED'}")
    return holds


def ratios(ours: list[float], theirs: list[float]) -> float:
    """The median of each round's ratio."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


async def starting(home: Home) -> tuple[list[float], list[float]]:
    """Seconds to a whole list through a new engine, and of the servers alone, a round each."""
    ours: list[float] = []
    alone: list[float] = []
    home.write(*(entry(number) for number in range(SERVERS)))
    for _ in range(ROUNDS):
        alone.append(spawn_all())
        began = time.perf_counter()
        with serve(home) as served:
            await until_listed(Peer(served.url, TOKEN))
            ours.append(time.perf_counter() - began)
            served.stop()
        # The next one shall not find the lists on the disk.
        shutil.rmtree(home.env["MCPMUX_STATE_DIR"])
    return ours, alone


async def listing(peer: Peer) -> float:
    """Median milliseconds of the whole list."""
    (connection,) = await peer.connect()
    took = await one_at_a_time(connection, peer.request("tools/list"), 0.5)
    close(connection)
    return statistics.median(took) * 1e3


async def run(home: Home) -> bool:
    """All figures, printed; whether every floor holds."""
    held: list[bool] = []
    starts, alone = await starting(home)
    async with echo_over_http() as direct_url:
        far = f"[servers.far]\nurl = {direct_url!r}\n"
        home.write(*(entry(number) for number in range(SERVERS)), far)
        with serve(home) as served:
            home.wait_until_connected()
            proxy = psutil.Process(served.process.pid)
            idle = proxy.memory_info().rss / MB
            direct = Peer(direct_url)
            peers = {
                "stdio": Peer(served.url, TOKEN, tool="s00__echo"),
                "stdio, 2026": Peer(served.url, TOKEN, tool="s00__echo", modern=True),
                "HTTP": Peer(served.url, TOKEN, tool="far__echo"),
            }
            figures = {name: Figures() for name in ("direct", *peers)}
            lists: list[float] = []
            for _ in range(ROUNDS):
                await measure(direct, figures["direct"], 1.0)
                for name, peer in peers.items():
                    await measure(peer, figures[name], 1.0, proxy)
                lists.append(await listing(peers["stdio"]))
            peak = proxy.memory_info().rss / MB
            served.stop()
    report(figures, lists, held)
    median = statistics.median
    held.append(row("start to whole list, 20 servers", ratios(starts, alone), "x", 4.5))
    print(f"    {median(starts):.2f} s, the servers alone {median(alone):.2f} s")
    held.append(row("memory, 21 servers, idle", idle, "MB", 95))
    held.append(row("memory after the load", peak, "MB", 115))
    return all(held)


def report(figures: dict[str, Figures], lists: list[float], held: list[bool]) -> None:
    """Print what calls and lists take."""
    direct = figures["direct"]
    median = statistics.median
    print(
        f"direct: {median(direct.one):.3f} ms, {median(direct.rate):.0f} calls/s at 32,"
        f" 1 MB {median(direct.big):.1f} ms"
    )
    for name, (one, rate) in {
        "stdio": (4.5, 6.0),
        "stdio, 2026": (8.0, 2.5),
        "HTTP": (18.0, 1.2),
    }.items():
        ours = figures[name]
        print(f"{name}: {median(ours.one):.3f} ms, {median(ours.rate):.0f} calls/s at 32")
        held.append(row(f"{name}: one at a time", ratios(ours.one, direct.one), "x", one))
        share = 100 * ratios(ours.rate, direct.rate)
        held.append(row(f"{name}: rate at 32", share, "%", rate, at_least=True))
        if name == "stdio":
            held.append(row(f"{name}: p99 over p50", median(ours.tail), "x", 4.0))
            held.append(row(f"{name}: CPU s per 1,000 calls", median(ours.cpu), "s", 0.2))
        if name != "HTTP":
            held.append(row(f"{name}: 1 MB", ratios(ours.big, direct.big), "x", 2.5))
    held.append(row("list of 1,000 tools", median(lists), "ms", 4.0))


if __name__ == "__main__":
    psutil.Process().cpu_affinity([CLIENT_CORE])
    with tempfile.TemporaryDirectory(prefix="mcpmux-bench-") as folder:
        for home in home_at(Path(folder, "home")):
            home.env["MCPMUX_TOKEN"] = TOKEN
            sys.exit(0 if asyncio.run(run(home)) else 1)
