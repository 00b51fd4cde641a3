from __future__ import annotations

import mcp_types
from mcp_types import jsonrpc as sdk_jsonrpc
from mcp_types import version as sdk_version

from mcpmux_tui.model import protocol


def test_our_words_are_the_sdks_words() -> None:
    assert protocol.HANDSHAKE_VERSIONS == sdk_version.HANDSHAKE_PROTOCOL_VERSIONS
    assert protocol.MODERN_VERSIONS == sdk_version.MODERN_PROTOCOL_VERSIONS
    assert protocol.META_PROTOCOL_VERSION == mcp_types.PROTOCOL_VERSION_META_KEY
    assert protocol.META_CLIENT_INFO == mcp_types.CLIENT_INFO_META_KEY
    assert protocol.META_CLIENT_CAPABILITIES == mcp_types.CLIENT_CAPABILITIES_META_KEY
    assert protocol.META_SERVER_INFO == mcp_types.SERVER_INFO_META_KEY
    assert protocol.META_LOG_LEVEL == mcp_types.LOG_LEVEL_META_KEY
    assert protocol.HEADER_MISMATCH == sdk_jsonrpc.HEADER_MISMATCH
    assert protocol.MISSING_CLIENT_CAPABILITY == sdk_jsonrpc.MISSING_REQUIRED_CLIENT_CAPABILITY
    assert protocol.UNSUPPORTED_PROTOCOL_VERSION == sdk_jsonrpc.UNSUPPORTED_PROTOCOL_VERSION


def test_header_and_subscription_words_are_the_sdks_words() -> None:
    from mcp.shared import inbound, subscriptions

    assert protocol.HEADER_PROTOCOL_VERSION == inbound.MCP_PROTOCOL_VERSION_HEADER
    assert protocol.HEADER_METHOD == inbound.MCP_METHOD_HEADER
    assert protocol.HEADER_NAME == inbound.MCP_NAME_HEADER
    assert protocol.META_SUBSCRIPTION_ID == subscriptions.SUBSCRIPTION_ID_META_KEY
