"""Waits that double between tries."""

from __future__ import annotations

import random


class Backoff:
    """Gives `first`, 2 * `first`, ... up to `most` seconds, each longer by up to `jitter`."""

    def __init__(self, first: float, most: float, jitter: float) -> None:
        self._first = first
        self._most = most
        self._jitter = jitter
        self.count = 0
        """Waits given since the last reset."""

    def next(self, most: float | None = None) -> float:
        """The next wait in seconds, never below `first`; `most` instead of the usual one."""
        # Beyond 2**30 only the cap matters; a larger exponent would overflow a float one day.
        wait = min(self._most if most is None else most, self._first * 2.0 ** min(self.count, 30))
        self.count += 1
        return wait * random.uniform(1.0, 1.0 + self._jitter)  # noqa: S311

    def reset(self) -> None:
        """Begin again at `first`."""
        self.count = 0
