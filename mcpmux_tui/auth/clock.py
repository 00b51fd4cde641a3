"""The two clocks that a token's end is told by."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds; tests set their own.

    The date goes on while the machine sleeps and may be set at any time; the other clock is never
    set and may stop during sleep. What either calls over is over.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
