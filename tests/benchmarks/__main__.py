"""The README's table: `python -m tests.benchmarks [--quick] [--peer mcp-hub]`.

The clients run on the first core, everything else on the second. All ratios are taken between
what alternates in one run; `--peer` names the program of npm's mcp-hub, `--quick` is for a look.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil

from tests.benchmarks import calls, scale, starting
from tests.benchmarks.calls import Measured
from tests.benchmarks.client import Peer, PipePeer, SsePeer
from tests.benchmarks.machine import (
    CLIENT_CORE,
    TOKEN,
    bridge,
    echo_over_http,
    entry,
    hub,
    memory,
    serve,
)
from tests.benchmarks.table import Row, at_most, markdown, median, ratio
from tests.end_to_end.program import Home, home_at


async def run(home: Home, options: argparse.Namespace, rows: list[Row]) -> None:
    """Add all rows, as far as it comes."""
    rounds, seconds = (2, 0.4) if options.quick else (5, 1.0)
    rows += await everyday(home, options.peer, rounds, seconds)
    rows.append(await starting.starting(home, options.peer, rounds))
    rows.append(await scale.lists(home, seconds))
    counts = (1, 20) if options.quick else scale.COUNTS
    rows.append(await scale.servers(home, seconds, rounds, counts))
    rows.append(await scale.sessions(home, 3 * seconds))
    rows += await scale.screen(home, 5 if options.quick else 20)


async def everyday(home: Home, program: str | None, rounds: int, seconds: float) -> list[Row]:
    """Calls, lists, memory and the bridge, in turns."""
    async with AsyncExitStack() as stack:
        far = await stack.enter_async_context(echo_over_http())
        home.write(*map(entry, range(starting.SERVERS)), f"[servers.far]\nurl = {far!r}\n")
        served = stack.enter_context(serve(home))
        home.wait_until_connected()
        pid = home.pid
        idle = memory(pid)
        stdio = Peer(served.url, TOKEN, tool="s000__echo")
        measured = {
            "direct": Measured(Peer(far), agents=True),
            "stdio server": Measured(stdio, pid, agents=True, lists=True),
            "stdio server, 2026 client": Measured(
                Peer(served.url, TOKEN, tool="s000__echo", modern=True), pid
            ),
            "HTTP server": Measured(Peer(served.url, TOKEN, tool="far__echo"), pid),
        }
        pipe, bridge_pid, _ = await stack.enter_async_context(bridge("--url", far, env=home.env))
        bridged = Measured(PipePeer(tool="echo"), bridge_pid, connections=(pipe,))
        async with _hub(program, home.folder, far) as others:
            for _ in range(rounds):
                for each in (*measured.values(), *others.values(), bridged):
                    async with asyncio.timeout(60):
                        await each.measure(seconds)
        rows = list(calls.rows(measured, others))
        rows += _held(idle, memory(pid))
        starts = [await _start(far, home.env) for _ in range(2 * rounds)]
        rows += _bridge(measured["direct"], bridged, median(starts), memory(bridge_pid))
        served.stop()
        return rows


@asynccontextmanager
async def _hub(program: str | None, folder: Path, far: str) -> AsyncIterator[dict[str, Measured]]:
    if program is None:
        yield {}
        return
    with hub(program, folder, (far,), starting.SERVERS) as (url, pid):
        await starting.until_there(SsePeer(url), 21 * starting.TOOLS)
        psutil.Process(pid).suspend()
        near, other = SsePeer(url, tool="s000__echo"), SsePeer(url, tool="far0__echo")
        yield {
            "stdio server": Measured(near, pid, big=False, lists=True, stopped=True),
            "HTTP server": Measured(other, pid, big=False, stopped=True),
        }


async def _start(url: str, env: dict[str, str]) -> float:
    async with bridge("--url", url, env=env) as (_, _, took):
        return took


def _held(idle: float, after: float) -> list[Row]:
    shown, goal, missed = at_most(idle, 60, "MB", 0)
    loaded, loaded_goal, loaded_missed = at_most(after, 75, "MB", 0)
    return [
        Row("memory of the engine, 21 servers", "", shown, "", goal, missed),
        Row("— after the load", "", loaded, "", loaded_goal, loaded_missed),
    ]


def _bridge(direct: Measured, bridged: Measured, start: float, held: float) -> list[Row]:
    starts, starts_goal, late = at_most(start, 0.08, "s", 3)
    one, one_goal, slow = at_most(ratio(bridged.figures.one, direct.figures.one), 2, "x")
    big = f"{ratio(bridged.figures.big, direct.figures.big):.1f} x"
    shown, goal, missed = at_most(held, 25, "MB", 0)
    return [
        Row("bridge: start to the answer of `initialize`", "", starts, "", starts_goal, late),
        Row("— one call", f"{median(direct.figures.one):.3f} ms", one, "", one_goal, slow),
        Row("— 1 MB there and back", f"{median(direct.figures.big):.1f} ms", big),
        Row("— its memory after that", "", shown, "", goal, missed),
    ]


def main() -> int:
    """Measure and print; whether every goal holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, for a look")
    parser.add_argument("--peer", help="the program mcp-hub")
    options = parser.parse_args()
    psutil.Process().cpu_affinity([CLIENT_CORE])
    rows: list[Row] = []
    try:
        with tempfile.TemporaryDirectory(prefix="mcpmux-bench-") as folder:
            for home in home_at(Path(folder, "home")):
                home.env["MCPMUX_TOKEN"] = TOKEN
                asyncio.run(run(home, options, rows))
    finally:
        print(markdown(rows, "mcp-hub" if options.peer else "no peer"))
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
