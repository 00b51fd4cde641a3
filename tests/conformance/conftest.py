"""Prints one table of all set-ups at the end, whether they passed or not."""

from __future__ import annotations

import pytest

from tests.conformance.suite import REQUIRED, Result

Column = dict[str, dict[str, Result]]
"""The results of one set-up: by revision, then by scenario."""

COLUMNS = pytest.StashKey[dict[str, Column]]()


@pytest.fixture
def columns(pytestconfig: pytest.Config) -> dict[str, Column]:
    """The table's columns by the name of their set-up."""
    return pytestconfig.stash.setdefault(COLUMNS, {})


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write the table."""
    columns = config.stash.get(COLUMNS, {})
    if not columns:
        return
    terminalreporter.section("conformance")
    terminalreporter.write_line(row("", *columns))
    for revision in REQUIRED:
        parts = [column.get(revision, {}) for column in columns.values()]
        for scenario in dict.fromkeys(name for part in parts for name in part):
            cells = [str(part.get(scenario, "")) for part in parts]
            terminalreporter.write_line(row(f"{revision} {scenario}", *cells))
    for revision in REQUIRED:
        parts = [column.get(revision, {}) for column in columns.values()]
        totals = [f"{sum(each.ok for each in part.values())} of {len(part)}" for part in parts]
        terminalreporter.write_line(row(f"total {revision}", *totals))


def row(first: str, *cells: str) -> str:
    """One line of the table."""
    return "".join([f"{first:<57}", *(f"{cell:<22}" for cell in cells)]).rstrip()
