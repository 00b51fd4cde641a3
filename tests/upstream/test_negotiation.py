from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from mcpmux_tui.model.errors import ConnectionLost, RequestTimeout, RpcError, StartFailed
from mcpmux_tui.model.jsonrpc import rpc_error
from mcpmux_tui.upstream.negotiation import Era, Peer, negotiate
from mcpmux_tui.upstream.troubles import NotUnderstood

MODERN = b"""{"supportedVersions":["2025-11-25","2026-07-28"],"capabilities":{"tools":{}},
    "_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n","version":"2"}}}"""
OLD = b"""{"protocolVersion":"2024-11-05","capabilities":{"tools":{"listChanged":true}},
    "serverInfo":{"name":"o\\u001b[2J"}}"""
MODERN_PEER = Peer("2026-07-28", "n 2", frozenset({"tools"}))


def refusal(code: int, **data: object) -> RpcError:
    return rpc_error(json.dumps({"code": code, "message": "no", "data": data}).encode())


UNKNOWN = refusal(-32601)
MODERN_ONLY = refusal(-32022, supported=["2026-07-28"])
FUTURE = refusal(-32022, supported=["2031-01-01"])
LEGACY_ONLY = refusal(-32022, supported=["2025-11-25"])


class Script:
    """A peer that gives prepared answers."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str | None, float | None]] = []

    async def __call__(
        self, method: str, version: str | None, params: bytes, patience: float | None
    ) -> bytes:
        self.asked.append((method, version, patience))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


DISCOVER = ("server/discover", "2026-07-28", 3.0)
DISCOVER_AGAIN = ("server/discover", "2026-07-28", None)
INITIALIZE = ("initialize", None, None)


@pytest.mark.parametrize(
    ("answers", "asked", "version"),
    [
        ([MODERN], [DISCOVER], "2026-07-28"),
        ([UNKNOWN, OLD], [DISCOVER, INITIALIZE], "2024-11-05"),
        ([RequestTimeout("silent"), OLD], [DISCOVER, INITIALIZE], "2024-11-05"),
        ([NotUnderstood("HTTP 400"), OLD], [DISCOVER, INITIALIZE], "2024-11-05"),
        ([b'{"supportedVersions":["2025-11-25"]}', OLD], [DISCOVER, INITIALIZE], "2024-11-05"),
        ([b'{"else":1}', OLD], [DISCOVER, INITIALIZE], "2024-11-05"),
        ([LEGACY_ONLY, OLD], [DISCOVER, INITIALIZE], "2024-11-05"),
        ([MODERN_ONLY, MODERN], [DISCOVER, DISCOVER_AGAIN], "2026-07-28"),
        (
            [RequestTimeout("silent"), MODERN_ONLY, MODERN],
            [DISCOVER, INITIALIZE, DISCOVER_AGAIN],
            "2026-07-28",
        ),
    ],
)
async def test_the_answers_decide_the_era(
    answers: Sequence[bytes | Exception],
    asked: Sequence[tuple[str, str | None, float | None]],
    version: str,
) -> None:
    script = Script(*answers)
    peer = await negotiate(script, None, 3.0, b"{}")
    assert peer.version == version
    assert script.asked == asked
    assert "\x1b" not in peer.info


async def test_a_known_era_saves_the_detour() -> None:
    old = Script(OLD)
    assert (await negotiate(old, Era.LEGACY, 3.0, b"{}")).announces == ("tools",)
    assert old.asked == [INITIALIZE]
    new = Script(MODERN)
    assert await negotiate(new, Era.MODERN, 3.0, b"{}") == MODERN_PEER
    assert new.asked == [DISCOVER_AGAIN]
    moved = Script(MODERN_ONLY, MODERN)
    assert await negotiate(moved, Era.LEGACY, 3.0, b"{}") == MODERN_PEER


@pytest.mark.parametrize("answers", [[FUTURE], [UNKNOWN, b'{"protocolVersion":"2031-01-01"}']])
async def test_no_common_version_is_said_with_both_sides(
    answers: Sequence[bytes | Exception],
) -> None:
    with pytest.raises(StartFailed, match=r"speaks MCP 2031-01-01, mcpmux speaks") as caught:
        await negotiate(Script(*answers), None, 3.0, b"{}")
    assert caught.value.permanent


async def test_an_outage_is_no_verdict() -> None:
    with pytest.raises(ConnectionLost):
        await negotiate(Script(ConnectionLost("gone")), None, 3.0, b"{}")
