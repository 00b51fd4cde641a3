"""MCP's own words: versions, methods, headers, envelope keys and error codes of both eras.

Kept here because importing `mcp_types` costs 0.13 s and 33 MB on the engine's start; a test holds
these against the SDK's. Spec: 2025-11-25 and 2026-07-28, basic/index and basic/transports.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

HANDSHAKE_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions reached through `initialize`, oldest first."""
MODERN_VERSIONS: Final = ("2026-07-28",)
"""Stateless revisions with an envelope in every request's `_meta`."""
LATEST_HANDSHAKE: Final = HANDSHAKE_VERSIONS[-1]
LATEST_MODERN: Final = MODERN_VERSIONS[-1]

META_PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
META_CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
META_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
META_SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
META_SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"
ENVELOPE_KEYS: Final = frozenset(
    {META_PROTOCOL_VERSION, META_CLIENT_INFO, META_CLIENT_CAPABILITIES, META_LOG_LEVEL}
)

HEADER_SESSION_ID: Final = "mcp-session-id"
HEADER_PROTOCOL_VERSION: Final = "mcp-protocol-version"
HEADER_METHOD: Final = "mcp-method"
HEADER_NAME: Final = "mcp-name"
NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Method -> the member of its params that the name's header repeats."""

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_UNAVAILABLE: Final = -32000
"""Implementation-defined: the server behind a name cannot take the call now."""
REQUEST_TIMEOUT: Final = -32001
RESOURCE_NOT_FOUND: Final = -32002
HEADER_MISMATCH: Final = -32020
MISSING_CLIENT_CAPABILITY: Final = -32021
UNSUPPORTED_PROTOCOL_VERSION: Final = -32022

LIST_CHANGED: Final = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}
"""Capability -> how a server announces that its list has changed."""
RESOURCE_UPDATED: Final = "notifications/resources/updated"
LOG_MESSAGE: Final = "notifications/message"
PROGRESS: Final = "notifications/progress"
CANCELLED: Final = "notifications/cancelled"
ELICITATION_COMPLETE: Final = "notifications/elicitation/complete"
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"

ELICIT: Final = "elicitation/create"
SAMPLE: Final = "sampling/createMessage"
LIST_ROOTS: Final = "roots/list"
QUESTIONS: Final = {ELICIT: "elicitation", SAMPLE: "sampling", LIST_ROOTS: "roots"}
"""What a server may ask of a client -> the client capability that permits it."""


def is_modern(version: str) -> bool:
    """Whether a negotiated version is of the stateless era."""
    return version in MODERN_VERSIONS


_PLAIN: Final = r"[\x20-\x7e]*"
_SENTINEL: Final = r"=\?base64\?.*\?="


def header_value(value: str) -> str:
    """`value` as a header can carry it: as it is, or base64 within a sentinel."""
    plain = re.fullmatch(_PLAIN, value) and value == value.strip()
    if plain and not re.fullmatch(_SENTINEL, value):
        return value
    encoded = binascii.b2a_base64(value.encode("utf-8", "replace"), newline=False)
    return f"=?base64?{encoded.decode('ascii')}?="
