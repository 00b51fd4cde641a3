"""The terminal, whose loss ends the app: Textual's driver alone hangs when a window is closed.

Closing a window sends SIGHUP and then SIGCONT, and every later read or write fails. Textual's
writer thread would die of that, its full queue then block the app for ever, and SIGCONT start a
second reader that nothing ends.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver


class Output:
    """A stream that drops what cannot be written any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` if the terminal is there."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Send what was written if the terminal is there."""
        with suppress(OSError):
            self._stream.flush()

    def fileno(self) -> int:
        """The terminal's descriptor."""
        return self._stream.fileno()


class TerminalDriver(LinuxDriver):
    """Textual's driver for a terminal that may go away."""

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if self._file is not None:
            # The writer thread uses no more of a stream than this has.
            self._file = Output(self._file)  # type: ignore[assignment]

    def run_input_thread(self) -> None:
        """Read keys; end the app when there is no terminal to read from."""
        try:
            super().run_input_thread()
        except OSError:
            self._loop.call_soon_threadsafe(self._app.exit)

    def _sigcont_application(self, *args: object) -> None:
        # Only what was suspended is resumed.
        if self._must_signal_resume:
            super()._sigcont_application(*args)
