"""A hundred stdio servers: how long until all are connected, what keys take meanwhile, and the end.

Goals: keys within 100 ms, everything gone within 8 s of quitting.
"""

from __future__ import annotations

import asyncio
import math
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from mcpmux_tui.control.client import Client
from mcpmux_tui.model.errors import NoEngine
from mcpmux_tui.model.server import Health
from tests.end_to_end.program import Home, Terminal, home_at

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100
DIALOGS = {"/": "state or command", "?": "half a page on"}
"""Keys, and words that they bring to the screen: a line, and a whole dialog."""
MOVE = "j/k"
NOTE = re.compile(rb"note-\d+")
"""Words of a server's command line, which only the details beside the list show."""


class Connected:
    """Counts connected servers beside the measurement, in a thread of its own."""

    def __init__(self, state: Path) -> None:
        self.all = threading.Event()
        self.at = 0.0
        self._state = state
        threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True).start()

    async def _watch(self) -> None:
        client = None
        while client is None:
            try:
                (folder,) = self._state.iterdir()
                client = await Client.connect(folder)
            except (NoEngine, ValueError, FileNotFoundError):
                await asyncio.sleep(0.05)
        async for snapshot in client.watch():
            states = [server.state for server in snapshot.servers]
            if len(states) == COUNT and set(states) == {Health.CONNECTED}:
                self.at = time.monotonic()
                self.all.set()
                break
        await client.close()


class Keys:
    """Presses keys; how long each took to be seen."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._down = True
        self.unseen = 0
        """Moves that nothing was seen of for two seconds; at an end of the list that is right."""

    def measure(self) -> dict[str, float]:
        """Move the cursor, then open each of the dialogs and close it again."""
        took = {MOVE: self._move()}
        while took[MOVE] == math.inf:
            self.unseen += 1
            took[MOVE] = self._move()
        for key, words in DIALOGS.items():
            started = time.monotonic()
            self._terminal.press(key)
            self._terminal.wait_for(words)
            took[key] = time.monotonic() - started
            # Until the rows take keys again: one that comes sooner is lost with what closes, and
            # with the ESC before it it would be another key.
            self._terminal.press("\x1b")
            self._pause(0.2)
            while self._move() == math.inf:
                self._terminal.press("\x1b")
                self._pause(0.2)
        return took

    def _move(self) -> float:
        """Go to a neighbour; infinite if no other server's details come within two seconds."""
        before = self._shown()
        started = time.monotonic()
        self._terminal.press("j" if self._down else "k")
        self._down = not self._down
        try:
            self._terminal.read_until(lambda: self._shown() != before, 2, "another server")
        except AssertionError:
            return math.inf
        return time.monotonic() - started

    def _shown(self) -> bytes:
        notes: list[bytes] = NOTE.findall(self._terminal.output[-100_000:])
        return notes[-1] if notes else b""

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._terminal.read_until(lambda: time.monotonic() > end, 5, "a pause")


def measure(home: Home) -> None:
    """One run, printed."""
    home.write(
        *(home.stdio(f"server-{each:03}", "--stderr", f"note-{each:03}") for each in range(COUNT))
    )
    state = Path(home.env["MCPMUX_STATE_DIR"])
    load = psutil.getloadavg()[0]
    starting: list[dict[str, float]] = []
    started = time.monotonic()
    with Terminal(home, "--config", str(home.config), "--port", "0") as terminal:
        terminal.wait_for("server-000")
        first = time.monotonic() - started
        connected = Connected(state)
        keys = Keys(terminal)
        while not connected.all.is_set():
            starting.append(keys.measure())
        up = [keys.measure() for _ in range(20)]
        engine = psutil.Process(terminal.process.pid).children()[0]
        memory = engine.memory_info().rss / 1024 / 1024
        terminal.press("q")
        quitting = time.monotonic()
        terminal.finish(20)
        while home.survivors():
            time.sleep(0.02)  # noqa: TID251 - a measurement
        gone = time.monotonic() - quitting
    print(f"{COUNT} servers, {psutil.cpu_count()} cores, load {load:.1f} before")
    print(f"  first row on the screen      {first:6.2f} s")
    print(f"  all connected                {connected.at - started:6.2f} s")
    for title, measured in (("while they start", starting), ("when all are up", up)):
        for key in (MOVE, *DIALOGS):
            times = [each[key] * 1000 for each in measured]
            print(
                f"  {key:<3} {title:<24} {statistics.median(times):6.0f} ms median,"
                f" {max(times):.0f} ms at most of {len(times)}"
            )
    print(f"  moves nothing was seen of    {keys.unseen:6}")
    print(f"  engine's memory              {memory:6.1f} MiB")
    print(f"  all gone after quitting      {gone:6.2f} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="mcpmux-bench-") as folder:
        for home in home_at(Path(folder, "home")):
            measure(home)
