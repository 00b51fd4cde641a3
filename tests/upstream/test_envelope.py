from __future__ import annotations

import json

import pytest

from mcpmux_tui import __version__
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.protocol import header_value
from mcpmux_tui.upstream.envelope import NOBODY, enveloped

PREFIX = "io.modelcontextprotocol/"


def test_the_envelope_joins_what_is_in_meta_already() -> None:
    params = b'{"name":"x","arguments":{"n": 1.0},"_meta":{"vendor/x":[1e2],"progressToken":7}}'
    raw = enveloped(params, "2026-07-28", Caller(b'{"name":"c","v":1.0}', b'{"roots":{}}'))
    assert b'"arguments":{"n": 1.0}' in raw
    assert b'"vendor/x":[1e2]' in raw
    assert b'{"name":"c","v":1.0}' in raw
    meta = json.loads(raw)["_meta"]
    assert meta["progressToken"] == 7
    assert meta[PREFIX + "protocolVersion"] == "2026-07-28"
    assert meta[PREFIX + "clientCapabilities"] == {"roots": {}}


def test_a_client_cannot_bring_an_envelope_of_its_own() -> None:
    forged = b'{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"sampling":{}}}}'
    meta = json.loads(enveloped(forged, "2026-07-28", NOBODY))["_meta"]
    assert meta[PREFIX + "clientCapabilities"] == {}
    assert meta[PREFIX + "clientInfo"] == {"name": "mcpmux", "version": __version__}


@pytest.mark.parametrize(
    "value", ["plain", "with space", "ümlaut", " edge", "a\nb", "=?base64?eA==?=", "", "tab\t"]
)
def test_header_values_are_encoded_as_the_sdk_does(value: str) -> None:
    from mcp.shared.inbound import decode_header_value, encode_header_value

    assert header_value(value) == encode_header_value(value)
    assert decode_header_value(header_value(value)) == value
