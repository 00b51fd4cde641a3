"""When the UI itself fails: one sentence on the terminal, and a report that holds no values.

Textual's own report shows local variables, where tokens are.
"""

from __future__ import annotations

import os
import traceback
from datetime import UTC, datetime
from pathlib import Path

from rich.segment import Segments
from rich.text import Text
from textual.app import App
from textual.driver import Driver

from mcpmux_tui import __version__
from mcpmux_tui.paths import private_dir
from mcpmux_tui.text import clean
from mcpmux_tui.ui.content import mask

EXIT_CODE = 70


def write_report(error: BaseException, folder: Path) -> Path:
    """Write where `error` arose into a private file of `folder`; raises OSError."""
    report = private_dir(folder) / "ui-crash.log"
    lines = traceback.TracebackException.from_exception(error, capture_locals=False).format()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    text = clean(mask("".join(lines)), limit=65_536)
    handle = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as file:
        file.write(f"{at} mcpmux {__version__}\n{text}\n")
    return report


def describe(error: BaseException, folder: Path) -> str:
    """Write a report of `error` and return the sentence that says so."""
    kind = type(error).__name__
    try:
        report = write_report(error, folder)
    except OSError as failure:
        return f"The screen of mcpmux failed ({kind}); no report could be written: {failure}."
    return f"The screen of mcpmux failed ({kind}). A report is in {report}."


class CrashGuard(App[int]):
    """An app whose crash shows no local variable; reports go to the folder `state`."""

    def __init__(self, state: Path, *, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class=driver_class)
        self.state = state

    def _fatal_error(self) -> None:
        # Textual's hook for an unhandled exception; `_exception` is the first one.
        self._return_code = EXIT_CODE
        if not self._exit_renderables:
            sentence = describe(self._exception or RuntimeError(), self.state)
            rendered = self.console.render(Text(sentence), self.console.options)
            self._exit_renderables.append(Segments(rendered))
        self._close_messages_no_wait()
