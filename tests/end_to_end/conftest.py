from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.program import Home, home_at
from tests.fixtures import leaks


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """No process, task, thread or descriptor outlives a test."""
    async for _ in leaks.checked():
        yield


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    yield from home_at(tmp_path / "home")
