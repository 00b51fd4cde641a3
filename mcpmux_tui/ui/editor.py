"""The config in the person's own editor, while the app stands back; the engine goes on."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

from textual.app import App, SuspendNotSupported

from mcpmux_tui.control.protocol import Place
from mcpmux_tui.model.errors import UsageError

_PLUS: Final = frozenset(
    {"vi", "vim", "nvim", "view", "nano", "emacs", "emacsclient", "micro", "kak", "joe", "mg", "ne"}
)
"""Editors that take +N before the file."""
_COLON: Final = frozenset({"hx", "helix"})


def command(environ: Mapping[str, str], place: Place) -> list[str]:
    """The editor's command line, at the line where it takes one. Raises UsageError."""
    told = environ.get("VISUAL", "").strip() or environ.get("EDITOR", "").strip()
    try:
        words = shlex.split(told)
    except ValueError:
        raise UsageError(
            "VISUAL or EDITOR opens a quote and does not close it.", "Set it anew."
        ) from None
    if not words:
        raise UsageError(
            "No editor is set.",
            f"Start mcpmux with one, such as EDITOR=nano mcpmux, or open {place.path} yourself.",
        )
    name = PurePath(words[0]).name
    if place.line is not None and name in _PLUS:
        return [*words, f"+{place.line}", place.path]
    if place.line is not None and name in _COLON:
        return [*words, f"{place.path}:{place.line}"]
    return [*words, place.path]


def edit(app: App[int], words: list[str]) -> None:
    """Run the editor on the app's terminal until it ends. Raises UsageError.

    Blocks the app, which shows nothing meanwhile; the engine is another process.
    """
    trouble: OSError | None = None
    code = 0
    try:
        with app.suspend():
            # An error that leaves this block would leave the terminal as the editor had it.
            try:
                code = _run(words)
            except OSError as error:
                trouble = error
    except SuspendNotSupported:
        raise UsageError("An editor needs a terminal of its own, which is not here.") from None
    if trouble is not None:
        raise UsageError(
            f"The editor {words[0]} could not be started: {trouble.strerror or trouble}.",
            "Set VISUAL or EDITOR to one that is there, then start mcpmux again.",
        )
    if code:
        raise UsageError(f"The editor {words[0]} ended with code {code}.")


def _run(words: list[str]) -> int:
    process = subprocess.Popen(words)
    # ctrl+c in an editor reaches all who share its terminal; it is not meant for the app.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
