"""The official conformance suite, directly against the reference server and through mcpmux.

    MCPMUX_CONFORMANCE=FOLDER python -m pytest -m conformance -n 0 tests/conformance

suite.py tells what FOLDER holds. `-k stdio` chooses a set-up; MCPMUX_CONFORMANCE_SCENARIOS, a list
with commas, scenarios.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conformance.conftest import Column
from tests.conformance.suite import CHOSEN, FOLDER, REQUIRED, Parts
from tests.end_to_end.program import Served, home_at

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(FOLDER is None, reason="MCPMUX_CONFORMANCE names no folder of parts"),
]


@contextmanager
def through_mcpmux(folder: Path, *entries: str) -> Iterator[str]:
    """The address of the server `everything` in a `mcpmux serve` with nothing but these entries."""
    with contextmanager(home_at)(folder) as home:
        home.write(*entries)
        with Served(home, "--port", "0", "--no-auth") as served:
            assert served.listening, served.finish()
            home.wait_until_connected()
            yield f"{served.url.removesuffix('/mcp')}/mcp/everything"


def over_http(name: str, url: str) -> str:
    """TOML of a server over HTTP; a JSON string is a TOML string."""
    return f"[servers.{name}]\nurl = {json.dumps(url)}\n"


def over_stdio(name: str, parts: Parts) -> str:
    """TOML of the reference server as a command."""
    command, *args = parts.command("stdio")
    return f"[servers.{name}]\ncommand = {json.dumps(command)}\nargs = {json.dumps(args)}\n"


@pytest.mark.parametrize("setup", ["direct", "http", "stdio", "beside"])
def test_every_required_scenario_passes(
    setup: str, columns: dict[str, Column], tmp_path: Path
) -> None:
    """`http` and `stdio` are how mcpmux reaches the server; `beside` is http beside its twin."""
    assert FOLDER is not None
    parts = Parts(Path(FOLDER).resolve())
    column = columns.setdefault(setup, {})
    for revision in REQUIRED:
        folder = tmp_path / f"{setup}-{revision}"
        folder.mkdir()
        with ExitStack() as stack:
            entries: list[str] = []
            if setup == "stdio":
                entries = [over_stdio("everything", parts)]
            else:
                url = stack.enter_context(parts.reference(folder / "reference.log"))
                if setup in {"http", "beside"}:
                    entries = [over_http("everything", url)]
                if setup == "beside":
                    entries.append(over_stdio("beside", parts))
            if entries:
                url = stack.enter_context(through_mcpmux(folder / "home", *entries))
            column[revision] = parts.run(url, revision, folder / "results")

    broken = [
        f"{revision} {scenario}: {failure}"
        for revision, results in column.items()
        for scenario, result in results.items()
        for failure in result.failures
    ]
    if broken:
        pytest.fail("\n".join([f"the checks are in {tmp_path}", *broken]), pytrace=False)
    if CHOSEN:
        assert {name for results in column.values() for name in results} == set(CHOSEN)
    else:
        assert {revision: len(results) for revision, results in column.items()} == REQUIRED
