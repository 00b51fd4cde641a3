"""What went wrong: a sentence for the client, and for the log that it keeps of us."""

from __future__ import annotations

import sys


class Trouble(Exception):
    """A message could not be passed on; the text says why and what to do."""


class NotSent(Trouble):
    """Nothing of it left: it can be sent again."""


class Lost(Trouble):
    """The connection broke before the answer came: it may have been worked on."""


def say(sentence: str) -> None:
    """Write a line to stderr, which clients show in their logs."""
    # stderr may be closed, or a pipe that nobody reads.
    try:
        sys.stderr.write(f"mcpmux stdio: {sentence}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
