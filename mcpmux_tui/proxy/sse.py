"""`/sse`, for old clients that know no other transport; off unless the config says otherwise.

A GET opens a session with one stream for all answers, whose first event names the address that
messages are posted to. Spec: 2024-11-05 basic/transports, HTTP with SSE.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qs, urlsplit

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.protocol import INTERNAL_ERROR, INVALID_REQUEST
from mcpmux_tui.proxy.catalog import Listing
from mcpmux_tui.proxy.fault import Fault
from mcpmux_tui.proxy.http import Exchange
from mcpmux_tui.proxy.legacy import Legacy
from mcpmux_tui.proxy.limits import Limits
from mcpmux_tui.proxy.session import Session
from mcpmux_tui.proxy.stream import EventStream

SSE_PATH: Final = "/sse"
_ALLOW: Final = (b"allow", b"GET, POST")


class OldSse:
    """The oldest side of the endpoint; its sessions are those of `legacy`."""

    def __init__(self, legacy: Legacy, limits: Limits) -> None:
        self._legacy = legacy
        self._limits = limits
        self._answering: set[asyncio.Task[None]] = set()

    async def handle(self, exchange: Exchange, endpoint: str | None, listing: Listing) -> None:
        """Answer one request."""
        match exchange.head.method:
            case "GET":
                await self._open(exchange, endpoint)
            case "POST":
                await self._post(exchange, endpoint, listing)
            case _:
                exchange.refuse(405, "Use GET or POST.", _ALLOW)

    async def _open(self, exchange: Exchange, endpoint: str | None) -> None:
        if not exchange.head.accepts_sse:
            exchange.refuse(406, "Accept must name text/event-stream.")
            return
        session = self._legacy.open(endpoint)
        if session is None:
            exchange.refuse(503, "Too many clients are connected; all of them are busy.")
            return
        address = f"{exchange.head.path}?session={session.id}".encode()
        stream = EventStream(opening=b"event: endpoint\ndata: " + address + b"\n\n")
        session.streams.append(stream)
        try:
            await stream.serve(exchange, self._limits.ping)
        finally:
            self._legacy.end(session)

    async def _post(self, exchange: Exchange, endpoint: str | None, listing: Listing) -> None:
        named = parse_qs(urlsplit(exchange.head.target).query).get(b"session", [])
        session = self._legacy.session(named[0].decode("latin-1") if named else "", endpoint)
        if session is None:
            exchange.refuse(404, "This session is not open; open a stream again.")
            return
        message = await exchange.message(self._limits.body_bytes)
        if message is None:
            return
        if message.method is None or message.id is None:
            session.take(message)
        elif len(self._answering) >= self._limits.connections:
            exchange.refuse(503, "Too many requests are under way.")
            return
        else:
            self._spawn(session, listing, message.id, message)
        exchange.reply(202)

    def _spawn(self, session: Session, listing: Listing, raw_id: bytes, message: Message) -> None:
        task = asyncio.create_task(self._answer(session, listing, raw_id, message))
        self._answering.add(task)

        def over(_: object) -> None:
            self._answering.discard(task)
            if not task.cancelled() and task.exception() is not None:
                fault = Fault(INTERNAL_ERROR, "mcpmux stumbled over this request.")
                session.streams[0].send(jsonrpc.error(raw_id, fault.raw))

        task.add_done_callback(over)

    async def _answer(
        self, session: Session, listing: Listing, raw_id: bytes, message: Message
    ) -> None:
        try:
            if message.method == "initialize":
                result = self._legacy.initialize(session, listing, message.params)
            elif session.version:
                result = await self._legacy.answer(session, session, listing, raw_id, message)
            else:
                raise Fault(INVALID_REQUEST, "Initialize first.")
            answer = jsonrpc.result(raw_id, result)
        except Fault as fault:
            answer = jsonrpc.error(raw_id, fault.raw)
        session.streams[0].send(answer)
