from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.model.lines import Line, LineSplitter

KIB = 1024


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(1, 7))
def test_lines_come_out_as_they_went_in_however_they_are_cut(lines: list[bytes], size: int) -> None:
    lines = [line.replace(b"\n", b"") for line in lines]
    data = b"".join(line + b"\n" for line in lines)
    splitter = LineSplitter(1000)
    found = [
        line.data
        for start in range(0, len(data), size)
        for line in splitter.feed(data[start : start + size])
    ]
    assert found == lines
    assert splitter.end() == []


def test_the_last_line_needs_no_line_feed() -> None:
    splitter = LineSplitter(10)
    assert splitter.feed(b"a\nb") == [Line(b"a")]
    assert splitter.end() == [Line(b"b")]


def test_of_a_too_long_line_both_ends_are_kept() -> None:
    splitter = LineSplitter(20, ends=4)
    assert splitter.feed(b"0123456789" * 2) == []
    assert splitter.feed(b"abcdefghij" * 2) == []
    assert splitter.feed(b"xyz\nnext\n") == [Line(b"0123jxyz", 43 - 8), Line(b"next")]


@pytest.mark.behaviour("P9")
def test_a_long_line_costs_linear_time_and_bounded_memory() -> None:
    splitter = LineSplitter(16 * KIB * KIB)
    chunk = b"x" * 64 * KIB
    started = time.process_time()
    for _ in range(1600):
        splitter.feed(chunk)
    (line,) = splitter.feed(b"\n")
    assert time.process_time() - started < 1.5
    assert line.left_out == 1600 * len(chunk) - len(line.data)
    assert len(line.data) == 1024
