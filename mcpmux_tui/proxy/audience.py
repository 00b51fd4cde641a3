"""Who hears what one server says that belongs to no call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from mcpmux_tui.model import jsonrpc, rawjson
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import RpcError
from mcpmux_tui.model.protocol import ELICIT, METHOD_NOT_FOUND, QUESTIONS
from mcpmux_tui.proxy.questions import Questions

LEVELS: Final = (
    "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency",
)  # fmt: skip
"""Of log messages, the most talkative first (RFC 5424)."""
Subscription = tuple[str, str]
"""Server and address of a resource."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Implements Client for all clients of one server together."""

    server: str
    heard: Callable[[str, str, bytes], None]
    """Called with the server, the method and the params of a notification."""
    questions: Questions
    """For the person, who answers where no client can."""

    @property
    def owner(self) -> None:
        """Nobody in particular."""
        return

    def notified(self, method: str, params: bytes) -> None:
        self.heard(self.server, method, params)

    def takes(self, method: str, params: bytes) -> bool:
        return True

    async def asked(self, method: str, params: bytes) -> bytes:
        return await self.questions.ask(self.server, method, params)


def may_be_asked(caller: Caller, method: str, params: bytes) -> bool:
    """Whether a client declared that it answers a server's question of this kind."""
    declared = rawjson.member(caller.capabilities, QUESTIONS.get(method, ""))
    if declared is None or method != ELICIT or text_member(params, "mode") != "url":
        return declared is not None
    return isinstance(declared.value, dict) and "url" in declared.value


def refusal(method: str) -> RpcError:
    """The error for a server's question that the client of the call cannot answer."""
    what = QUESTIONS.get(method, method)
    text = f"The client of this call takes no {what} requests."
    return jsonrpc.rpc_error(jsonrpc.error_object(METHOD_NOT_FOUND, text))


def grave_enough(params: bytes, level: str) -> bool:
    """Whether a log message is for a client that wants those from a level on."""
    own = text_member(params, "level")
    return own not in LEVELS or LEVELS.index(own) >= LEVELS.index(level)


def watched(subscriptions: Iterable[Subscription], server: str) -> frozenset[str]:
    """The addresses at a server that subscriptions are about."""
    return frozenset(uri for name, uri in subscriptions if name == server)


def concerns(subscriptions: Iterable[Subscription], server: str, params: bytes) -> bool:
    """Whether an update at a server is of one of them, or of a part of one."""
    updated = text_member(params, "uri") or ""
    return any(updated.startswith(uri) for uri in watched(subscriptions, server))


def text_member(params: bytes, key: str) -> str | None:
    """A string member of raw params, None where there is none."""
    member = rawjson.member(params, key)
    return None if member is None else member.text
