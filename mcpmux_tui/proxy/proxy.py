"""The proxy: one port, one door, both eras, every server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.channel import Client, Kind, Wishes
from mcpmux_tui.model.ports import Upstream
from mcpmux_tui.model.protocol import HANDSHAKE_VERSIONS, HEADER_PROTOCOL_VERSION, LIST_CHANGED
from mcpmux_tui.model.spec import ProxySpec
from mcpmux_tui.proxy.audience import Audience
from mcpmux_tui.proxy.catalog import Listing
from mcpmux_tui.proxy.guard import Guard, Knocks, is_health_check, program, too_large
from mcpmux_tui.proxy.http import TEXT, BodyTooLarge, ClientGone, Exchange
from mcpmux_tui.proxy.legacy import Legacy
from mcpmux_tui.proxy.limits import DEFAULTS, Limits
from mcpmux_tui.proxy.modern import Modern
from mcpmux_tui.proxy.notices import LiveCatalog
from mcpmux_tui.proxy.questions import Questions
from mcpmux_tui.proxy.router import Router
from mcpmux_tui.proxy.sockets import IPV4, bind
from mcpmux_tui.proxy.sse import SSE_PATH, OldSse

if TYPE_CHECKING:
    from mcpmux_tui.proxy.listener import Listener

MCP_PATH = "/mcp"
_PLAIN = ProxySpec()


class Proxy:
    """The MCP server that clients see, on 127.0.0.1 and ::1.

    `spec` is the `[proxy]` table; its port is given to `start`. `token` None lets everybody in who
    passes the other checks. `changed` is called when `clients`, `knocks` or the pending questions
    may have changed.
    """

    def __init__(
        self,
        *,
        token: str | None,
        spec: ProxySpec = _PLAIN,
        changed: Callable[[], None],
        clean: Callable[[str], str] = str,
        limits: Limits = DEFAULTS,
    ) -> None:
        self._token = token
        self._spec = spec
        self._limits = limits
        self._knocks = Knocks(changed)
        router = Router(limits.patience, clean)
        self._upstreams: Mapping[str, Upstream] = {}
        self._legacy = Legacy(limits, router, changed, self._wished, self._left, spec.page_size)
        self._old = OldSse(self._legacy, limits)
        self._modern = Modern(limits, router, changed, self._wished, spec.page_size)
        self.questions = Questions(changed, limits)
        """What servers ask the person."""
        self._catalog = LiveCatalog(self._tell, limits.notice)
        self._listener: Listener | None = None
        self._guard: Guard | None = None
        self._port: int | None = None
        self._sockets: tuple[socket.socket, ...] = ()
        """Bound, and not served yet."""

    @property
    def port(self) -> int | None:
        """The port it listens on, None while it does not."""
        return self._port

    @property
    def url(self) -> str | None:
        """The address clients need, None while it does not listen."""
        return None if self._port is None else f"http://{IPV4}:{self._port}{MCP_PATH}"

    @property
    def clients(self) -> int:
        """Clients that are there: sessions and 2026 clients (which have none) that have a stream
        or a call open, or asked something in the last minute."""
        return self._legacy.clients + self._modern.clients

    @property
    def knocks(self) -> tuple[str, ...]:
        """What was refused lately, one clean sentence each, newest last."""
        return self._knocks.recent

    async def start(self, port: int) -> None:
        """Listen on `port` (0: any free one) and serve. Raises PortInUse, UsageError."""
        await self.bind(port)
        await self.serve()

    async def bind(self, port: int) -> None:
        """Listen on `port`; clients wait until `serve`. Raises PortInUse, UsageError."""
        self._port, self._sockets = await bind(port)
        self._guard = Guard(self._port, self._token, self._spec.allowed_origins, self._limits)

    async def serve(self) -> None:
        """Answer clients; nothing where there is no port."""
        if self._sockets:
            # It takes a while to import; meanwhile servers start.
            module = await asyncio.to_thread(import_module, "mcpmux_tui.proxy.listener")
            listener: Listener = module.Listener(self._serve, self._sockets, self._limits)
            self._sockets = ()
            self._listener = listener
            await listener.start()

    async def stop(self) -> None:
        """Close the port and end every stream; calls under way have a moment to finish."""
        self._catalog.close()
        self._port = None
        for sock in self._sockets:
            sock.close()
        if (listener := self._listener) is not None:
            self._listener = None
            self._legacy.close()
            self._modern.close()
            await listener.stop()
        self._legacy.forget()
        self._modern.forget()

    def set_upstreams(self, upstreams: Mapping[str, Upstream]) -> None:
        """These are the servers now, in the order of the config."""
        self._upstreams = dict(upstreams)
        self._catalog.replace(upstreams)
        self._wished()
        self._legacy.keep(upstreams)
        self._modern.keep(upstreams)

    def lists_changed(self, server: str, announced: frozenset[str] = frozenset()) -> None:
        """A server's lists, spec or state changed; clients hear of it if their list did, or if the
        server itself said so of the `announced` capabilities."""
        self._catalog.changed(server, announced)

    def audience(self, server: str) -> Client:
        """Who hears what a server says that belongs to no call."""
        return Audience(server, self._heard, self.questions)

    def public_name(self, server: str, kind: Kind, name: str) -> str:
        """The name or address clients see on `/mcp`; empty for what they do not get."""
        current = self._catalog.current
        if (named := current.public.get(kind)) is not None:
            return named.get(server, {}).get(name, "")
        merged = current.merged
        table = merged.templates if kind is Kind.TEMPLATES else merged.resources
        target = table.get(name)
        return name if target is not None and target.upstream.spec.name == server else ""

    def collisions(self, server: str) -> tuple[str, ...]:
        """What of a server clients see otherwise on `/mcp` than it is named, in sentences."""
        return self._catalog.current.collisions.get(server, ())

    def _tell(self, endpoint: str | None, capability: str) -> None:
        method = LIST_CHANGED[capability]
        self._legacy.tell(endpoint, jsonrpc.notification(method))
        self._modern.tell(endpoint, capability, method)

    def _heard(self, server: str, method: str, params: bytes) -> None:
        self._legacy.heard(server, method, params)
        self._modern.heard(server, method, params)

    def _wished(self) -> None:
        """What clients want of servers may have changed."""
        for name, upstream in self._upstreams.items():
            watched = self._legacy.watched(name) | self._modern.watched(name)
            upstream.wish(Wishes(watched, self._legacy.log_level(name)))

    def _left(self, key: str) -> None:
        for upstream in self._upstreams.values():
            upstream.forget_client(key)

    async def _serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        if self._guard is None:
            return
        refusal = self._guard.refusal(exchange)
        if refusal is not None:
            if refusal.knock:
                self._knocks.add(refusal.knock)
            exchange.refuse(refusal.status, refusal.message, *refusal.headers)
            return
        try:
            if (answering := self._route(exchange)) is not None:
                await answering
        except ClientGone:
            return
        except BodyTooLarge:
            refusal = too_large(self._limits)
            exchange.refuse(refusal.status, refusal.message)
        except asyncio.CancelledError:
            if self._listener is not None or exchange.started:
                raise
            exchange.refuse(503, "mcpmux is stopping.")

    def _route(self, exchange: Exchange) -> Coroutine[None, None, None] | None:
        """What answers a request; None where that is done."""
        head = exchange.head
        path = head.path.removesuffix("/")
        endpoint, listing = self._endpoint(path, MCP_PATH)
        if listing is not None:
            version = head.value(HEADER_PROTOCOL_VERSION)
            # As in the SDK: what is no revision with a handshake is judged by the newer rules.
            legacy = version is None or version in HANDSHAKE_VERSIONS
            era = self._legacy if legacy else self._modern
            return era.handle(exchange, endpoint, listing)
        if is_health_check(head):
            exchange.reply(200, b"ok", kind=TEXT)
        elif f"{path}/".startswith(f"{SSE_PATH}/"):
            return self._route_old(exchange, path)
        else:
            exchange.refuse(404, "Nothing is here: /mcp has every server, /mcp/<name> one.")
        return None

    def _route_old(self, exchange: Exchange, path: str) -> Coroutine[None, None, None] | None:
        endpoint, listing = self._endpoint(path, SSE_PATH)
        if not self._spec.sse:
            self._knocks.add(
                f"{program(exchange.head)} asked for the old SSE transport: `sse = true` in"
                " [proxy] offers it from the next start."
            )
        elif listing is not None:
            return self._old.handle(exchange, endpoint, listing)
        exchange.refuse(404, "Nothing is here; newer clients use /mcp.")
        return None

    def _endpoint(self, path: str, root: str) -> tuple[str | None, Listing | None]:
        """Which server a path means (None: all) and its tools, None where there is no such."""
        catalog = self._catalog.current
        if path == root:
            return None, catalog.merged
        name = path.removeprefix(f"{root}/")
        return name, None if name == path else catalog.servers.get(name)
