"""Rows of the README's table: what was measured, and whether it is where it should be."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

median = statistics.median


@dataclass(frozen=True)
class Row:
    """One figure: without mcpmux, with it, through the peer, and its goal."""

    name: str
    direct: str
    ours: str
    hub: str = ""
    goal: str = ""
    missed: bool = False


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of each round's ratio."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def at_most(value: float, goal: float, unit: str, digits: int = 1) -> tuple[str, str, bool]:
    """A figure, its goal, and whether it was missed."""
    return f"{value:.{digits}f} {unit}", f"≤ {goal:g} {unit}", value > goal


def markdown(rows: Sequence[Row], peer: str) -> str:
    """The table; figures that miss their goal are marked."""
    lines = [f"| | without mcpmux | mcpmux | {peer} | goal |", "|---|---|---|---|---|"]
    for row in rows:
        ours = f"{row.ours} (missed)" if row.missed else row.ours
        lines.append(f"| {row.name} | {row.direct} | {ours} | {row.hub} | {row.goal} |")
    return "\n".join(lines)
