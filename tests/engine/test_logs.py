"""The engine's own log: who reads it slowly holds nobody up."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress

import pytest

from mcpmux_tui.engine.logs import Patient

LINE = "x" * 1_000 + "\n"


@pytest.mark.behaviour("X19")
def test_a_reader_that_does_not_keep_up_holds_nobody_up_and_misses_only_what_is_too_much() -> None:
    reading, writing = os.pipe()
    # What could not be written when the reader left is lost with the stream.
    with suppress(BrokenPipeError), os.fdopen(writing, "w") as stream:
        patient = Patient(stream)
        with os.fdopen(reading) as reader:
            for _ in range(12_000):
                patient.write(LINE)
            lines = Counter(reader.readline() for _ in range(10_000))
        patient.drain()
    assert lines[LINE] > 9_900
    assert any("lines were left out" in line for line in lines) or lines[LINE] == 10_000
    # Where nobody reads any more, nothing is raised.
    closed = Patient(stream)
    closed.write(LINE)
    closed.drain()
