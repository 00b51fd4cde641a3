"""Revision 2026-07-28: each POST stands alone, with an envelope in `params._meta`.

Spec: 2026-07-28 basic/index (per-request fields, errors) and basic/transports (headers, streams).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import time
from collections.abc import Callable, Container, Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

from mcpmux_tui.model import jsonrpc, rawjson
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.protocol import (
    ACKNOWLEDGED,
    HEADER_METHOD,
    HEADER_MISMATCH,
    HEADER_NAME,
    HEADER_PROTOCOL_VERSION,
    INVALID_PARAMS,
    INVALID_REQUEST,
    META_CLIENT_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    META_PROTOCOL_VERSION,
    META_SERVER_INFO,
    META_SUBSCRIPTION_ID,
    METHOD_NOT_FOUND,
    MISSING_CLIENT_CAPABILITY,
    MODERN_VERSIONS,
    NAMED,
    PARSE_ERROR,
    RESOURCE_UPDATED,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from mcpmux_tui.model.rawjson import Member
from mcpmux_tui.model.remember import remembered
from mcpmux_tui.model.server import ON_THE_WAY
from mcpmux_tui.proxy import router
from mcpmux_tui.proxy.audience import (
    Subscription,
    concerns,
    watched,
)
from mcpmux_tui.proxy.calls import TakenBack, revocable
from mcpmux_tui.proxy.catalog import Listing
from mcpmux_tui.proxy.fault import Fault
from mcpmux_tui.proxy.held import HeldCall, HeldCalls
from mcpmux_tui.proxy.http import Exchange, sse_event
from mcpmux_tui.proxy.legacy import ASKABLE, CAPABILITIES, LISTED, SERVER_INFO
from mcpmux_tui.proxy.limits import Limits
from mcpmux_tui.proxy.pages import page
from mcpmux_tui.proxy.router import Router
from mcpmux_tui.proxy.stream import EventStream, Reply, Slow

STATUS: Final[Mapping[int, int]] = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    MISSING_CLIENT_CAPABILITY: 400,
    UNSUPPORTED_PROTOCOL_VERSION: 400,
    METHOD_NOT_FOUND: 404,
}
"""Error code -> HTTP status, whoever made the error; any other code goes with 200."""
FRESH_MS: Final = 5_000
"""How long a client may keep an answer that nothing is about to change."""

_ROUTING = frozenset({HEADER_PROTOCOL_VERSION, HEADER_METHOD, HEADER_NAME})
_SENTINEL = re.compile(r"=\?base64\?(?P<payload>.*)\?=")
_REMEMBERED = 256
_SERVER_META = rawjson.dumps({META_SERVER_INFO: SERVER_INFO})
_DISCOVERED = b'"supportedVersions":%b,"capabilities":%b' % (
    rawjson.dumps(MODERN_VERSIONS),
    rawjson.dumps(CAPABILITIES),
)


@dataclass(frozen=True, slots=True)
class _Subscription:
    """What an open stream is for."""

    client: bytes
    endpoint: str | None
    lists: frozenset[str]
    """Capabilities of whose changed lists it wants to hear."""
    resources: frozenset[Subscription]
    """Those it wants to hear of."""
    meta: bytes
    """What every notification on it carries."""


@dataclass(slots=True)
class Envelope:
    """A request that passed every check of its header against its body."""

    params: dict[str, Member]
    caller: Caller


class Modern:
    """The 2026 side of the endpoint; `wished` is called when what clients want of servers may have
    changed."""

    def __init__(
        self,
        limits: Limits,
        router: Router,
        changed: Callable[[], None],
        wished: Callable[[], None],
        page_size: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._page_size = page_size
        self._slow = Slow(limits.ping)
        self._router = router
        self._changed = changed
        self._wished = wished
        self._calls = HeldCalls(router, limits)
        self._streams: dict[EventStream, _Subscription] = {}
        self._seen: dict[bytes, float] = {}

    @property
    def clients(self) -> int:
        """How many clients, told apart by what they call themselves, listen or asked lately."""
        since = time.monotonic() - self._limits.client_memory
        recent = {client for client, at in self._seen.items() if at >= since}
        return len(recent.union(of.client for of in self._streams.values()))

    def tell(self, endpoint: str | None, capability: str, method: str) -> None:
        """A list of an endpoint has changed."""
        for stream, of in self._streams.items():
            if capability in of.lists and of.endpoint == endpoint:
                stream.tell(jsonrpc.notification(method, b'{"_meta":%b}' % of.meta))

    def heard(self, server: str, method: str, params: bytes) -> None:
        """A server said something that belongs to no call."""
        for stream, of in self._streams.items():
            if method == RESOURCE_UPDATED and concerns(of.resources, server, params):
                own = rawjson.splice(params, {"_meta": of.meta})
                stream.tell(jsonrpc.notification(method, own))

    def watched(self, server: str) -> frozenset[str]:
        """The addresses at a server that open streams want to hear of."""
        subscriptions = (each for of in self._streams.values() for each in of.resources)
        return watched(subscriptions, server)

    def keep(self, endpoints: Container[str]) -> None:
        """End the streams on servers that are not there any more."""
        for stream, of in self._streams.items():
            if of.endpoint is not None and of.endpoint not in endpoints:
                stream.end()

    def close(self) -> None:
        """End all streams in order."""
        for stream in self._streams:
            stream.end()
        self._calls.close()

    def forget(self) -> None:
        """Forget who was there."""
        self._slow.close()
        self._seen.clear()

    async def handle(self, exchange: Exchange, endpoint: str | None, listing: Listing) -> None:
        """Answer one request."""
        if exchange.head.method != "POST":
            exchange.refuse(405, "Use POST.", (b"allow", b"POST"))
            return
        message = await exchange.message(self._limits.body_bytes)
        if message is None:
            return
        reply = Reply(exchange, self._slow)
        try:
            if message.method is None:
                raise Fault(INVALID_REQUEST, "A client sends requests and notifications only.")
            if message.id is None:
                # Nothing to act on: a client takes a request back by closing its connection.
                _check_version(exchange.head.value(HEADER_PROTOCOL_VERSION))
                exchange.reply(202)
                return
            envelope = _classify(exchange, message)
            self._remember(envelope.caller)
            if message.method == "subscriptions/listen":
                reply.close()
                await self._listen(exchange, endpoint, listing, message.id, envelope)
                return
            if message.method in router.FORWARDED:
                with revocable(self._loop) as take_back, exchange.when_gone(take_back):
                    result = await self._forwarded(
                        reply, endpoint, listing, message.method, envelope
                    )
            else:
                result = self._own(listing, message.method, envelope)
            await reply.finish(jsonrpc.result(message.id, result))
        except Fault as fault:
            body = jsonrpc.error(message.id, fault.raw)
            await reply.finish(body, STATUS.get(fault.code, 200))
        except TakenBack:
            return
        finally:
            reply.close()

    def _forwarded(
        self,
        reply: Reply,
        endpoint: str | None,
        listing: Listing,
        method: str,
        envelope: Envelope,
    ) -> Coroutine[None, None, bytes]:
        """What has a server answer; held between questions only where its client takes any."""
        params, caller = envelope.params, envelope.caller
        if caller.askable:
            return self._calls.answer(reply, endpoint, listing, method, params, caller)
        client = HeldCall(caller, (), reply)
        return self._router.forward(listing, method, params, caller, client, modern=True)

    def _own(self, listing: Listing, method: str, envelope: Envelope) -> bytes:
        """What needs no server."""
        if (kind := LISTED.get(method)) is not None:
            fresh = 0 if _unsettled(listing) else FRESH_MS
            return _complete(fresh, page(listing, kind, envelope.params, self._page_size))
        if method == "server/discover":
            said = rawjson.dumps(listing.instructions) if listing.instructions else b""
            return _complete(FRESH_MS, _DISCOVERED + (b',"instructions":' + said if said else b""))
        raise Fault(METHOD_NOT_FOUND, "Method not found", method)

    async def _listen(
        self,
        exchange: Exchange,
        endpoint: str | None,
        listing: Listing,
        request_id: bytes,
        envelope: Envelope,
    ) -> None:
        if not exchange.head.accepts_sse:
            exchange.refuse(406, "Accept must name text/event-stream.")
            return
        wanted = envelope.params.get("notifications")
        if wanted is None or not isinstance(wanted.value, dict):
            raise Fault(INVALID_PARAMS, 'params: "notifications" must be an object.')
        filters = router.members_of(wanted.raw, '"notifications"')
        honoured: dict[str, object] = {
            key: True
            for key in ("toolsListChanged", "promptsListChanged", "resourcesListChanged")
            if key in filters and filters[key].value is True
        }
        resources = self._resources(listing, filters.get("resourceSubscriptions"))
        if resources:
            honoured["resourceSubscriptions"] = [uri for _, uri in resources]
        meta = b'{"%b":%b}' % (META_SUBSCRIPTION_ID.encode("ascii"), request_id)
        stream = EventStream(
            opening=sse_event(
                jsonrpc.notification(
                    ACKNOWLEDGED,
                    b'{"notifications":%b,"_meta":%b}' % (rawjson.dumps(honoured), meta),
                )
            ),
            closing=sse_event(
                jsonrpc.result(request_id, b'{"resultType":"complete","_meta":%b}' % meta)
            ),
        )
        self._streams[stream] = _Subscription(
            _name(envelope.caller),
            endpoint,
            frozenset(key.removesuffix("ListChanged") for key in honoured),
            frozenset(resources),
            meta,
        )
        if resources:
            self._wished()
        try:
            await stream.serve(exchange, self._limits.ping)
        finally:
            del self._streams[stream]
            if resources:
                self._wished()
            self._changed()

    def _resources(self, listing: Listing, wanted: Member | None) -> list[Subscription]:
        """Those that are there."""
        found: list[Subscription] = []
        for uri in rawjson.parse_array(wanted.raw) if wanted is not None else ():
            try:
                target = self._router.resource(listing, {"uri": uri})
            except Fault:
                continue
            found.append((target.upstream.spec.name, target.name))
        return found

    def _remember(self, caller: Caller) -> None:
        name = _name(caller)
        known = self._seen.pop(name, None)
        self._seen[name] = now = time.monotonic()
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if known is None or known < now - self._limits.client_memory:
            self._changed()


def _name(caller: Caller) -> bytes:
    return (caller.info or b"")[:256]


def _complete(fresh: int, members: bytes) -> bytes:
    return b'{"resultType":"complete","ttlMs":%d,"cacheScope":"private",%b,"_meta":%b}' % (
        fresh,
        members,
        _SERVER_META,
    )


def _unsettled(listing: Listing) -> bool:
    return any(
        upstream.spec.enabled and upstream.snapshot.state in ON_THE_WAY
        for upstream in listing.upstreams
    )


def _check_version(version: object) -> None:
    if version not in MODERN_VERSIONS:
        raise Fault(
            UNSUPPORTED_PROTOCOL_VERSION,
            "Unsupported protocol version",
            {"supported": list(MODERN_VERSIONS), "requested": version},
        )


def _classify(exchange: Exchange, message: Message) -> Envelope:
    """Check the header against the envelope, in the order of the SDK's server. Raises Fault."""
    head = exchange.head
    if head.repeated and (repeated := _ROUTING & head.repeated):
        raise Fault(HEADER_MISMATCH, f"{min(repeated)} header appears more than once")
    params = router.fields(message.params)
    meta_member = params.get("_meta")
    if meta_member is None or not isinstance(meta_member.value, dict):
        raise Fault(INVALID_PARAMS, 'params: "_meta" must be an object with the envelope.')
    version = _version(meta_member.raw)
    _match(HEADER_PROTOCOL_VERSION, head.value(HEADER_PROTOCOL_VERSION), version)
    _match(HEADER_METHOD, head.value(HEADER_METHOD), message.method)
    named = params.get(NAMED.get(message.method or "", ""))
    if named is not None and named.value is not None:
        _match(HEADER_NAME, _decoded(head.value(HEADER_NAME)), named.text)
    _check_version(version)
    return Envelope(params, _caller(meta_member.raw))


def _match(header: str, value: str | None, expected: str | None) -> None:
    if value is None or value != expected:
        raise Fault(HEADER_MISMATCH, f"{header} header does not match the request body")


@remembered
def _members(meta: bytes) -> Mapping[str, Member]:
    return router.members_of(meta, '"_meta"')


@remembered
def _version(raw_meta: bytes) -> str | None:
    meta = _members(raw_meta)
    required = (META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES)
    if missing := [key for key in required if key not in meta]:
        raise Fault(INVALID_PARAMS, f"The envelope lacks {' and '.join(missing)}.")
    return meta[META_PROTOCOL_VERSION].text


@remembered
def _caller(raw_meta: bytes) -> Caller:
    meta = _members(raw_meta)
    capabilities = meta[META_CLIENT_CAPABILITIES]
    info = meta.get(META_CLIENT_INFO)
    level = meta.get(META_LOG_LEVEL)
    if not isinstance(capabilities.value, dict):
        raise Fault(INVALID_PARAMS, f"{META_CLIENT_CAPABILITIES} must be an object.")
    if info is None or info.value is None:
        info = None
    elif not isinstance(info.value, dict):
        raise Fault(INVALID_PARAMS, f"{META_CLIENT_INFO} must be an object.")
    raw = capabilities.raw
    raw_info = None if info is None else info.raw
    return Caller(
        raw_info,
        raw,
        None if level is None else level.raw,
        # In this era clients are told apart by what they say of themselves.
        hashlib.sha256(raw + b"\0" + (raw_info or b"")).hexdigest(),
        not ASKABLE.isdisjoint(capabilities.value),
        modern=True,
    )


def _decoded(value: str | None) -> str | None:
    """A header value that may be wrapped as `=?base64?...?=`; None where that is malformed."""
    if value is None or not value.startswith("=?") or not (found := _SENTINEL.fullmatch(value)):
        return value
    try:
        plain = base64.b64decode(found["payload"], validate=True)
        # Two spellings of one name would let a header and a body disagree.
        canonical = base64.b64encode(plain).decode("ascii") == found["payload"]
        return plain.decode("utf-8") if canonical else None
    except (binascii.Error, UnicodeDecodeError):
        return None
