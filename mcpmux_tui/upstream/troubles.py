"""What can go wrong with one server, finer than the errors other rooms see.

Messages here are phrases without the server's name, as they stand in its row ("exited with code 3
after 0.4 s"); the name is added once, where an error leaves this room.

NotConnected
├── Unreachable          no connection came about; nothing was sent
└── SignInNeeded         HTTP 401
ConnectionLost
├── Ended                the process is gone, or closed a pipe it speaks MCP on
├── NotUnderstood        it answered something that is no MCP message
└── SessionExpired       HTTP 404 for a session of ours; the request never ran
"""

from __future__ import annotations

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.errors import ConnectionLost, NotConnected, RpcError
from mcpmux_tui.model.jsonrpc import Malformed
from mcpmux_tui.model.protocol import INTERNAL_ERROR
from mcpmux_tui.text import one_line


class Unreachable(NotConnected):
    """No connection came about; nothing was sent."""


class SignInNeeded(NotConnected):
    """The server wants to know who asks."""

    def __init__(self) -> None:
        super().__init__(
            "not authorized (HTTP 401)",
            "Signing in is not possible yet. Where you have a token for this server, set it as an"
            " `Authorization` header in its `headers` in the config; then retry.",
        )


class Ended(ConnectionLost):
    """A process is gone; `last_lines` are the last ones of its stderr, raw."""

    def __init__(self, message: str, hint: str = "", *, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.last_lines = last_lines


class NotUnderstood(ConnectionLost):
    """The address answered something that is no MCP message.

    `permanent` says that asking again cannot help.
    """

    def __init__(self, message: str, hint: str = "", *, permanent: bool = True) -> None:
        super().__init__(message, hint)
        self.permanent = permanent


class SessionExpired(ConnectionLost):
    """The server does not know our session any more; the request never ran."""

    def __init__(self) -> None:
        super().__init__("does not know the session (HTTP 404)", "Reconnect it.")


def rpc_error(raw: bytes) -> RpcError:
    """The error a server answered, with its code and a clean message for people."""
    try:
        members = jsonrpc.parse_object(jsonrpc.decode(raw))
        code = int(str(members["code"].value))
        message = str(members["message"].value)
    except (Malformed, KeyError, ValueError):
        code, message = INTERNAL_ERROR, "answered an error without code and message"
    return RpcError(raw, code, one_line(message))
