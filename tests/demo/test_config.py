"""The demo's rows: which work, and which wait, fail and rest."""

from __future__ import annotations

import shutil
import sys
from typing import Any


def test_every_state_has_a_row(entries: dict[str, Any]) -> None:
    assert list(entries) == [
        "clock", "notes", "text", "journal", "signer", "search", "scratchpad",
    ]  # fmt: skip
    assert [name for name, entry in entries.items() if entry.get("enabled") is False] == [
        "scratchpad"
    ]


def test_working_rows_need_only_this_python(entries: dict[str, Any]) -> None:
    for name in ("clock", "notes", "signer", "scratchpad"):
        assert entries[name]["command"] == sys.executable
    assert entries["text"] == {"url": "http://127.0.0.1:1/mcp"}


def test_one_row_waits_for_a_sign_in(entries: dict[str, Any]) -> None:
    assert entries["journal"] == {"url": "http://127.0.0.1:1/journal/mcp"}


def test_one_row_waits_for_two_values(entries: dict[str, Any]) -> None:
    assert set(entries["signer"]["env"].values()) == {"${DEMO_USER}", "${DEMO_API_KEY}"}


def test_one_row_fails_because_its_command_is_missing(entries: dict[str, Any]) -> None:
    assert shutil.which(entries["search"]["command"]) is None
