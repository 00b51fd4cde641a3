from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.program import Home, home_at


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    yield from home_at(tmp_path / "home")
