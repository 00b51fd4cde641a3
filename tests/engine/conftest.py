from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures import leaks


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """No process, task, thread or descriptor outlives a test."""
    async for _ in leaks.checked():
        yield
