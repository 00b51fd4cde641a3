"""Which era a server speaks: `server/discover` first, `initialize` where that is not understood.

The rules are those of the SDK's client (mcp/client/_probe.py): only an answer can decide, an outage
never does; everything but positive evidence of the 2026 era leads to the handshake.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from mcpmux_tui.model import rawjson
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.errors import RequestTimeout, RpcError, StartFailed
from mcpmux_tui.model.protocol import (
    HANDSHAKE_VERSIONS,
    LATEST_MODERN,
    META_SERVER_INFO,
    MODERN_VERSIONS,
    UNSUPPORTED_PROTOCOL_VERSION,
    is_modern,
)
from mcpmux_tui.model.rawjson import Malformed
from mcpmux_tui.text import one_line
from mcpmux_tui.upstream.troubles import NotUnderstood

_INSTRUCTIONS = 16 * 1024
"""Characters of a server's instructions that are kept."""


class Era(Enum):
    """How a server is spoken to."""

    LEGACY = "legacy"
    MODERN = "modern"


@dataclass(frozen=True)
class Peer:
    """What a server said about itself."""

    version: str
    info: str = ""
    """Its own name and version, clean."""
    capabilities: frozenset[str] = frozenset()
    """What it declared, such as "tools" and "tools.listChanged"."""
    instructions: str = ""

    @functools.cached_property
    def era(self) -> Era:
        """How it is spoken to from now on."""
        return Era.MODERN if is_modern(self.version) else Era.LEGACY

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What it lists."""
        return tuple(kind for kind in Kind if kind.capability in self.capabilities)

    @property
    def announces(self) -> tuple[str, ...]:
        """The capabilities whose lists it tells us have changed."""
        listed = dict.fromkeys(kind.capability for kind in self.kinds)
        return tuple(each for each in listed if f"{each}.listChanged" in self.capabilities)


Ask = Callable[[str, str | None, bytes, float | None], Awaitable[bytes]]
"""Sends (method, version of the envelope or None, params, seconds it may stay unanswered)."""


async def negotiate(ask: Ask, known: Era | None, probe: float, greeting: bytes) -> Peer:
    """Agree on a version; `known` is the era of an earlier connection, `greeting` are the params
    of `initialize`.

    Raises StartFailed, RpcError, and whatever the transport raises.
    """
    version = LATEST_MODERN
    for last in (False, True):
        if known is not Era.LEGACY or last:
            patience = None if known is Era.MODERN or last else probe
            try:
                peer = _discovered(await ask("server/discover", version, b"{}", patience))
            except RpcError as error:
                supported = _supported(error)
                mutual = _newest(supported)
                if mutual is not None and not last:
                    version = mutual
                    known = Era.MODERN
                    continue
                if supported and not set(supported) & set(HANDSHAKE_VERSIONS):
                    raise _no_common_version(supported) from error
            except (RequestTimeout, NotUnderstood):
                # Silence or nonsense is no evidence; `initialize` brings out the same, if it lasts.
                pass
            else:
                if peer is not None:
                    return peer
        try:
            return _initialized(await ask("initialize", None, greeting, None))
        except RpcError as error:
            # A probe answered too late has fixed the 2026 era before `initialize` came.
            mutual = _newest(_supported(error))
            if mutual is None or last:
                raise
            version = mutual
    raise AssertionError  # The second round returns or raises.


def _discovered(raw: bytes) -> Peer | None:
    found = _object(raw)
    versions = found.get("supportedVersions")
    if not isinstance(versions, list) or (version := _newest(versions)) is None:
        return None
    meta = found.get("_meta")
    info = meta.get(META_SERVER_INFO) if isinstance(meta, dict) else None
    return _peer(version, info, found)


def _initialized(raw: bytes) -> Peer:
    found = _object(raw)
    version = found.get("protocolVersion")
    if not isinstance(version, str) or version not in HANDSHAKE_VERSIONS:
        raise _no_common_version([version])
    return _peer(version, found.get("serverInfo"), found)


def _object(raw: bytes) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("its first answer could not be read") from error
    return found


def _peer(version: str, info: object, found: Mapping[str, object]) -> Peer:
    instructions = found.get("instructions")
    named = [info.get("name"), info.get("version")] if isinstance(info, dict) else []
    return Peer(
        version,
        one_line(" ".join(part for part in named if isinstance(part, str)), 120),
        _declared(found.get("capabilities")),
        instructions[:_INSTRUCTIONS] if isinstance(instructions, str) else "",
    )


def _declared(capabilities: object) -> frozenset[str]:
    if not isinstance(capabilities, dict):
        return frozenset()
    declared = {name: of for name, of in capabilities.items() if isinstance(of, dict)}
    flags = {
        f"{name}.{flag}"
        for name, of in declared.items()
        for flag in ("listChanged", "subscribe")
        if of.get(flag) is True
    }
    return frozenset(declared) | flags


def _supported(error: RpcError) -> list[object]:
    if error.code != UNSUPPORTED_PROTOCOL_VERSION:
        return []
    try:
        data = rawjson.parse_object(error.raw).get("data")
    except Malformed:
        return []
    supported = data.value.get("supported") if data and isinstance(data.value, dict) else None
    return supported if isinstance(supported, list) else []


def _newest(versions: list[object]) -> str | None:
    return next((each for each in reversed(MODERN_VERSIONS) if each in versions), None)


def _no_common_version(theirs: list[object]) -> StartFailed:
    named = one_line(", ".join(str(each) for each in theirs), 120)
    return StartFailed(
        f"speaks MCP {named}, mcpmux speaks {HANDSHAKE_VERSIONS[0]} to {MODERN_VERSIONS[-1]}",
        "Look for another version of the server, or of mcpmux.",
        permanent=True,
    )
