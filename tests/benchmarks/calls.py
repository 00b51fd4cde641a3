"""Calls and lists through the proxy, the peer and the bridge, in turns with those without them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from tests.benchmarks.client import Asks, Peer, at_once, one_at_a_time
from tests.benchmarks.machine import cpu
from tests.benchmarks.table import Row, at_most, median, ratio

SMALL, BIG = "x" * 100, "x" * 1_000_000


@dataclass
class Figures:
    """What one peer took, a value a round."""

    one: list[float] = field(default_factory=list)
    """Median milliseconds of a call, one at a time."""
    agents: list[float] = field(default_factory=list)
    """The same of calls as agents write them."""
    tail: list[float] = field(default_factory=list)
    """99th percentile over the median."""
    rate: list[float] = field(default_factory=list)
    """Calls a second, 32 at once."""
    big: list[float] = field(default_factory=list)
    """Milliseconds of 1 MB there and back."""
    cpu: list[float] = field(default_factory=list)
    """CPU seconds per 1,000 calls, of the process between alone."""
    lists: list[float] = field(default_factory=list)
    """Milliseconds of the whole list."""


@dataclass
class Measured:
    """One way to the echo server: what is between, and how it is called."""

    peer: Peer
    pid: int | None = None
    connections: Sequence[Asks] = ()
    """Open ones; else 32 are opened for each round."""
    agents: bool = False
    big: bool = True
    lists: bool = False
    stopped: bool = False
    """Stands still while others are measured: on their core it works when nobody asks it, too."""
    figures: Figures = field(default_factory=Figures)

    async def measure(self, seconds: float) -> None:
        """One round."""
        if not self.stopped or self.pid is None:
            await self._measure(seconds)
            return
        process = psutil.Process(self.pid)
        process.resume()
        try:
            await self._measure(seconds)
        finally:
            process.suspend()

    async def _measure(self, seconds: float) -> None:
        figures, peer = self.figures, self.peer
        connections = self.connections or await peer.connect(32)
        one, small = connections[0], peer.call(SMALL)
        await one_at_a_time(one, small, seconds / 5)
        took = await one_at_a_time(one, small, seconds)
        figures.one.append(median(took) * 1e3)
        figures.tail.append(took[int(len(took) * 0.99)] / median(took))
        if self.agents:
            took = await one_at_a_time(one, small, seconds, *peer.agents_calls())
            figures.agents.append(median(took) * 1e3)
        if len(connections) > 1:
            before = cpu(self.pid) if self.pid else 0.0
            figures.rate.append(await at_once(connections, small, seconds))
            if self.pid:
                used = cpu(self.pid) - before
                figures.cpu.append(used / (figures.rate[-1] * seconds) * 1e3)
        if self.big:
            took = await one_at_a_time(one, peer.call(BIG), seconds / 2)
            figures.big.append(median(took) * 1e3)
        if self.lists:
            took = await one_at_a_time(one, peer.request("tools/list"), seconds / 4)
            figures.lists.append(median(took) * 1e3)
        if not self.connections:
            for connection in connections:
                connection.close()


GOALS = {
    "stdio server": (2.0, 30.0),
    "stdio server, 2026 client": (2.0, 30.0),
    "HTTP server": (6.0, None),
}


def rows(measured: Mapping[str, Measured], hub: Mapping[str, Measured]) -> Iterator[Row]:
    """All about calls; `measured` begins with the direct one and ends with the bridge."""
    direct = measured["direct"].figures
    for name, (one, share) in GOALS.items():
        ours, theirs = measured[name].figures, hub[name].figures if name in hub else None
        shown, goal, missed = at_most(ratio(ours.one, direct.one), one, "x")
        other = f"{ratio(theirs.one, direct.one):.1f} x" if theirs else ""
        yield Row(f"{name}: one call", f"{median(direct.one):.3f} ms", shown, other, goal, missed)
        if name == "stdio server":
            shown, goal, missed = at_most(median(ours.tail), 2, "x")
            other = f"{median(theirs.tail):.1f} x" if theirs else ""
            yield Row("— its 99th percentile to its median", "", shown, other, goal, missed)
            shown = f"{ratio(ours.agents, direct.agents):.1f} x"
            direct_agents = f"{median(direct.agents):.3f} ms"
            yield Row("— as agents write it, with progress tokens", direct_agents, shown, "")
        yield _rate(name, ours, direct, theirs, share)
        if ours.cpu and name != "HTTP server":
            shown, goal, missed = at_most(median(ours.cpu), 0.04, "s", 3)
            other = f"{median(theirs.cpu):.2f} s" if theirs else ""
            yield Row("— CPU per 1,000 of them", "", shown, other, goal, missed)
        shown, goal, missed = at_most(ratio(ours.big, direct.big), 1.4, "x")
        known = name == "stdio server"
        other = "refused" if theirs else ""
        yield Row(
            "— 1 MB there and back", f"{median(direct.big):.1f} ms", shown, other,
            goal if known else "", missed and known,
        )  # fmt: skip
    ours, theirs = measured["stdio server"].figures, hub["stdio server"].figures if hub else None
    shown, goal, missed = at_most(median(ours.lists), 1.0, "ms", 2)
    other = f"{median(theirs.lists):.1f} ms" if theirs else ""
    yield Row("list of 1,000 tools", "", shown, other, goal, missed)


def _rate(
    name: str, ours: Figures, direct: Figures, theirs: Figures | None, share: float | None
) -> Row:
    of_direct = 100 * ratio(ours.rate, direct.rate)
    shown = f"{of_direct:.0f} % ({median(ours.rate):,.0f}/s)"
    other = f"{100 * ratio(theirs.rate, direct.rate):.0f} %" if theirs else ""
    missed = share is not None and of_direct < share
    if theirs and share is not None:
        times = ratio(ours.rate, theirs.rate)
        shown += f", {times:.1f} x mcp-hub"
        missed = missed or times < 5
    goal = "" if share is None else f"≥ {share:g} %, ≥ 5 x mcp-hub"
    return Row("— 32 at once", f"{median(direct.rate):,.0f}/s", shown, other, goal, missed)
