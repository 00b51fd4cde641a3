"""Opening the UI on servers of one's own and on the demo's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from mcpmux_tui.cli import open as opening
from mcpmux_tui.engine.instance import Options
from mcpmux_tui.ui import app
from mcpmux_tui.ui.crash import describe


def test_the_report_of_a_crash_outlasts_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    async def crash(_: object, *, owner: bool, state: Path) -> app.Left:
        said.append(describe(LookupError("a bug"), state))
        return app.Left(code=70, detached=not owner)

    monkeypatch.setattr(app, "run", crash)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("MCPMUX_STATE_DIR", str(tmp_path / "state"))
    assert opening.open_demo(port=None, auth=True) == 70
    report = tmp_path / "state" / "ui-crash.log"
    assert said == [f"The screen of mcpmux failed (LookupError). A report is in {report}."]
    assert "LookupError: a bug" in report.read_text(encoding="utf-8")
    assert list(tmp_path.glob("mcpmux-demo-*")) == []


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
