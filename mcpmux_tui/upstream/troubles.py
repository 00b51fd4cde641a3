"""What can go wrong with one server, finer than the errors other rooms see.

Messages here are phrases without the server's name, as they stand in its row ("exited with code 3
after 0.4 s"); the name is added once, where an error leaves this room.

NotConnected
└── Unreachable          no connection came about; nothing was sent
    └── NotTrusted       its certificate does not prove who it is: a person has to look
ConnectionLost
├── Ended                the process is gone, or closed a pipe it speaks MCP on
├── NotUnderstood        it answered something that is no MCP message
└── SessionExpired       HTTP 404 for a session of ours; the request never ran
"""

from __future__ import annotations

import math

from mcpmux_tui.model.errors import (
    ConnectionLost,
    NotConnected,
    RequestTimeout,
    SignInRequired,
    UpstreamError,
)


class Unreachable(NotConnected):
    """No connection came about; nothing was sent."""


class NotTrusted(Unreachable):
    """Its certificate does not prove who it is."""

    permanent = True


def not_authorized(*, brings_authorization: bool = True) -> SignInRequired:
    """The error for HTTP 401 where nobody can sign in."""
    return SignInRequired(
        "not authorized (HTTP 401)",
        "It does not accept the `Authorization` header of its entry. Correct that in the config;"
        " then retry."
        if brings_authorization
        else "Nobody can sign in to an address that is not https. Where you have a token for this"
        " server, set it as an `Authorization` header in its `headers`; then retry.",
    )


class Ended(ConnectionLost):
    """A process is gone; `last_lines` are the last ones of its stderr, raw."""

    def __init__(self, message: str, hint: str = "", *, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.last_lines = last_lines


class NotUnderstood(ConnectionLost):
    """The address answered something that is no MCP message.

    `permanent` says that asking again cannot help; `status` and `retry_after` (seconds) are those
    of the HTTP answer.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        permanent: bool = True,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        if retry_after is not None:
            hint = f"It asks for a pause; retry in {math.ceil(retry_after)} s."
        super().__init__(message, hint)
        self.permanent = permanent
        self.status = status
        self.retry_after = retry_after

    def with_pause(self, seconds: float) -> NotUnderstood:
        """The same for a request that was not even sent, because the pause is not over."""
        return NotUnderstood(self.message, permanent=False, status=self.status, retry_after=seconds)


class SessionExpired(ConnectionLost):
    """The server does not know our session any more; the request never ran."""

    def __init__(self) -> None:
        super().__init__("does not know the session (HTTP 404)", "Reconnect it.")


def outward(name: str, error: UpstreamError) -> UpstreamError:
    """An error as other rooms see it: of a kind they know, with the server's name in front."""
    message = f"{name}: {error.message}"
    told: UpstreamError
    match error:
        case NotConnected():
            told = NotConnected(message, error.hint)
        case RequestTimeout():
            told = RequestTimeout(message, error.hint)
        case ConnectionLost():
            told = ConnectionLost(message, error.hint)
        case _:
            return error
    told.status, told.retry_after = error.status, error.retry_after
    return told
