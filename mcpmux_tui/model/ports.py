"""The ports between rooms: what one room offers another without either importing the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    @property
    def channel(self) -> Channel | None:
        """The live channel, if there is one."""
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


class Secrets(Protocol):
    """Keeps secrets under names such as `server/github`. Implemented by `vault.store`.

    Every method raises VaultError.
    """

    async def read(self, item: str, *, fresh: bool = False) -> str | None:
        """The value, None where there is none; `fresh`: as it is now, not as it was cached."""
        ...

    async def write(self, item: str, value: str) -> None:
        """Keep a value; it is kept once this returns."""
        ...

    async def delete(self, item: str) -> None:
        """Keep it no longer; one that is not there is no error."""
        ...


class Stored(Protocol):
    """The values people gave by name. Implemented by `vault.values`."""

    async def value(self, name: str) -> str | None:
        """The value, None where nobody gave one. Raises VaultError."""
        ...


class Credentials(Protocol):
    """Who asks, on the requests to one server. Implemented by `auth.tokens.TokenManager`.

    `auth.attach.BearerAuth` calls it for an HTTP client.
    """

    async def headers(self) -> Mapping[str, str]:
        """The headers that say who asks; none while nobody is signed in.

        Waits for a token that has run out to be renewed. Raises SignInRequired and
        TokenUnavailable.
        """
        ...

    async def refused(
        self, status: int, challenges: Sequence[str], sent: Mapping[str, str], *, again: bool
    ) -> bool:
        """The server answered 401 or 403 to a request that had the headers `sent`.

        True: the same request may be sent once more, with new `headers`. `challenges` are the
        values of its `WWW-Authenticate`; `again` says that this was the second try. Raises
        SignInRequired and TokenUnavailable.
        """
        ...
