"""What a server says of itself: each message goes to the client whose call it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from typing import Final

from mcpmux_tui.model import jsonrpc, rawjson
from mcpmux_tui.model.channel import Client
from mcpmux_tui.model.errors import RpcError
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.protocol import (
    CANCELLED,
    ELICITATION_COMPLETE,
    LOG_MESSAGE,
    METHOD_NOT_FOUND,
    PROGRESS,
    QUESTIONS,
    RESOURCE_UPDATED,
)
from mcpmux_tui.upstream.calls import Calls
from mcpmux_tui.upstream.limits import Limits

_NOTICES: Final = frozenset({RESOURCE_UPDATED, ELICITATION_COMPLETE})
"""Notifications for whoever asked to hear of their subject."""


class Inbox:
    """Takes the requests and notifications of one server that are not about its lists.

    What belongs to no call, or to one of several clients by guess only, goes to `audience`: the
    engine's side of this server. `owner` is the client that this session was opened for.
    """

    def __init__(
        self,
        calls: Calls,
        audience: Client,
        *,
        reply: Callable[[bytes], Awaitable[None]],
        spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        limits: Limits,
    ) -> None:
        self.owner: Client | None = None
        self._calls = calls
        self._audience = audience
        self._reply = reply
        self._spawn = spawn
        self._limits = limits
        self._answering: dict[bytes, asyncio.Task[None]] = {}

    def notified(self, method: str, params: bytes, of: bytes | None) -> None:
        """Take a notification; `of` is the call in whose answer it came, where that is known."""
        if method == PROGRESS:
            self._calls.progress(params)
        elif method == CANCELLED:
            self._withdrawn(params)
        elif method in _NOTICES:
            self._audience.notified(method, params)
        elif method == LOG_MESSAGE:
            about = self._calls.about(of)
            if len(about) == 1 and (client := about[0].client) is not None:
                client.notified(method, params)
            elif not about:
                (self.owner or self._audience).notified(method, params)
            # One of several clients is meant, and none may hear what belongs to another.

    def asked(self, message: Message, of: bytes | None) -> None:
        """Take a request; more unanswered ones than the limit are a flood, and are dropped."""
        raw_id, method = message.id, message.method or ""
        if raw_id is None or len(self._answering) >= self._limits.answers:
            return
        answer = self._answer(raw_id, method, message.params or b"{}", of)
        self._answering[raw_id] = self._spawn(answer)

    def _withdrawn(self, params: bytes) -> None:
        """The server does not want an answer any more."""
        member = rawjson.member(params, "requestId")
        task = self._answering.get(member.raw) if member is not None else None
        if task is not None:
            task.cancel()

    async def _answer(self, raw_id: bytes, method: str, params: bytes, of: bytes | None) -> None:
        try:
            if method == "ping":
                answer = jsonrpc.result(raw_id, b"{}")
            elif method in QUESTIONS:
                answer = await self._question(raw_id, method, params, of)
            else:
                text = f"mcpmux does not offer {method[:80]}"
                refusal = jsonrpc.error_object(METHOD_NOT_FOUND, text)
                answer = jsonrpc.error(raw_id, refusal)
            await self._reply(answer)
        finally:
            if self._answering.get(raw_id) is asyncio.current_task():
                del self._answering[raw_id]

    async def _question(self, raw_id: bytes, method: str, params: bytes, of: bytes | None) -> bytes:
        about = self._calls.about(of)
        client = self.owner or self._audience
        if len(about) == 1 and about[0].client is not None:
            client = about[0].client
        elif about:
            client = self._audience
        if not client.takes(method, params):
            client = self._audience
        with ExitStack() as waiting:
            for call in about:
                waiting.enter_context(call.questioned())
            try:
                return jsonrpc.result(raw_id, await client.asked(method, params))
            except RpcError as error:
                return jsonrpc.error(raw_id, error.raw)
