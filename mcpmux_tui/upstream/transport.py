"""What a session needs of a transport, and a transport of its session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.channel import Lists
from mcpmux_tui.model.errors import UpstreamError
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.rawjson import Malformed


@dataclass(slots=True)
class Request:
    """One request on its way."""

    id: bytes
    method: str
    params: bytes
    """Raw, with its era's envelope."""
    name: str | None
    """What `Mcp-Name` repeats."""
    alive: Callable[[], None]
    """Called whenever something of the answer arrives."""

    def message(self, end: bytes = b"") -> bytes:
        """The JSON-RPC message, and what ends its line."""
        return jsonrpc.request(self.id, self.method, self.params, end)


class Listener(Protocol):
    """The session's side: called on the event loop, must not block."""

    def heard(self) -> None:
        """Learn that something arrived, whoever waits for it."""
        ...

    def received(self, message: Message, of: bytes | None = None) -> None:
        """Take a request or notification of the server; `of` is the id of the request in whose
        answer it came, where that is known."""
        ...

    def lost(self, error: UpstreamError) -> None:
        """Learn that no message will pass any more."""
        ...


class Transport(Protocol):
    """Carries messages to one server. `open` comes first, `close` always last."""

    closing_cancels: bool
    """Whether a 2026-07-28 request is cancelled by leaving `exchange`, without a notification."""
    pushes: bool
    """Whether what a 2025 server sends outside of any request comes without `follow`."""
    shared: bool
    """Whether there is only one session with a 2025 server, whoever calls."""
    version: str | None
    """The protocol version to name in headers; set by the session."""

    @property
    def pid(self) -> int | None:
        """The direct child's, while it lives."""
        ...

    async def open(self, listener: Listener) -> None:
        """Make ready. Raises StartFailed."""
        ...

    async def exchange(self, request: Request) -> Message:
        """Send a request and return its response (a result or an error).

        Raises ConnectionLost or NotConnected.
        """
        ...

    async def send(self, message: bytes) -> None:
        """Send a notification or a response. Raises ConnectionLost or NotConnected."""
        ...

    async def follow(self, opened: Callable[[], None]) -> bool:
        """Carry what a 2025 server sends outside of any request, until that stream ends.

        `opened` is called once it is open. False where the server offers no such stream. Raises
        ConnectionLost or NotConnected.
        """
        ...

    async def learn(self, lists: Lists) -> Lists:
        """Take note of what the tools want from the transport; return those that can be used."""
        ...

    async def close(self) -> None:
        """End the connection in bounded time; nothing of it is left."""
        ...


def read_message(data: bytes) -> Message:
    """`parse_message`, with invalid UTF-8 replaced instead of refused. Raises Malformed."""
    try:
        return jsonrpc.parse_message(data)
    except Malformed:
        mended = data.decode("utf-8", "replace").encode()
        if mended == data:
            raise
    return jsonrpc.parse_message(mended)
