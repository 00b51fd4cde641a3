"""A session of 2024-11-05 to 2025-11-25: what to say again where its server has forgotten it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mcpmux_tui.bridge.message import Malformed, Message, decode
from mcpmux_tui.http1 import Response
from mcpmux_tui.model.protocol import (
    HEADER_PROTOCOL_VERSION,
    HEADER_SESSION_ID,
    LIST_CHANGED,
    header_value,
)

_INITIALIZE = b'{"jsonrpc":"2.0","id":"mcpmux-stdio","method":"initialize","params":%b}'


class Session:
    """What the client and the server agreed on, and what the client asked for since."""

    def __init__(self, params: dict[str, object]) -> None:
        self.params = params
        """Of the client's `initialize`."""
        self.id = b""
        self.headers = b""
        self.listed: tuple[str, ...] = ()
        """Capabilities whose changed lists the server announces."""
        self.initialized: bytes | None = None
        """The client's notification, once it came."""
        self.level: bytes | None = None
        """The last `logging/setLevel`."""
        self.subscriptions: dict[str, bytes] = {}
        """URI -> the request that subscribed to it."""

    @classmethod
    def of(cls, initialize: Message) -> Session:
        """The session that a client's `initialize` asks for."""
        params = json.loads(initialize.raw).get("params")
        return cls(params if isinstance(params, dict) else {})

    def opened(self, response: Response, result: bytes) -> None:
        """The server has agreed: take note of its id and version. Raises Malformed."""
        message = decode(result)
        answer = message.get("result") if isinstance(message, dict) else None
        version = answer.get("protocolVersion") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or not isinstance(version, str):
            raise Malformed("no answer to initialize")
        self.id = response.headers.get(HEADER_SESSION_ID.encode("ascii"), b"")
        named = f"{HEADER_PROTOCOL_VERSION}: {header_value(version)}\r\n".encode("ascii")
        own = b"%b: %b\r\n" % (HEADER_SESSION_ID.encode("ascii"), self.id) if self.id else b""
        self.headers = own + named
        # The next time it is this version or none.
        self.params["protocolVersion"] = version
        offered = answer.get("capabilities")
        self.listed = tuple(
            name
            for name in LIST_CHANGED
            if isinstance(offered, dict)
            and isinstance(offered.get(name), dict)
            and offered[name].get("listChanged") is True
        )

    def again(self) -> bytes:
        """An `initialize` of the bridge's own."""
        return _INITIALIZE % json.dumps(self.params, separators=(",", ":")).encode("ascii")

    def note(self, message: Message) -> None:
        """Remember what a server forgets with the session."""
        uri = message.params.get("uri")
        match message.method:
            case "notifications/initialized":
                self.initialized = message.raw
            case "logging/setLevel":
                self.level = message.raw
            case "resources/subscribe" if isinstance(uri, str):
                self.subscriptions[uri] = message.raw
            case "resources/unsubscribe" if isinstance(uri, str):
                self.subscriptions.pop(uri, None)

    def kept(self) -> Iterator[bytes]:
        """What to say again after `initialize`."""
        for message in (self.initialized, self.level, *self.subscriptions.values()):
            if message is not None:
                yield message

    def changed(self) -> Iterator[bytes]:
        """What to tell the client: its lists may be others now."""
        for name in self.listed:
            yield b'{"jsonrpc":"2.0","method":"%b"}' % LIST_CHANGED[name].encode("ascii")
