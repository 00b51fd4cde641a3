"""What each era adds around a request's params."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mcpmux_tui import __version__
from mcpmux_tui.model import rawjson
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.params import parse_params
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
    members = parse_params(params)
    meta = members.get("_meta")
    info = rawjson.dumps(_INFO) if caller.info is None else caller.info
    envelope = {
        META_PROTOCOL_VERSION: rawjson.quoted(version),
        META_CLIENT_INFO: info,
        META_CLIENT_CAPABILITIES: caller.capabilities,
        META_LOG_LEVEL: caller.log_level,
    }
    whole = rawjson.splice(b"{}" if meta is None else meta.raw, envelope)
    return rawjson.joined(members, {"_meta": whole})


def initialize_params(caller: Caller) -> bytes:
    """The params of `initialize`: the newest version with a handshake, and who calls."""
    return b'{"protocolVersion":%b,"capabilities":%b,"clientInfo":%b}' % (
        rawjson.dumps(LATEST_HANDSHAKE),
        caller.capabilities,
        rawjson.dumps(_INFO) if caller.info is None else caller.info,
    )
