"""What `status` says for people."""

from __future__ import annotations

import pytest

from mcpmux_tui.cli.servers import _print_status
from mcpmux_tui.model.server import EngineSnapshot, Health, ProxySnapshot
from tests.ui.fake_engine import server


def test_a_server_that_waits_for_its_next_try_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    away = server(
        "docs", Health.RECONNECTING, summary="try 6 at 10:00:00", detail="Answered HTTP 500.\nLook."
    )
    _print_status(EngineSnapshot(proxy=ProxySnapshot(url="http://x", pid=1), servers=(away,)))
    out = capsys.readouterr().out
    assert "docs  reconnecting  try 6 at 10:00:00: Answered HTTP 500.\n" in out
