"""The client scenarios of the official conformance suite that are about signing in.

    MCPMUX_CONFORMANCE=FOLDER python -m pytest -m conformance -n 0 tests/conformance

suite.py tells what FOLDER holds; sign_in_client.py is what each scenario starts.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.conftest import Column
from tests.conformance.suite import CHOSEN, FOLDER, SIGN_IN, Parts

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.timeout(900),
    pytest.mark.skipif(FOLDER is None, reason="MCPMUX_CONFORMANCE names no folder of parts"),
]


@pytest.mark.parametrize("revision", SIGN_IN)
def test_every_required_sign_in_scenario_passes(
    revision: str, columns: dict[str, Column], tmp_path: Path
) -> None:
    assert FOLDER is not None
    parts = Parts(Path(FOLDER).resolve())
    names = parts.sign_in_scenarios(revision)
    command = f"{sys.executable} -m tests.conformance.sign_in_client"
    with ThreadPoolExecutor(2) as pool:
        results = dict(
            zip(
                names,
                pool.map(lambda name: parts.run_client(command, revision, name, tmp_path), names),
                strict=True,
            )
        )
    columns.setdefault("sign-in", {})[revision] = results
    broken = [f"{name}: {why}" for name, result in results.items() for why in result.failures]
    if broken:
        pytest.fail("\n".join([f"the checks are in {tmp_path}", *broken]), pytrace=False)
    assert CHOSEN or len(results) == SIGN_IN[revision]
