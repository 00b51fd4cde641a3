"""How long an access token is still good, by two clocks."""

from __future__ import annotations

from mcpmux_tui.auth.clock import Clock
from mcpmux_tui.auth.grant import Tokens
from mcpmux_tui.auth.limits import Limits


class Lifetime:
    """The life of the access token in `tokens`, from now on.

    `early` is the share of its life by which it is renewed earlier; `issued` says that it comes
    from a renewal this moment.
    """

    def __init__(
        self,
        tokens: Tokens,
        clock: Clock,
        limits: Limits,
        *,
        early: float = 0.0,
        issued: bool = False,
    ) -> None:
        self.tokens = tokens
        self._clock = clock
        self._limits = limits
        self._early = early
        self._issued = clock.monotonic() if issued else None
        self._whole: float | None = None
        """Seconds it was issued for; None where nobody said."""
        self._ends = 0.0
        if tokens.expires_at is not None:
            self._whole = tokens.expires_at - tokens.obtained_at
            # A date that was wrong then, or is now, gives no token a longer life.
            self._ends = clock.monotonic() + min(tokens.expires_at - clock.wall(), self._whole)

    @property
    def is_over(self) -> bool:
        """It ran out."""
        return self._left <= 0

    @property
    def is_pressing(self) -> bool:
        """It has so little left that a request waits for its renewal."""
        if self._whole is None:
            return False
        limits = self._limits
        return self._left <= min(self._whole * (1 - limits.wait_at), limits.wait_most)

    @property
    def is_due(self) -> bool:
        """It should be renewed beside the requests that use it."""
        return self._whole is not None and self._left <= self._whole * (1 - self._share)

    @property
    def is_new(self) -> bool:
        """It was issued a moment ago: another one now would fare no better."""
        if self._issued is None:
            return False
        rest = self._limits.rest
        if self._whole is not None:
            rest = min(rest, self._whole / 2)
        return self._clock.monotonic() - self._issued < rest

    @property
    def renews_at(self) -> float | None:
        """The date from which it is due; None where that cannot be known."""
        if self._whole is None or self.tokens.refresh is None:
            return None
        return self.tokens.obtained_at + self._whole * self._share

    @property
    def _share(self) -> float:
        return self._limits.renew_at - self._early

    @property
    def _left(self) -> float:
        if self.tokens.expires_at is None:
            return float("inf")
        by_date = self.tokens.expires_at - self._clock.wall()
        return min(by_date, self._ends - self._clock.monotonic())
