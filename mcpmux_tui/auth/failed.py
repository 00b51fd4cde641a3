"""Why a sign-in came to nothing."""

from __future__ import annotations

from mcpmux_tui.model.errors import McpmuxError


class SignInFailed(McpmuxError):
    """A sign-in cannot begin or did not end well; nothing that was kept has changed."""


class ClientUnknown(SignInFailed):
    """An authorization server no longer knows the client that mcpmux had registered there."""


class SignInDeclined(SignInFailed):
    """A person said no at the authorization server."""

    def __init__(self) -> None:
        super().__init__("The sign-in was declined.", "")
