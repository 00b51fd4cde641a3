"""Who hears what one server says that belongs to no call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.errors import RpcError
from mcpmux_tui.model.protocol import METHOD_NOT_FOUND, QUESTIONS


@dataclass(frozen=True, slots=True)
class Audience:
    """Implements Client for all clients of one server together."""

    server: str
    heard: Callable[[str, str, bytes], None]
    """Called with the server, the method and the params of a notification."""

    @property
    def owner(self) -> None:
        """Nobody in particular."""
        return

    def notified(self, method: str, params: bytes) -> None:
        self.heard(self.server, method, params)

    async def asked(self, method: str, params: bytes) -> bytes:
        raise refusal(method)


def refusal(method: str) -> RpcError:
    """The error for a server's question that the client of the call cannot answer."""
    what = QUESTIONS.get(method, method)
    text = f"The client of this call takes no {what} requests."
    return RpcError(jsonrpc.error_object(METHOD_NOT_FOUND, text), METHOD_NOT_FOUND, text)


def level_of(params: bytes) -> int:
    """How grave a log message is."""
    level = text_member(params, "level")
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def text_member(params: bytes, key: str) -> str | None:
    """A string member of raw params, None where there is none."""
    try:
        member = jsonrpc.parse_object(params.decode("utf-8")).get(key)
    except jsonrpc.Malformed:
        return None
    return None if member is None else member.text


LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Of log messages, the most talkative first (RFC 5424)."""
