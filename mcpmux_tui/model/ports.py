"""The ports between rooms: what one room offers another without either importing the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mcpmux_tui.model.channel import Channel, Lists, Wishes
from mcpmux_tui.model.server import ServerSnapshot
from mcpmux_tui.model.spec import Launch, ServerSpec


class Upstream(Protocol):
    """One server, as the proxy and the engine see it. Implemented by `upstream.Supervisor`."""

    @property
    def spec(self) -> ServerSpec: ...

    @property
    def snapshot(self) -> ServerSnapshot: ...

    @property
    def lists(self) -> Lists:
        """The last good lists; kept while the server is away, empty while it is disabled."""
        ...

    async def ready(self, patience: float) -> Channel:
        """The live channel, waited for at most `patience` seconds while the server is on its way.

        Raises NotConnected with the state's own sentence and hint.
        """
        ...

    def wish(self, wishes: Wishes) -> None:
        """Have the server tell what clients want to hear; kept over reconnects."""
        ...

    def forget_client(self, key: str) -> None:
        """A client that may have had a session of its own is gone."""
        ...

    def record_call(self, tool: str, *, ok: bool) -> None:
        """Count one finished call, for the row."""
        ...


class Values(Protocol):
    """Fills placeholders. Implemented by `config.resolve`."""

    async def resolve(self, launch: Launch) -> Launch:
        """Return `launch` with every placeholder filled.

        Raises InputMissing with all names that have no value.
        """
        ...

    def environment(self) -> Mapping[str, str]:
        """The environment that placeholders, PATH look-ups and inherited groups come from."""
        ...


class Journal(Protocol):
    """Takes log lines. Implemented by `activity.log`."""

    def record(self, server: str, line: str, *, source: str = "stderr") -> None:
        """Add one line (raw text, any length, no line feed) to a server's log; never blocks."""
        ...
