"""One client of revisions 2024-11-05 to 2025-11-25, from `initialize` to DELETE."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from mcpmux_tui.model import jsonrpc, rawjson
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.protocol import (
    CANCELLED,
    ELICIT,
    ELICITATION_COMPLETE,
    LOG_MESSAGE,
    RESOURCE_UPDATED,
)
from mcpmux_tui.proxy.audience import (
    Subscription,
    concerns,
    grave_enough,
    may_be_asked,
    refusal,
    text_member,
)
from mcpmux_tui.proxy.stream import EventStream, Reply


@dataclass(slots=True, eq=False)
class Session:
    """One client after `initialize`, bound to the endpoint it was opened on."""

    id: str
    endpoint: str | None
    last_used: float
    patience: float
    """Seconds it may take to answer a question."""
    version: str = ""
    """Agreed on by `initialize`."""
    caller: Caller = field(default_factory=Caller)
    calls: dict[bytes, Callable[[], None]] = field(default_factory=dict)
    """Raw request id -> what takes the call back."""
    streams: list[EventStream] = field(default_factory=list)
    """What it holds open, and the newest that broke off and may be taken up again; newest last."""
    answers: dict[bytes, asyncio.Future[Message]] = field(default_factory=dict)
    """Raw id of a request to the client -> its answer."""
    subscriptions: set[Subscription] = field(default_factory=set)
    """The resources it wants to hear of."""
    elicitations: set[str] = field(default_factory=set)
    """Those it was sent to a page for."""
    log_level: str | None = None
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def owner(self) -> Session:
        """Implements Client: itself."""
        return self

    def notified(self, method: str, params: bytes) -> None:
        """Send a notification on the newest stream."""
        if self.wants(method, params):
            self.tell(jsonrpc.notification(method, params))

    def tell(self, notice: bytes) -> None:
        """Send a notification on the newest stream: of those that are read, if there are any."""
        if self.streams:
            (self._read or self.streams[-1]).tell(notice)

    def heard(self, server: str, method: str, params: bytes) -> None:
        """A server said something that belongs to no call."""
        if method == RESOURCE_UPDATED:
            meant = concerns(self.subscriptions, server, params)
        elif method == ELICITATION_COMPLETE:
            meant = text_member(params, "elicitationId") in self.elicitations
        else:
            meant = self.log_level is not None and self.endpoint in {None, server}
        if meant:
            self.notified(method, params)

    def takes(self, method: str, params: bytes) -> bool:
        """Whether it can be asked this on a stream of its own."""
        return self.listens and may_be_asked(self.caller, method, params)

    async def asked(self, method: str, params: bytes) -> bytes:
        """Ask on the newest stream. Raises RpcError."""
        if (stream := self._read) is None:
            raise refusal(method)
        return await self.ask(stream.send, method, params)

    def wants(self, method: str, params: bytes) -> bool:
        """Whether a log message is grave enough for this client; anything else is."""
        level = self.log_level
        return method != LOG_MESSAGE or level is None or grave_enough(params, level)

    async def ask(self, send: Callable[[bytes], None], method: str, params: bytes) -> bytes:
        """Have the client answer a server's question. Raises RpcError."""
        if not may_be_asked(self.caller, method, params):
            raise refusal(method)
        if method == ELICIT and (elicitation := text_member(params, "elicitationId")) is not None:
            self.elicitations.add(elicitation)
        raw_id = b"%d" % next(self._ids)
        answer = self.answers[raw_id] = asyncio.get_running_loop().create_future()
        send(jsonrpc.request(raw_id, method, params))
        try:
            async with asyncio.timeout(self.patience):
                message = await answer
        except (TimeoutError, asyncio.CancelledError) as error:
            send(jsonrpc.notification(CANCELLED, b'{"requestId":%b}' % raw_id))
            if isinstance(error, TimeoutError):
                raise refusal(method) from None
            raise
        finally:
            self.answers.pop(raw_id, None)
        if message.error is not None:
            raise jsonrpc.rpc_error(message.error)
        return message.result or b"{}"

    def take(self, message: Message) -> None:
        """Take a notification, or the answer to a question."""
        if message.method is None:
            answer = self.answers.get(message.id or b"")
            if answer is not None and not answer.done():
                answer.set_result(message)
        elif message.method == CANCELLED:
            self._take_back(message.params)

    def _take_back(self, params: bytes | None) -> None:
        request_id = rawjson.member(params, "requestId")
        take_back = self.calls.get(request_id.raw) if request_id else None
        if take_back is not None:
            take_back()

    @property
    def busy(self) -> bool:
        """Whether the client waits for something just now."""
        return bool(self.calls) or self.listens

    @property
    def listens(self) -> bool:
        """Whether it reads a stream just now."""
        return self._read is not None

    @property
    def _read(self) -> EventStream | None:
        """The newest stream that it reads just now."""
        return next((each for each in reversed(self.streams) if each.left is None), None)

    def close(self) -> None:
        """Take back its calls and end its streams."""
        for take_back in list(self.calls.values()):
            take_back()
        for stream in self.streams:
            stream.end()


@dataclass(slots=True)
class Conversation:
    """Implements Client for one request of a session."""

    session: Session
    reply: Reply

    @property
    def owner(self) -> Session:
        return self.session

    def notified(self, method: str, params: bytes) -> None:
        if self.session.wants(method, params):
            self.reply.tell(jsonrpc.notification(method, params))

    def takes(self, method: str, params: bytes) -> bool:
        if not self.reply.can_stream:
            return self.session.takes(method, params)
        return may_be_asked(self.session.caller, method, params)

    async def asked(self, method: str, params: bytes) -> bytes:
        if not self.reply.can_stream:
            return await self.session.asked(method, params)
        return await self.session.ask(self.reply.send, method, params)
