"""Results of pure functions of text that come again and again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

_LONGEST = 4096
_KEPT = 256
T = TypeVar("T")


def remembered(function: Callable[[str], T]) -> Callable[[str], T]:
    """The same function, which looks up what it was asked lately; long texts are not kept."""
    known = functools.lru_cache(maxsize=_KEPT)(function)

    @functools.wraps(function)
    def look_up(text: str) -> T:
        return known(text) if len(text) <= _LONGEST else function(text)

    return look_up
