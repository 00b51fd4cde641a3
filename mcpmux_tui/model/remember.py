"""Results of pure functions of texts that come again and again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

_LONGEST = 4096
_KEPT = 256
T = TypeVar("T")
Text = TypeVar("Text", str, bytes)


def remembered(function: Callable[[Text], T]) -> Callable[[Text], T]:
    """The same function, which looks up what it was asked lately; long texts are not kept."""
    known = functools.lru_cache(maxsize=_KEPT)(function)

    @functools.wraps(function)
    def look_up(text: Text) -> T:
        return known(text) if len(text) <= _LONGEST else function(text)

    return look_up
