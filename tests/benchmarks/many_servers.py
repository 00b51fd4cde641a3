"""A hundred stdio servers: how long until all are connected, what keys take meanwhile, and the end.

Goals: keys within 100 ms, everything gone within 8 s of quitting.
"""

from __future__ import annotations

import asyncio
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
from tests.end_to_end.program import LIMIT, Home, Terminal, home_at

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100
KEYS = {"/": "state or command", "?": "half a page on"}
"""Keys, and words that they bring to the screen: a line, and a whole dialog."""
FOOTER = "Filter"
"""A word of the footer, which is written anew when one of the two has closed."""
ESC_DELAY = 0.09
"""Nothing closes sooner: only after 0.1 s without more is ESC a key."""


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


def press(terminal: Terminal, key: str) -> float:
    """Open something and close it again; seconds from the key to its words on the screen."""
    started = time.monotonic()
    terminal.press(key)
    terminal.wait_for(KEYS[key])
    took = time.monotonic() - started
    terminal.press("\x1b")
    # The rest of what opened, which may be written over a footer too.
    opened = time.monotonic() + ESC_DELAY
    terminal.read_until(lambda: time.monotonic() > opened, 5, "the rest")
    seen = len(terminal.output)
    # A key that comes sooner is still for what closes.
    terminal.read_until(lambda: FOOTER.encode() in terminal.output[seen:], LIMIT, FOOTER)
    return took


def measure(home: Home) -> None:
    """One run, printed."""
    home.write(*(home.stdio(f"server-{number:03}") for number in range(COUNT)))
    state = Path(home.env["MCPMUX_STATE_DIR"])
    load = psutil.getloadavg()[0]
    starting: dict[str, list[float]] = {key: [] for key in KEYS}
    up: dict[str, list[float]] = {key: [] for key in KEYS}
    started = time.monotonic()
    with Terminal(home, "--config", str(home.config), "--port", "0") as terminal:
        terminal.wait_for("server-000")
        first = time.monotonic() - started
        connected = Connected(state)
        while not connected.all.is_set():
            for key, times in starting.items():
                times.append(press(terminal, key))
        for key, times in up.items():
            times += [press(terminal, key) for _ in range(20)]
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
        for key, times in measured.items():
            print(
                f"  {key} {title:<26} {statistics.median(times) * 1000:6.0f} ms median,"
                f" {max(times) * 1000:.0f} ms at most of {len(times)}"
            )
    print(f"  engine's memory              {memory:6.1f} MiB")
    print(f"  all gone after quitting      {gone:6.2f} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="mcpmux-bench-") as folder:
        for home in home_at(Path(folder, "home")):
            measure(home)
