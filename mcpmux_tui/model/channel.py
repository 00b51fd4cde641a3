"""A live connection to one server, as the proxy sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request goes to a server: the raw JSON of what the client declared.

    A 2026-07-28 server is told these with each request (DESIGN: the caller's, not ours). Empty
    capabilities mean that the server must not ask the client anything.
    """

    info: bytes | None = None
    capabilities: bytes = b"{}"


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as its server lists it."""

    name: str
    """The server's own name, as received."""
    definition: bytes
    """The whole definition, as received."""
    description: str = ""
    """For people: clean and capped."""


@dataclass(frozen=True, slots=True)
class Lists:
    """What a server offers; replaced as a whole, never changed."""

    tools: tuple[Tool, ...] = ()
    skipped: tuple[str, ...] = field(default=())
    """Definitions that could not be used, one sentence each, clean."""


class Channel(Protocol):
    """Requests to one connected server. Safe for many calls at once; no lock is held across one."""

    @property
    def protocol_version(self) -> str:
        """The negotiated version, such as "2025-11-25"."""
        ...

    async def request(
        self, method: str, params: bytes, *, caller: Caller, name: str | None = None
    ) -> bytes:
        """Send one request and return the bytes of its `result` as received.

        `params` is a raw JSON object without any era's envelope; the channel adds its own.
        `name` is what `Mcp-Name` repeats over HTTP. Cancelling the task cancels the request at
        the server.

        Raises RpcError, ConnectionLost, RequestTimeout, NotConnected.
        """
        ...
