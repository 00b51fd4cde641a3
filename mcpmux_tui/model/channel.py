"""A live connection to one server, as the proxy sees it, and the client behind a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol


class Kind(Enum):
    """What servers list; the value is the member of the answer that holds the definitions."""

    TOOLS = "tools"
    PROMPTS = "prompts"
    RESOURCES = "resources"
    TEMPLATES = "resourceTemplates"

    @property
    def method(self) -> str:
        """The request that lists them."""
        return "resources/templates/list" if self is Kind.TEMPLATES else f"{self.value}/list"

    @property
    def capability(self) -> str:
        """The server capability they belong to."""
        return "resources" if self is Kind.TEMPLATES else self.value

    @property
    def key(self) -> str:
        """The member of a definition by which requests mean it."""
        return _KEYS[self]

    @property
    def noun(self) -> str:
        """What one of them is called."""
        return "template" if self is Kind.TEMPLATES else self.value[:-1]


_KEYS: Final = {
    Kind.TOOLS: "name",
    Kind.PROMPTS: "name",
    Kind.RESOURCES: "uri",
    Kind.TEMPLATES: "uriTemplate",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One tool, prompt, resource or resource template as its server lists it."""

    name: str
    """The server's own name or address of it, as received."""
    definition: bytes
    """The whole definition, as received."""
    description: str = ""
    """For people: clean and capped."""


@dataclass(frozen=True, slots=True)
class Lists:
    """What a server offers; replaced as a whole, never changed."""

    items: Mapping[Kind, tuple[Item, ...]] = field(default_factory=dict)
    skipped: tuple[str, ...] = field(default=())
    """Definitions that could not be used, one sentence each, clean."""
    capabilities: frozenset[str] = frozenset()
    """What the server can do besides, such as "completions" or "resources.subscribe"."""
    instructions: str = ""
    """Its words to the model, as received; capped."""

    def of(self, kind: Kind) -> tuple[Item, ...]:
        """The items of one kind, in the server's order."""
        return self.items.get(kind, ())

    @property
    def tools(self) -> tuple[Item, ...]:
        """Its tools."""
        return self.of(Kind.TOOLS)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What clients want of a server beyond its answers."""

    resources: frozenset[str] = frozenset()
    """Addresses whose changes somebody wants to hear of."""
    log_level: str | None = None
    """The most talkative level that a 2025 client asked for."""


class Client(Protocol):
    """Who hears what a server says while it works on a request. Called on the event loop."""

    @property
    def owner(self) -> Client | None:
        """The client itself, beyond this one request; None where it has no session."""
        ...

    def notified(self, method: str, params: bytes) -> None:
        """Take a notification of the server; must not block."""
        ...

    def takes(self, method: str, params: bytes) -> bool:
        """Whether it can be asked this now."""
        ...

    async def asked(self, method: str, params: bytes) -> bytes:
        """Answer a server's own request with the raw result.

        Raises RpcError where the client refuses, or nobody can answer. Being cancelled means that
        the server does not want to know any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request goes to a server: the raw JSON of what the client declared.

    A 2026-07-28 server is told these with each request, a 2025 one over HTTP once per session
    (DESIGN: the caller's, not ours). Empty capabilities mean that the server must not ask the
    client anything.
    """

    info: bytes | None = None
    capabilities: bytes = b"{}"
    log_level: bytes | None = None
    """The raw level from which on it wants log messages of its 2026 requests."""
    key: str = ""
    """Equal for all requests of one client; "" where mcpmux itself asks."""
    askable: bool = False
    """Whether it declared something that a 2025 server must be told when a session is opened."""
    modern: bool = False
    """Whether the client itself speaks 2026-07-28."""


class Channel(Protocol):
    """Requests to one connected server. Safe for many calls at once; no lock is held across one."""

    @property
    def protocol_version(self) -> str:
        """The negotiated version, such as "2025-11-25"."""
        ...

    async def request(
        self,
        method: str,
        params: bytes,
        *,
        caller: Caller,
        name: str | None = None,
        client: Client | None = None,
    ) -> bytes:
        """Send one request and return the bytes of its `result` as received.

        `params` is a raw JSON object without any era's envelope; the channel adds its own.
        `name` is what `Mcp-Name` repeats over HTTP. `client` hears what the server says about the
        request meanwhile. Cancelling the task cancels the request at the server.

        Raises RpcError, ConnectionLost, RequestTimeout, NotConnected.
        """
        ...
