"""The network as a whole: when no other machine can be reached, it is said once, not per row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Reached(Protocol):
    """What is to be known of a server."""

    @property
    def cut_off(self) -> bool | None:
        """Whether no way leads to it; None where that says nothing about the network."""
        ...

    def wake(self) -> None:
        """Try at once."""
        ...


class Outage:
    """Looks at all servers whenever one of them has changed."""

    def __init__(self) -> None:
        self.servers = 0
        """How many servers on other machines are wanted, while none of them can be reached."""

    def look(self, servers: Iterable[Reached]) -> None:
        """Take note; the first that is reached again lets the others try at once."""
        remotes = [each for each in servers if each.cut_off is not None]
        lasts = len(remotes) > 1 and all(each.cut_off for each in remotes)
        if self.servers and not lasts:
            for each in remotes:
                if each.cut_off:
                    each.wake()
        self.servers = len(remotes) if lasts else 0
