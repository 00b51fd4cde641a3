"""Cleaning of text that came from a server, a file or the network, before it is drawn.

Forwarding keeps the raw value; only what a person sees passes through here.
"""

from __future__ import annotations

import re
import unicodedata

REPLACEMENT = "\ufffd"

NAME_LIMIT = 128
LINE_LIMIT = 1_000
TEXT_LIMIT = 8_192

# Colours are noise in a log, not an attack: take them out whole instead of leaving "[31m" behind.
_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_HOSTILE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb"
    "\u2028\u2029"
    "\ud800-\udfff"
    "\U000e0000-\U000e007f"
    "]"
)
_NOT_PLAIN = re.compile(_HOSTILE.pattern[:-1] + "\t\n]")
_SPACE_RUN = re.compile(r" {9,}")
_MARK_LIMIT = 8


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return `text` safe to draw: no control, bidi or invisible characters, at most `limit`."""
    cut = len(text) > limit
    text = unicodedata.normalize("NFC", text[: limit * 2].replace("\r\n", "\n"))
    text = _HOSTILE.sub(REPLACEMENT, _SGR.sub("", text))
    text = _SPACE_RUN.sub("  \u2026  ", text)
    text = _thin_marks(text)
    if cut or len(text) > limit:
        text = text[: limit - 1] + "\u2026"
    return text


def one_line(text: str, limit: int = LINE_LIMIT) -> str:
    """`clean`, with line breaks and tabs turned into single spaces."""
    return clean(" ".join(text[: limit * 4].split()), limit)


def exact(text: str) -> str:
    """All of `text` on one line, nothing hidden: what acts, hides or breaks a line is escaped.

    For what a person says yes to; it is neither cut nor thinned out.
    """
    return _NOT_PLAIN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def acting(text: str) -> str:
    """The first character of `text` that acts or hides, escaped; line breaks and tabs do neither.

    Empty where there is none.
    """
    found = _HOSTILE.search(text)
    return "" if found is None else found[0].encode("unicode_escape").decode("ascii")


def _thin_marks(text: str) -> str:
    if text.isascii():
        return text
    kept: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= _MARK_LIMIT:
            kept.append(char)
    return "".join(kept)
