"""What each era adds around a request's params."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mcpmux_tui import __version__
from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.protocol import (
    LATEST_HANDSHAKE,
    META_CLIENT_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    META_PROTOCOL_VERSION,
)

_INFO: Final = {"name": "mcpmux", "version": __version__}
NOBODY: Final = Caller()
"""mcpmux itself: it offers a server nothing."""
ANYBODY: Final = Caller(
    capabilities=b'{"elicitation":{"form":{},"url":{}},"sampling":{"context":{},"tools":{}},'
    b'"roots":{"listChanged":true}}'
)
"""For a 2025 process that many clients share: each of its questions is judged when it comes."""
OLDER_CLIENTS: Final = replace(ANYBODY, key="older clients", askable=True)
"""All 2025 clients that can be asked, at a server whose shared process speaks 2026."""


def enveloped(params: bytes, version: str, caller: Caller) -> bytes:
    """`params` with the 2026-07-28 envelope in `_meta`; other members of `_meta` stay."""
    text = jsonrpc.decode(params)
    meta = jsonrpc.parse_object(text).get("_meta")
    info = jsonrpc.dumps(_INFO) if caller.info is None else caller.info
    envelope: dict[str, str | None] = {
        META_PROTOCOL_VERSION: jsonrpc.dumps(version).decode(),
        META_CLIENT_INFO: info.decode(),
        META_CLIENT_CAPABILITIES: caller.capabilities.decode(),
        META_LOG_LEVEL: None if caller.log_level is None else caller.log_level.decode(),
    }
    whole = jsonrpc.splice("{}" if meta is None else meta.raw, envelope)
    return jsonrpc.splice(text, {"_meta": whole}).encode()


def initialize_params(caller: Caller) -> bytes:
    """The params of `initialize`: the newest version with a handshake, and who calls."""
    return b'{"protocolVersion":%b,"capabilities":%b,"clientInfo":%b}' % (
        jsonrpc.dumps(LATEST_HANDSHAKE),
        caller.capabilities,
        jsonrpc.dumps(_INFO) if caller.info is None else caller.info,
    )


def with_progress_token(params: bytes, token: bytes) -> bytes:
    """`params` with another progress token in their `_meta`."""
    text = jsonrpc.decode(params)
    meta = jsonrpc.parse_object(text)["_meta"].raw
    own = jsonrpc.splice(meta, {"progressToken": token.decode()})
    return jsonrpc.splice(text, {"_meta": own}).encode()
