"""Opening the UI on servers of one's own and on the demo's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from mcpmux_tui.cli import open as opening
from mcpmux_tui.engine.instance import Options


def test_two_demos_are_two_instances_so_none_takes_the_others_servers_for_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Options] = []

    async def note(options: Options) -> int:
        opened.append(options)
        return 0

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(opening, "_open", note)
    for _ in range(2):
        assert opening.open_demo(port=None, auth=True) == 0
    # A child's mark is made of its instance's folder name.
    assert len({options.folder.name for options in opened}) == 2
