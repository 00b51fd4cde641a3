"""Driving the app without a terminal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from rich.cells import cell_len
from textual import events
from textual._xterm_parser import XTermParser
from textual.pilot import Pilot

from mcpmux_tui.ui.app import McpmuxApp
from mcpmux_tui.ui.status import UNICODE, Glyphs
from mcpmux_tui.ui.theme import DARK
from mcpmux_tui.ui.widgets.server_list import Rows, ServerList
from tests.ui.fake_engine import NOW, FakeEngine

_PATIENCE = 5.0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Driver:
    """The app, its engine and its clock, with what a person sees and does."""

    def __init__(self, pilot: Pilot[int], engine: FakeEngine, clock: Clock) -> None:
        self.pilot = pilot
        self.engine = engine
        self.clock = clock
        self.app = cast(McpmuxApp, pilot.app)

    async def press(self, *keys: str) -> None:
        """Press keys, and let what they start come to an end."""
        for key in keys:
            # Pilot's own press waits three times as long.
            self.app.post_message(events.Key(key, key if len(key) == 1 else None))
            await self.pilot.pause()

    def type(self, text: str) -> None:
        """Type all of this at once, as a terminal may send it: in one piece."""
        for event in (*(parser := XTermParser()).feed(text), *parser.feed("")):
            self.app.post_message(event)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"never came true; on screen:\n{self.text}"
            await asyncio.sleep(0.01)
            await self.pilot.pause()

    async def shows(self, text: str) -> None:
        """Wait until a text is on the screen."""
        await self.until(lambda: text in self.text)

    async def click(self, text: str, *, times: int = 1) -> None:
        """Click on a text, once it is on the screen."""
        await self.shows(text)
        y, line = next((y, line) for y, line in enumerate(self.lines) if text in line)
        x = cell_len(line[: line.index(text)]) + cell_len(text) // 2
        await self.pilot.click(offset=(x, y), times=times)

    @property
    def lines(self) -> list[str]:
        """The screen's lines."""
        strips = self.app.screen._compositor.render_strips()
        return [strip.text for strip in strips]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines)

    @property
    def names(self) -> list[str]:
        """The names in the rows, from the top."""
        return [server.name for rows in self.app.query(Rows) for server in rows.items]

    @property
    def drawn(self) -> bool:
        """Whether the first snapshot is on the screen."""
        servers = len(self.engine.snapshot.servers)
        if len(self.names) != servers:
            return False
        # Without servers there is no list to be seen.
        return not servers or all(rows.size.height for rows in self.app.query(Rows))

    @property
    def cursor(self) -> str | None:
        """The name under the cursor."""
        selected = self.app.query_one(ServerList).selected
        return selected.name if selected else None

    @property
    def footer(self) -> str:
        """The last line."""
        return self.lines[-1]

    @property
    def toasts(self) -> list[str]:
        """The messages shown."""
        return [note.message for note in self.app._notifications]

    async def go_to(self, name: str) -> None:
        """Put the cursor on a server."""
        await self.press("g")
        for _ in range(len(self.names)):
            if self.cursor == name:
                return
            await self.press("j")
        raise AssertionError(f"no row {name}")


@asynccontextmanager
async def driving(
    engine: FakeEngine,
    folder: Path,
    *,
    size: tuple[int, int] = (80, 24),
    owner: bool = True,
    glyphs: Glyphs = UNICODE,
    animated: bool = False,
) -> AsyncIterator[Driver]:
    """Run the app on `engine` until the block ends."""
    clock = Clock()
    app = McpmuxApp(
        engine,
        owner=owner,
        state=folder,
        clock=clock,
        glyphs=glyphs,
        animated=animated,
        theme=DARK.name,
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(pilot, engine, clock)
        await driver.until(lambda: driver.drawn)
        await pilot.pause()
        yield driver
