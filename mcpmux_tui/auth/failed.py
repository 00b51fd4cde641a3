"""Why a sign-in came to nothing."""

from __future__ import annotations

from mcpmux_tui.model.errors import McpmuxError


class SignInFailed(McpmuxError):
    """A sign-in cannot begin or did not end well; nothing that was kept has changed."""
