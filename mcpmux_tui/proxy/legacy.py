"""Revisions 2024-11-05 to 2025-11-25: `initialize`, sessions, GET streams.

Spec: 2025-11-25 basic/lifecycle and basic/transports.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Container, Coroutine
from dataclasses import replace
from typing import Final

from mcpmux_tui import __version__
from mcpmux_tui.model import jsonrpc, rawjson
from mcpmux_tui.model.channel import Caller, Client, Kind
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.protocol import (
    HANDSHAKE_VERSIONS,
    HEADER_SESSION_ID,
    INVALID_PARAMS,
    LATEST_HANDSHAKE,
    METHOD_NOT_FOUND,
    QUESTIONS,
)
from mcpmux_tui.proxy import router
from mcpmux_tui.proxy.audience import (
    LEVELS,
    watched,
)
from mcpmux_tui.proxy.calls import TakenBack, revocable
from mcpmux_tui.proxy.catalog import Listing
from mcpmux_tui.proxy.fault import Fault
from mcpmux_tui.proxy.http import Exchange
from mcpmux_tui.proxy.limits import Limits
from mcpmux_tui.proxy.pages import page
from mcpmux_tui.proxy.router import Router
from mcpmux_tui.proxy.session import Conversation, Session
from mcpmux_tui.proxy.stream import EventStream, Reply, Resumable, Slow

CAPABILITIES: Final = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "completions": {},
    "logging": {},
}
"""Both eras: nothing is advertised that is not forwarded."""
SERVER_INFO: Final = {"name": "mcpmux", "version": __version__}
REQUEST_CANCELLED: Final = -32800
"""In this era a request's stream ends only with an answer, also when the client took it back."""
ASKABLE: Final = frozenset({*QUESTIONS.values(), "extensions"})
"""Client capabilities that a 2025 server has to be told when a session is opened."""
LISTED: Final = {kind.method: kind for kind in Kind}
_ALLOW = (b"allow", b"GET, POST, DELETE")


class Legacy:
    """The 2025 side of the endpoint.

    `wished` is called when what clients want of servers may have changed, `left` with the key of a
    client that is gone.
    """

    def __init__(
        self,
        limits: Limits,
        router: Router,
        changed: Callable[[], None],
        wished: Callable[[], None],
        left: Callable[[str], None],
        page_size: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._page_size = page_size
        self._slow = Slow(limits.ping)
        self._router = router
        self._wished = wished
        self._left = left
        self._changed = changed
        self._sessions: dict[str, Session] = {}
        self._looked = 0.0
        """When they were looked through for those that nobody uses."""
        self._resumable = Resumable(limits)

    @property
    def clients(self) -> int:
        """How many sessions are in use: with a stream or a call open, or asked in lately."""
        self._drop_expired()
        since = time.monotonic() - self._limits.client_memory
        return sum(each.busy or each.last_used >= since for each in self._sessions.values())

    def tell(self, endpoint: str | None, notice: bytes) -> None:
        """A list of an endpoint has changed: one notice per session, on its newest stream."""
        for session in self._sessions.values():
            if session.endpoint == endpoint:
                session.tell(notice)

    def heard(self, server: str, method: str, params: bytes) -> None:
        """A server said something that belongs to no call."""
        for session in self._sessions.values():
            session.heard(server, method, params)

    def watched(self, server: str) -> frozenset[str]:
        """The addresses at a server that sessions want to hear of."""
        subscriptions = (each for of in self._sessions.values() for each in of.subscriptions)
        return watched(subscriptions, server)

    def log_level(self, server: str) -> str | None:
        """The most talkative level asked for by a session that hears this server."""
        levels = [
            LEVELS.index(session.log_level)
            for session in self._sessions.values()
            if session.log_level is not None and session.endpoint in {None, server}
        ]
        return LEVELS[min(levels)] if levels else None

    def keep(self, endpoints: Container[str]) -> None:
        """End the sessions on servers that are not there any more."""
        for session in list(self._sessions.values()):
            if session.endpoint is not None and session.endpoint not in endpoints:
                self.end(session)

    def close(self) -> None:
        """End all streams; calls under way may still finish."""
        for session in self._sessions.values():
            for stream in session.streams:
                stream.end()

    def forget(self) -> None:
        """Forget all sessions."""
        self._slow.close()
        self._sessions.clear()

    def handle(
        self, exchange: Exchange, endpoint: str | None, listing: Listing
    ) -> Coroutine[None, None, None] | None:
        """What answers a request; None where that is done."""
        match exchange.head.method:
            case "POST":
                return self._post(exchange, endpoint, listing)
            case "GET":
                return self._get(exchange, endpoint)
            case "DELETE":
                if (session := self._asked_in(exchange, endpoint)) is not None:
                    self.end(session)
                    exchange.reply(200)
            case _:
                exchange.refuse(405, "Use GET, POST or DELETE.", _ALLOW)
        return None

    async def _post(self, exchange: Exchange, endpoint: str | None, listing: Listing) -> None:
        message = await exchange.message(self._limits.body_bytes)
        if message is None:
            return
        if message.method == "initialize" and message.id is not None:
            # A session id that comes along is one from before a restart: it is left behind.
            self._initialize(exchange, endpoint, listing, message)
            return
        session = self._asked_in(exchange, endpoint)
        if session is None:
            return
        if message.method is None or message.id is None:
            session.take(message)
            exchange.reply(202)
            return
        reply = Reply(exchange, self._slow, lambda: self._stream(session))
        try:
            try:
                client = Conversation(session, reply)
                result = await self.answer(session, client, listing, message.id, message)
            except Fault as fault:
                await reply.finish(jsonrpc.error(message.id, fault.raw))
            else:
                await reply.finish(jsonrpc.result(message.id, result))
        finally:
            reply.close()

    async def answer(
        self, session: Session, client: Client, listing: Listing, raw_id: bytes, message: Message
    ) -> bytes:
        """The result of a request; `client` hears of it meanwhile. Raises Fault."""
        method = message.method or ""
        if method not in router.FORWARDED:
            return self._own(session, listing, method, message)
        # The client's going away does not end a call in this era; only a notice or DELETE does.
        try:
            with revocable(self._loop) as take_back:
                session.calls[raw_id] = take_back
                try:
                    params = router.fields(message.params)
                    return await self._router.forward(
                        listing, method, params, session.caller, client, modern=False
                    )
                finally:
                    session.last_used = time.monotonic()
                    if session.calls.get(raw_id) is take_back:
                        del session.calls[raw_id]
        except TakenBack:
            raise Fault(REQUEST_CANCELLED, "Request cancelled") from None

    def _own(self, session: Session, listing: Listing, method: str, message: Message) -> bytes:
        """What needs no server. Raises Fault."""
        if (kind := LISTED.get(method)) is not None:
            return b"{%b}" % page(listing, kind, router.fields(message.params), self._page_size)
        match method:
            case "ping":
                return b"{}"
            case "resources/subscribe" | "resources/unsubscribe":
                target = self._router.resource(listing, router.fields(message.params))
                subscription = (target.upstream.spec.name, target.name)
                session.subscriptions.discard(subscription)
                if method == "resources/subscribe":
                    session.subscriptions.add(subscription)
                self._wished()
                return b"{}"
            case "logging/setLevel":
                level = router.fields(message.params).get("level")
                if level is None or level.text not in LEVELS:
                    raise Fault(INVALID_PARAMS, f'"level" must be one of {", ".join(LEVELS)}.')
                session.log_level = level.text
                # A 2026 server is told with each request.
                session.caller = replace(session.caller, log_level=level.raw)
                self._wished()
                return b"{}"
        raise Fault(METHOD_NOT_FOUND, "Method not found", method)

    async def _get(self, exchange: Exchange, endpoint: str | None) -> None:
        if not exchange.head.accepts_sse:
            exchange.refuse(406, "Accept must name text/event-stream.")
            return
        session = self._asked_in(exchange, endpoint)
        if session is None:
            return
        last_event = exchange.head.value("last-event-id")
        found = None if last_event is None else self._resumable.find(session.id, last_event)
        stream, after = found or (self._stream(session), None)
        if found is None:
            session.streams = [each for each in session.streams if each.left is None]
            session.streams.append(stream)
        try:
            await stream.serve(exchange, self._limits.ping, after)
        finally:
            session.last_used = time.monotonic()

    def _stream(self, session: Session) -> EventStream:
        # Older clients take an event without data for a broken one.
        return self._resumable.open(session.id, primed=session.version == LATEST_HANDSHAKE)

    def _initialize(
        self, exchange: Exchange, endpoint: str | None, listing: Listing, message: Message
    ) -> None:
        session = self.open(endpoint)
        if session is None:
            exchange.refuse(503, "Too many clients are connected; all of them are busy.")
            return
        try:
            result = self.initialize(session, listing, message.params)
        except Fault as fault:
            self.end(session)
            exchange.reply(200, jsonrpc.error(message.id, fault.raw))
            return
        exchange.reply(
            200,
            jsonrpc.result(message.id or b"null", result),
            (HEADER_SESSION_ID.encode("ascii"), session.id.encode("ascii")),
        )

    def open(self, endpoint: str | None) -> Session | None:
        """A new session on an endpoint; None where all that there may be are busy."""
        if not self._make_room():
            return None
        # 128 random bits; the guard has already asked for the token.
        session = Session(secrets.token_hex(16), endpoint, time.monotonic(), self._limits.question)
        self._sessions[session.id] = session
        self._changed()
        return session

    def initialize(self, session: Session, listing: Listing, params: bytes | None) -> bytes:
        """Agree with a client; the result of its `initialize`. Raises Fault."""
        session.version, caller = _handshake(params)
        declared = rawjson.parse_object(caller.capabilities)
        askable = not ASKABLE.isdisjoint(declared)
        session.caller = replace(caller, key=session.id, askable=askable)
        result = {
            "protocolVersion": session.version,
            "capabilities": CAPABILITIES,
            "serverInfo": SERVER_INFO,
        }
        if listing.instructions:
            result["instructions"] = listing.instructions
        return rawjson.dumps(result)

    def session(self, id: str, endpoint: str | None) -> Session | None:
        """An open session of this endpoint."""
        self._drop_expired()
        session = self._sessions.get(id)
        if session is None or session.endpoint != endpoint:
            return None
        session.last_used = time.monotonic()
        return session

    def _asked_in(self, exchange: Exchange, endpoint: str | None) -> Session | None:
        """The session a request belongs to; None when it has been refused."""
        given = exchange.head.value(HEADER_SESSION_ID)
        if given is None:
            exchange.refuse(400, "The Mcp-Session-Id header is missing: initialize first.")
            return None
        session = self.session(given, endpoint)
        if session is None:
            exchange.refuse(404, "This session is not open; initialize again.")
        return session

    def _make_room(self) -> bool:
        self._drop_expired()
        if len(self._sessions) < self._limits.sessions:
            return True
        idle = [session for session in self._sessions.values() if not session.busy]
        if idle:
            self.end(min(idle, key=lambda session: session.last_used))
        return bool(idle)

    def _drop_expired(self) -> None:
        now = time.monotonic()
        if now - self._looked < min(1.0, self._limits.session_idle / 10):
            return
        self._looked = now
        since = now - self._limits.session_idle
        for session in list(self._sessions.values()):
            if session.last_used < since and not session.busy:
                self.end(session)

    def end(self, session: Session) -> None:
        """A client is gone, or its session is over."""
        if self._sessions.pop(session.id, None) is None:
            return
        session.close()
        self._resumable.forget(session.id)
        self._left(session.caller.key)
        if session.subscriptions or session.log_level is not None:
            self._wished()
        self._changed()


def _handshake(params: bytes | None) -> tuple[str, Caller]:
    """The version to speak and who calls. Raises Fault."""
    members = router.fields(params)
    wanted = members["protocolVersion"].text if "protocolVersion" in members else None
    info = members.get("clientInfo")
    capabilities = members.get("capabilities")
    if (
        wanted is None
        or info is None
        or not isinstance(info.value, dict)
        or capabilities is None
        or not isinstance(capabilities.value, dict)
    ):
        raise Fault(
            INVALID_PARAMS,
            "initialize needs protocolVersion (a string), capabilities and clientInfo (objects).",
        )
    version = wanted if wanted in HANDSHAKE_VERSIONS else LATEST_HANDSHAKE
    return version, Caller(info.raw, capabilities.raw)
