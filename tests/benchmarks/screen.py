"""The screen under load: its cost, how soon a key is answered, when the first frame is there.

The program itself on a pseudo-terminal, attached to a control socket that this process serves, so
that nothing but the screen is measured. Prints a table; the goals are those of the last column.

    python -m tests.benchmarks.screen [first_frames] [load] [keys] [big]
"""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydantic import BaseModel, JsonValue

from mcpmux_tui.control import protocol
from mcpmux_tui.control.server import ControlServer
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.question import Field
from mcpmux_tui.model.server import EngineSnapshot, ProxySnapshot
from tests.end_to_end.program import Home, Terminal, home_at
from tests.ui.fake_engine import item, server

SECONDS = 10.0
PRESSES = 30
LINES = 1_000
TOOLS = 30
"""Of each server."""
BIG = 5_000_000

Params = Mapping[str, JsonValue]


@dataclass
class Source:
    """Serves doors with so many servers, changes and log lines, in a thread of its own."""

    count: int
    updates: float = 0
    lines: int = 0
    log: deque[protocol.LogLine] = field(default_factory=lambda: deque(maxlen=2_000))
    ready: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.servers = [
            server(f"server-{n:03}", tools=TOOLS, calls=0, target=f"npx note-{n:03}")
            for n in range(self.count)
        ]
        self.items = [
            item(each.name, f"tool-{n:03}", description="What it does, in a sentence. " * 5)
            for each in self.servers
            for n in range(TOOLS)
        ]

    def snapshot(self) -> EngineSnapshot:
        return EngineSnapshot(proxy=ProxySnapshot(pid=1), servers=tuple(self.servers))

    async def serve(self, folder: Path) -> None:
        """Serve until told to stop."""
        handlers = {"items": self._items, "item_form": self._form, "logs": self._logs}
        control = ControlServer(handlers=lambda: handlers, snapshot=self.snapshot)
        await control.start(folder)
        self.ready.set()
        began, updates, lines = time.monotonic(), 0, 0
        while not self._stop.is_set():
            await asyncio.sleep(0.02)
            passed = time.monotonic() - began
            while updates < passed * self.updates:
                place = updates * 7 % self.count
                now = self.servers[place]
                changed = {"calls": now.calls + 1, "last_activity": time.time()}
                self.servers[place] = now.model_copy(update=changed)
                updates += 1
                control.publish()
            while lines < passed * self.lines:
                lines += 1
                text = f'{lines} {{"level": "info", "message": "a line of some length", "n": 1}}'
                name = self.servers[lines % self.count].name
                self.log.append(
                    protocol.LogLine(
                        seq=lines, server=name, time=time.time(), source="stderr", text=text
                    )
                )
        await control.stop()

    @contextmanager
    def serving(self, home: Home) -> Iterator[Terminal]:
        """The terminal of a `mcpmux` that is attached to this."""
        home.write()
        os.environ.update(MCPMUX_STATE_DIR=home.env["MCPMUX_STATE_DIR"])
        instance = Instance.of(home.config)
        instance.prepare()
        thread = threading.Thread(target=lambda: asyncio.run(self.serve(instance.folder)))
        thread.start()
        self.ready.wait()
        try:
            yield Terminal(home, "--config", str(home.config))
        finally:
            self._stop.set()
            thread.join()

    async def _items(self, params: Params) -> BaseModel:
        page = protocol.ItemPage.model_validate(params)
        found = [each for each in self.items if page.server in (None, each.server)]
        if page.kind is not Kind.TOOLS:
            found = []
        part = tuple(found[page.after : page.after + page.limit])
        return protocol.Items(items=part, total=len(found))

    async def _form(self, params: Params) -> BaseModel:
        name = protocol.ItemName.model_validate(params).name
        fields = (Field(key="text", label="text", kind="text"),)
        return protocol.ItemForm(name=name, description=f"about {name}", fields=fields)

    async def _logs(self, params: Params) -> BaseModel:
        search = protocol.LogSearch.model_validate(params)
        lines = [each for each in self.log if each.seq > search.after]
        return protocol.LogPage(
            lines=tuple(each for each in lines if search.server in (None, each.server))[
                -search.limit :
            ]
        )


@dataclass
class Row:
    """One line of the table."""

    what: str
    value: str
    goal: str


def row(what: str, value: float, unit: str, most: float, worst: float | None = None) -> Row:
    """A value beside its goal."""
    shown = f"{value:.2f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    if worst is not None:
        shown += f" (worst {worst:.0f})"
    if most == math.inf:
        return Row(what, shown, "")
    return Row(what, shown, f"<= {most:g} {unit}{'' if value <= most else ' MISSED'}")


def cpu(terminal: Terminal, seconds: float = SECONDS) -> float:
    """Percent of one core that the screen takes, by its own processor time."""
    process = psutil.Process(terminal.process.pid)
    before, start = sum(process.cpu_times()[:2]), time.monotonic()
    pause(terminal, seconds)
    return 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - start)


def pause(terminal: Terminal, seconds: float) -> None:
    """Take what is written for so long."""
    end = time.monotonic() + seconds
    terminal.read_until(lambda: time.monotonic() > end, seconds + 10, "a pause")


def answer(terminal: Terminal, key: str, text: str) -> float:
    """Milliseconds from a key to a text on the terminal."""
    start = time.monotonic()
    terminal.press(key)
    terminal.wait_for(text)
    took = 1000 * (time.monotonic() - start)
    pause(terminal, 0.1)  # What else it draws is no answer to the next key.
    return took


def answers(
    terminal: Terminal, what: str, keys: tuple[str, str], text: Callable[[int], str], most: float
) -> Row:
    """How soon each of two keys is answered, in turn, with what `text` says of the press."""
    took = [answer(terminal, keys[n % 2], text(n)) for n in range(PRESSES)]
    return row(what, statistics.median(took), "ms", most, max(took))


def first_frames(home: Home) -> list[Row]:
    """When the first row is there, with an engine and without one."""
    attached, alone = [], []
    for _ in range(5):
        with Source(20).serving(home) as terminal, terminal:
            start = time.monotonic()
            terminal.wait_for("server-000")
            attached.append(time.monotonic() - start)
            quit_(terminal)
        home.write("[servers.gone]\ncommand = 'mcpmux-no-such-program'\n")
        start = time.monotonic()
        with Terminal(home, "--config", str(home.config), "--port", "0") as terminal:
            terminal.wait_for("gone")
            alone.append(time.monotonic() - start)
            quit_(terminal)
    return [
        row("first frame, engine running", statistics.median(attached), "s", 0.6),
        row("first frame, engine started too", statistics.median(alone), "s", math.inf),
    ]


def quit_(terminal: Terminal) -> None:
    """End the program."""
    terminal.press("\x11")
    terminal.finish()


def load(home: Home) -> list[Row]:
    """200 rows that change."""
    with Source(200, updates=20).serving(home) as terminal, terminal:
        terminal.wait_for("server-000")
        pause(terminal, 2)
        found = row("200 rows, 20 updates/s", cpu(terminal), "% of a core", 6)
        quit_(terminal)
    return [found]


def keys(home: Home) -> list[Row]:
    """Keys with 100 servers, 3,000 tools, 20 updates and 1,000 log lines a second."""
    with Source(100, updates=20, lines=LINES).serving(home) as terminal, terminal:
        terminal.wait_for("server-000")
        pause(terminal, 2)
        rows = [
            answers(terminal, "servers: j", ("j", "k"), lambda n: f"note-{1 - n % 2:03}", 100),
            row("servers: processor", cpu(terminal, 5), "% of a core", math.inf),
            row("tools: 2", answer(terminal, "2", "about tool-000"), "ms", 200),
            answers(
                terminal, "tools: j", ("j", "k"),
                lambda n: f"clients see server-000__tool-{1 - n % 2:03}", 100,
            ),
            row("tools: /", answer(terminal, "/", "a description"), "ms", 100),
            row("tools: a letter", answer(terminal, "7", "tool-007"), "ms", 100),
            row("tools: processor", cpu(terminal, 5), "% of a core", math.inf),
        ]  # fmt: skip
        terminal.press("\x1b")
        pause(terminal, 0.5)
        rows.append(row("logs: 4", answer(terminal, "4", "a line of"), "ms", 200))
        for full in ("", ", full"):
            rows += [
                answers(
                    terminal, f"logs: space{full}", (" ", " "),
                    lambda n: "Pause" if n % 2 else "Follow", 100,
                ),
                row(f"logs: processor{full}", cpu(terminal, 5), "% of a core", math.inf),
            ]  # fmt: skip
        rows.append(row("memory of the screen", memory(terminal), "MiB", math.inf))
        quit_(terminal)
    return rows


def memory(terminal: Terminal) -> float:
    """MiB that the screen takes."""
    return psutil.Process(terminal.process.pid).memory_info().rss / 2**20


def big(home: Home) -> list[Row]:
    """A result of 5 MB, by a server and an engine that are real: typing goes on meanwhile."""
    home.write(home.stdio("raw"))
    with Terminal(home, "--config", str(home.config), "--port", "0") as terminal:
        terminal.wait_for("connected, MCP")
        answer(terminal, "2", "clients see raw__hard")
        answer(terminal, "G", "clients see raw__big")
        answer(terminal, "\r", "ctrl+e As JSON")
        answer(terminal, "\x05", "Arguments as JSON")
        terminal.press(f'{{"size": {BIG}}}')
        pause(terminal, 0.5)
        start = time.monotonic()
        terminal.press("\x12")
        took: list[float] = []
        shown = 0.0
        while time.monotonic() - start < (3 if shown else 15):
            digit = str(len(took) % 10)
            took.append(answer(terminal, f"{digit}", digit))
            if not shown and b"Done in" in terminal.output:
                shown = time.monotonic() - start
        raw = answer(terminal, "\x14", "ctrl+t Pretty")
        quit_(terminal)
    return [
        row("a result of 5 MB is shown", 1000 * shown, "ms", math.inf),
        row("keys meanwhile, the slowest", max(took), "ms", 200),
        row("the same as JSON", raw, "ms", 200),
    ]


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory(prefix="mcpmux-bench-") as folder:
        print(f"{psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f} before\n")
        print("| what | measured | goal |\n|---|---|---|")
        parts = (first_frames, load, keys, big)
        wanted = [each for each in parts if each.__name__ in sys.argv[1:]] or parts
        for n, part in enumerate(wanted):
            for home in home_at(Path(folder, f"home{n}")):
                for each in part(home):
                    print(f"| {each.what} | {each.value} | {each.goal} |", flush=True)


if __name__ == "__main__":
    main()
