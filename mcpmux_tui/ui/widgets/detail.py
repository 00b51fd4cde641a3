"""The pane that follows the cursor: all that is known of one server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.control.protocol import LogLine, ToolPage
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import SERVING, Health, ServerSnapshot
from mcpmux_tui.text import one_line
from mcpmux_tui.ui.content import clock_time, counted, fit, line, plain, short_time
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.status import STYLES, Glyphs
from mcpmux_tui.ui.tasks import Tasks
from mcpmux_tui.ui.widgets.scrolled import Scrolled

INTERVAL = 0.5
"""Seconds between two looks at the same server's log."""
_SETTLE = 0.04
_LOG_LINES = 100
_TOOL_LINES = 300


_TRANSPORTS = {"stdio": "stdio", "http": "streamable http", "sse": "http with sse"}


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

    async def _look(self, name: str) -> None:
        """Ask for the tools whenever the server changed, and for new log lines all the time."""
        await asyncio.sleep(_SETTLE)
        told: ServerSnapshot | None = None
        lines: deque[LogLine] = deque(maxlen=_LOG_LINES)
        try:
            while True:
                if (server := self._server) is not None and server != told:
                    self._show_tools(server, await self._engine.tools(name, limit=_TOOL_LINES))
                    told = server
                last = lines[-1].seq if lines else 0
                page = await self._engine.logs(name, after=last, limit=_LOG_LINES)
                if page.lines:
                    lines.extend(page.lines)
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
        block.show(Content("\n").join(self._facts(server)))

    def _facts(self, server: ServerSnapshot) -> list[Content]:
        glyphs, style = self._glyphs, STYLES[server.state]
        dot = f" {glyphs.dot} "
        state = Content.assemble(
            line(server.name, "bold"),
            "  ",
            (f"{glyphs.state(server.state)} {server.state.word}", style),
        )
        detail = "" if server.state is Health.CONNECTED else server.detail
        if server.summary and not detail:
            state += Content.styled(dot, "$muted") + line(server.summary)
        if server.since is not None and server.state in SERVING:
            up = short_time(self._clock() - server.since)
            state += Content.styled(f"{dot}up {up}", "$muted")
        facts = [state]
        if server.target:
            facts.append(line(server.target))
        about = [
            _TRANSPORTS[server.transport] if server.transport else "",
            f"protocol {server.era}" if server.era else "",
            server.server_info,
            f"pid {server.pid}" if server.pid is not None else "",
            self._signed_in(server),
        ]
        if described := dot.join(part for part in about if part):
            facts.append(line(described, "$muted"))
        if detail:
            facts.append(plain(detail))
        facts += [Content.assemble(("! ", "bold $warning"), plain(w)) for w in server.warnings]
        return facts

    def _signed_in(self, server: ServerSnapshot) -> str:
        if not server.signed_in:
            return ""
        who = f" as {server.account}" if server.account else ""
        if server.renews_at is None:
            return f"signed in{who}"
        left = server.renews_at - self._clock()
        renews = f"renews in {short_time(left)}" if left > 0 else "renews with the next call"
        return f"signed in{who}, token {renews}"

    def _show_tools(self, server: ServerSnapshot, page: ToolPage) -> None:
        block = self.query_one("#tools", Block)
        if not page.tools and not page.skipped:
            block.show(_heading("No tools") if server.state in SERVING else Content())
            return
        shown = page.tools
        width = min(32, max((cell_len(one_line(tool.name)) for tool in shown), default=0))
        parts = [_heading(counted(page.total, "tool"), "own name, and the name clients see")]
        parts += [
            Content.assemble(
                fit(one_line(tool.name), width), "  ", line(tool.public or "not offered", "$muted")
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
            self._shown = content
            self.display = bool(content)
            self.update(content)


def _heading(text: str, note: str = "") -> Content:
    return Content.assemble("\n", (text, "bold $primary"), (f"  {note}" if note else "", "$muted"))
