"""Servers as the proxy sees them, in this process, and a running proxy in front of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx2

from mcpmux_tui.model.channel import Caller, Client, Item, Kind, Lists, Wishes
from mcpmux_tui.model.errors import McpmuxError, NotConnected
from mcpmux_tui.model.server import Health, ServerSnapshot
from mcpmux_tui.model.spec import ProxySpec, ServerSpec, StdioLaunch, ToolFilter
from mcpmux_tui.proxy import Proxy
from mcpmux_tui.proxy.limits import DEFAULTS, Limits

TOKEN = "correct-horse-battery-staple"
AUTH = {"authorization": f"Bearer {TOKEN}"}
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
QUICK = replace(DEFAULTS, notice=0.05)
NO_TABLE = ProxySpec()


@dataclass(frozen=True)
class Received:
    """One request that reached a server."""

    method: str
    params: bytes
    caller: Caller
    name: str | None
    client: Client | None = None


def definition(name: str, **more: object) -> bytes:
    """A tool's definition as a server might write it."""
    return json.dumps(
        {"name": name, "description": f"does {name}", "inputSchema": {"type": "object"}, **more}
    ).encode()


def tool(name: str, **more: object) -> Item:
    return Item(name, definition(name, **more), f"does {name}")


async def echo(request: Received) -> bytes:
    """Answer with the server's own view of the arguments."""
    arguments = json.loads(request.params).get("arguments", {})
    text = json.dumps(json.dumps(arguments))
    return b'{"content":[{"type":"text","text":%b}]}' % text.encode()


@dataclass
class FakeUpstream:
    """An Upstream and its Channel; every request is recorded, `answer` makes the result."""

    name: str
    tools: tuple[Item, ...] = (tool("echo"),)
    prefix: str | None = None
    filter: ToolFilter = field(default_factory=ToolFilter)
    enabled: bool = True
    state: Health = Health.CONNECTED
    protocol_version: str = LEGACY
    answer: Callable[[Received], Awaitable[bytes]] = echo
    away: McpmuxError | None = None
    requests: list[Received] = field(default_factory=list)
    calls: list[tuple[str, bool]] = field(default_factory=list)
    cancelled: int = 0
    wishes: Wishes = field(default_factory=Wishes)
    forgotten: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def spec(self) -> ServerSpec:
        return ServerSpec(
            name=self.name,
            launch=StdioLaunch("server"),
            prefix=self.prefix,
            tools=self.filter,
            enabled=self.enabled,
        )

    @property
    def snapshot(self) -> ServerSnapshot:
        return ServerSnapshot(name=self.name, state=self.state)

    @property
    def lists(self) -> Lists:
        return Lists({Kind.TOOLS: self.tools})

    @property
    def channel(self) -> FakeUpstream | None:
        return self if self.away is None else None

    async def ready(self, patience: float) -> FakeUpstream:
        if self.away is not None:
            raise self.away
        return self

    def record_call(self, tool: str, *, ok: bool) -> None:
        self.calls.append((tool, ok))

    def wish(self, wishes: Wishes) -> None:
        self.wishes = wishes

    def forget_client(self, key: str) -> None:
        self.forgotten.append(key)

    async def request(
        self,
        method: str,
        params: bytes,
        *,
        caller: Caller,
        name: str | None = None,
        client: Client | None = None,
    ) -> bytes:
        received = Received(method, params, caller, name, client)
        self.requests.append(received)
        self.arrived.set()
        try:
            return await self.answer(received)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def gone(name: str) -> NotConnected:
    return NotConnected(f"{name} is not connected.", "Press r to restart it.")


def by_name(*upstreams: FakeUpstream) -> Mapping[str, FakeUpstream]:
    return {upstream.name: upstream for upstream in upstreams}


@asynccontextmanager
async def running(
    *upstreams: FakeUpstream,
    token: str | None = TOKEN,
    limits: Limits = QUICK,
    allowed_origins: tuple[str, ...] = (),
    spec: ProxySpec = NO_TABLE,
    changed: Callable[[], None] = lambda: None,
) -> AsyncIterator[Proxy]:
    """A proxy on a free port in front of these servers."""
    if allowed_origins:
        spec = replace(spec, allowed_origins=allowed_origins)
    proxy = Proxy(token=token, spec=spec, changed=changed, limits=limits)
    proxy.set_upstreams(by_name(*upstreams))
    await proxy.start(0)
    try:
        yield proxy
    finally:
        await proxy.stop()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what no event tells."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def url_of(proxy: Proxy, server: str = "") -> str:
    assert proxy.url is not None
    return f"{proxy.url}/{server}" if server else proxy.url


def http_client(**headers: str) -> httpx2.AsyncClient:
    """An HTTP client with the token, untouched by proxies in the environment."""
    return httpx2.AsyncClient(headers=AUTH | headers, trust_env=False, timeout=10)


def rpc(method: str, params: object = None, request_id: object = 1) -> dict[str, object]:
    """A request; with an id of None a notification."""
    message: dict[str, object] = {"jsonrpc": "2.0", "method": method}
    if request_id is not None:
        message["id"] = request_id
    if params is not None:
        message["params"] = params
    return message


INITIALIZE = rpc(
    "initialize",
    {
        "protocolVersion": LEGACY,
        "capabilities": {"sampling": {}},
        "clientInfo": {"name": "test", "version": "1"},
    },
)
ENVELOPE: dict[str, object] = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
}


async def open_session(
    client: httpx2.AsyncClient, url: str, *, capabilities: Mapping[str, object] | None = None
) -> dict[str, str]:
    """Initialize, and return the headers of the session."""
    greeting = INITIALIZE
    if capabilities is not None:
        params = {"protocolVersion": LEGACY, "clientInfo": {"name": "test", "version": "1"}}
        greeting = rpc("initialize", {**params, "capabilities": capabilities})
    response = await client.post(url, json=greeting)
    assert response.status_code == 200, response.text
    headers = {"mcp-session-id": response.headers["mcp-session-id"]}
    await client.post(url, json=rpc("notifications/initialized", None, None), headers=headers)
    return headers


def modern(
    method: str,
    params: dict[str, object] | None = None,
    request_id: object = 1,
) -> tuple[dict[str, object], dict[str, str]]:
    """A 2026 request: body and headers."""
    members: dict[str, object] = {**(params or {})}
    meta = members.pop("_meta", {})
    assert isinstance(meta, dict)
    members["_meta"] = {**ENVELOPE, **meta}
    headers = {"mcp-protocol-version": MODERN, "mcp-method": method}
    if isinstance(members.get("name"), str):
        headers["mcp-name"] = str(members["name"])
    return rpc(method, members, request_id), headers
