from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.program import Home, eventually, home_at


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A user's home; none of its servers outlives the test."""
    for home in home_at(tmp_path / "home"):
        yield home
        eventually(home.is_empty, 10, "the end of every server")
