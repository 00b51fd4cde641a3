from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcpmux_tui.activity import log
from mcpmux_tui.activity.log import LogBook


@pytest.fixture
def book(tmp_path: Path) -> Iterator[LogBook]:
    book = LogBook(tmp_path / "logs", clock=lambda: 1_000.0)
    yield book
    book.close()


def test_pages_hold_the_newest_lines_oldest_first(book: LogBook) -> None:
    for number in range(10):
        book.record("a", f"line {number}")
    book.record("b", "other")
    assert [line.text for line in book.page("a", limit=3)] == ["line 7", "line 8", "line 9"]
    assert [line.seq for line in book.page("a", after=8)] == [9, 10]
    assert book.page("a", after=10) == ()
    assert book.page("nobody") == ()


@pytest.mark.behaviour("A1")
def test_lines_are_clean_and_capped(book: LogBook) -> None:
    book.record("a", "\x1b]0;x\x07 \x1b[31mred " + "x" * 100_000)
    line = book.page("a")[0].text
    assert "\x1b" not in line
    assert len(line) <= log.LINE


@pytest.mark.behaviour("P5")
def test_memory_is_bounded(book: LogBook) -> None:
    for _ in range(log.LINES * 2):
        book.record("a", "x" * 1_500)
    page = book.page("a", limit=10 * log.LINES)
    assert len(page) <= log.LINES
    assert sum(len(line.text) for line in page) <= log.MEMORY
    assert page[-1].seq == log.LINES * 2


def test_a_file_holds_the_lines_as_json(tmp_path: Path) -> None:
    book = LogBook(tmp_path / "logs", clock=lambda: 1_000.0)
    book.record("../a", "first", source="stdout")
    book.close()
    (file,) = (tmp_path / "logs").iterdir()
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "time": 1_000.0,
        "source": "stdout",
        "text": "first",
    }


def test_without_a_place_for_files_memory_still_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").touch()
    book = LogBook(tmp_path / "logs")
    for number in range(3):
        book.record("a", f"line {number}")
    book.close()
    assert len(book.page("a")) == 3
    assert len(caplog.records) == 1
    assert capsys.readouterr().err == ""
