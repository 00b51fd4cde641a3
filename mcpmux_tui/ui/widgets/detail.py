"""The pane that follows the cursor: all that is known of one server."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.control.protocol import ItemPage, Items, LogLine, LogSearch
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import SERVING, ServerSnapshot
from mcpmux_tui.text import one_line
from mcpmux_tui.ui.content import clock_time, counted, fit, line, plain
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.status import Glyphs
from mcpmux_tui.ui.tasks import Tasks
from mcpmux_tui.ui.widgets.facts import facts
from mcpmux_tui.ui.widgets.scrolled import Scrolled

INTERVAL = 0.5
"""Seconds between two looks at the same server's log."""
TOOLS_INTERVAL = 10.0
"""Seconds after which its tools are asked for anyway: others may be as many as those before."""
_SETTLE = 0.04
_LOG_LINES = 100
_TOOL_LINES = 300


class DetailPane(Scrolled):
    """State, reason, tools and last log lines of the server under the cursor."""

    def __init__(self, engine: Engine, *, glyphs: Glyphs, clock: Callable[[], float]) -> None:
        super().__init__()
        self._engine = engine
        self._glyphs = glyphs
        self._clock = clock
        self._server: ServerSnapshot | None = None
        self._looking: asyncio.Task[None] | None = None
        self._work = Tasks(self)

    def compose(self) -> ComposeResult:
        yield Block(id="facts")
        yield Block(id="tools")
        yield Block(id="log")

    def on_mount(self) -> None:
        """Keep the spans of time up to date."""
        self.set_interval(1.0, self._show_facts)

    async def on_unmount(self) -> None:
        """Stop asking the engine."""
        await self._work.stop()

    def show(self, server: ServerSnapshot | None) -> None:
        """Show this server; what was asked about another one is forgotten."""
        same = server is not None and self._server is not None and server.name == self._server.name
        self._server = server
        self._show_facts()
        if same and self._looking is not None and not self._looking.done():
            return
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if not same:
            self.query_one("#tools", Block).show(Content())
            self.query_one("#log", Block).show(Content())
            self.scroll_home(animate=False)
        if server is not None:
            self._looking = self._work.start(self._look(server.name))

    def look_again(self) -> None:
        """Ask for everything anew: what clients get may have been changed meanwhile."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self.show(self._server)

    async def _look(self, name: str) -> None:
        """Ask for the tools whenever there may be others, and for new log lines all the time."""
        await asyncio.sleep(_SETTLE)
        told: object = None
        due = 0.0
        lines: deque[LogLine] = deque(maxlen=_LOG_LINES)
        try:
            while True:
                if (server := self._server) is not None and (
                    server.offers != told or time.monotonic() >= due
                ):
                    page = ItemPage(server=name, limit=_TOOL_LINES)
                    self._show_tools(server, await self._engine.items(page))
                    told, due = server.offers, time.monotonic() + TOOLS_INTERVAL
                last = lines[-1].seq if lines else 0
                search = LogSearch(server=name, after=last, limit=_LOG_LINES)
                if found := (await self._engine.logs(search)).lines:
                    lines.extend(found)
                    self._show_log(lines)
                await asyncio.sleep(INTERVAL)
        except McpmuxError as error:
            # The server was removed, or the engine has ended; the next snapshot looks again.
            self.query_one("#log", Block).show(plain(str(error), "$muted"))

    def _show_facts(self) -> None:
        block = self.query_one("#facts", Block)
        if (server := self._server) is None:
            block.show(Content())
            return
        block.show(Content("\n").join(facts(self, server, self._glyphs, self._clock())))

    def _show_tools(self, server: ServerSnapshot, page: Items) -> None:
        block = self.query_one("#tools", Block)
        if not page.items and not page.skipped:
            block.show(_heading("No tools") if server.state in SERVING else Content())
            return
        shown = page.items
        width = min(32, max((cell_len(one_line(tool.name)) for tool in shown), default=0))
        parts = [_heading(counted(page.total, "tool"), "own name, and the name clients see")]
        parts += [
            Content.assemble(
                fit(tool.name, width), "  ", line(tool.public or "not offered", "$muted")
            )
            for tool in shown
        ]
        if more := page.total - len(shown):
            parts.append(Content.styled(f"and {more} more", "$muted"))
        parts += [Content.assemble(("! ", "bold $warning"), plain(s)) for s in page.skipped]
        block.show(Content("\n").join(parts))

    def _show_log(self, lines: deque[LogLine]) -> None:
        parts = [_heading("Log")]
        parts += [
            Content.assemble(
                (clock_time(entry.time), "$muted"),
                "  ",
                line(entry.text, "$primary" if entry.source == "mcpmux" else ""),
            )
            for entry in lines
        ]
        at_end = self.max_scroll_y > 0 and self.scroll_y >= self.max_scroll_y
        self.query_one("#log", Block).show(Content("\n").join(parts))
        if at_end:
            self.scroll_end(animate=False)


class Block(Static):
    """A part of the pane; drawn again only when its text changes."""

    def __init__(self, *, id: str) -> None:
        super().__init__("", id=id, markup=False)
        self._shown = Content()

    def show(self, content: Content) -> None:
        """Show this content."""
        if not content.is_same(self._shown):
            before, self._shown = self._shown, content
            self.display = bool(content)
            self.update(content, layout=self._resizes(before, content))

    def _resizes(self, before: Content, now: Content) -> bool:
        """Whether the screen has to be laid out anew: that takes far longer than to draw this."""
        width, rules = self.content_size.width, self.styles.get_rules()
        heights = {each.get_height(rules, width) for each in (before, now) if width}
        return len(heights) != 1


def _heading(text: str, note: str = "") -> Content:
    return Content.assemble("\n", (text, "bold $primary"), (f"  {note}" if note else "", "$muted"))
