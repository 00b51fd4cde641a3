"""The terminal, whose loss ends the app: Textual's driver alone hangs when a window is closed.

Closing a window sends SIGHUP and then SIGCONT, and every later read or write fails. Textual's
writer thread would die of that, its full queue then block the app for ever, and SIGCONT start a
second reader that nothing ends.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from pathlib import Path
from typing import TextIO

import psutil
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

_KEEP_TITLE = "\x1b[22;2t"
_GIVE_TITLE_BACK = "\x1b[23;2t"
"""xterm's stack of titles; others ignore these."""
_LOOK = 1.0
"""Seconds between two looks at whether the terminal is still there."""


def shell_waits() -> bool:
    """Whether a shell is told when this program stops, and can let it go on.

    POSIX calls a process group without one orphaned: it would be stopped for ever.
    """
    group = os.getpgrp()
    for parent in psutil.Process().parents():
        try:
            if os.getpgid(parent.pid) != group:
                return os.getsid(parent.pid) == os.getsid(0)
        except OSError:
            return False
    return False


class Output:
    """A stream that drops what cannot be written any more.

    Once its terminal is gone its descriptor leads nowhere: what a buffer still holds would make
    the interpreter's own flush fail, and with it the exit code.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` if the terminal is there."""
        try:
            self._stream.write(text)
        except OSError:
            self._lose()
        return len(text)

    def flush(self) -> None:
        """Send what was written if the terminal is there."""
        try:
            self._stream.flush()
        except OSError:
            self._lose()

    def _lose(self) -> None:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno(), inheritable=False)

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
        self._next_look: asyncio.TimerHandle | None = None
        self._title = ""
        if self._file is not None:
            # The writer thread uses no more of a stream than this has.
            self._file = Output(self._file)  # type: ignore[assignment]

    def start_application_mode(self) -> None:
        """Keep the window's title aside."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._next_look is not None:
            return  # Resumed in the background, then stopped and begun once more in there.
        self.write(_KEEP_TITLE)
        if self._title:
            self.show_title(self._title)
        self._look()

    def stop_application_mode(self) -> None:
        """Give the window its title back."""
        super().stop_application_mode()
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        self.write(_GIVE_TITLE_BACK)
        self.flush()

    def _look(self) -> None:
        """End the app when nobody is at the other end: reads there may end without an error.

        Textual would read on for ever, at the cost of a whole core.
        """
        poll = select.poll()
        poll.register(self.fileno, 0)
        if poll.poll(0):
            self._app.exit()
        else:
            self._next_look = self._loop.call_later(_LOOK, self._look)

    def show_title(self, title: str) -> None:
        """Set the window's title, which is our own words and signs alone."""
        self._title = title
        self.write(f"\x1b]2;{title}\x1b\\")

    def run_input_thread(self) -> None:
        """Read keys; end the app when there is no terminal to read from."""
        try:
            super().run_input_thread()
        except OSError:
            self._loop.call_soon_threadsafe(self._app.exit)

    def _sigtstp_application(self, *args: object) -> None:
        if not self._auto_restart:
            # Another program has the terminal, and is stopped as it wants to be.
            super()._sigtstp_application(*args)
            return
        self.suspend_application_mode()
        self._must_signal_resume = True
        # All of the job, as a terminal does it: a shell waits for its first process.
        os.killpg(os.getpgrp(), signal.SIGSTOP)

    def _sigcont_application(self, *args: object) -> None:
        # Only what was suspended is resumed.
        if self._must_signal_resume:
            super()._sigcont_application(*args)
