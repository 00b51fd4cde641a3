"""The first line: how many servers are in which state, and where clients connect."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from mcpmux_tui.model.server import EngineSnapshot, Health
from mcpmux_tui.text import one_line
from mcpmux_tui.ui.content import counted
from mcpmux_tui.ui.status import STYLES, URGENCY, Glyphs

_ORDER = (Health.CONNECTED, *(health for health in URGENCY if health is not Health.CONNECTED))


class Header(Widget):
    """Counts that are not zero, in words where they fit, and the proxy's address."""

    snapshot: reactive[EngineSnapshot | None] = reactive(None)

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs

    def render(self) -> Content:
        if (snapshot := self.snapshot) is None:
            return Content.styled(" mcpmux", "bold")
        title = Content.styled(" mcpmux", "bold $primary")
        if snapshot.demo:
            title += Content.styled(" demo", "$muted")
        proxy = snapshot.proxy
        address = one_line(proxy.url or "")
        clients = counted(proxy.clients, "client") if proxy.clients else ""
        open_door = "" if proxy.auth else "no token needed"
        right = ["  ".join(filter(None, (address, open_door, clients))), address]
        right.append(":" + address.rpartition(":")[2])
        # Words give way first, then the address, then the counts that matter least.
        counts = len({server.state for server in snapshot.servers})
        left = [title + self._counts(snapshot, words=True)]
        left += [title + self._counts(snapshot, most=most) for most in range(counts, -1, -1)]
        for start in left:
            for end in right:
                space = self.size.width - start.cell_length - len(end) - 1
                if space >= 0:
                    return start + Content.assemble(" " * space, (end, "$muted"))
        return title

    def _counts(
        self, snapshot: EngineSnapshot, *, words: bool = False, most: int = len(_ORDER)
    ) -> Content:
        states = [server.state for server in snapshot.servers]
        present = [health for health in _ORDER if health in states][:most]
        text = Content("   " if words else "  ")
        for health in present:
            word = f" {health.word}" if words else ""
            said = f"{self._glyphs.state(health)} {states.count(health)}{word}"
            text += Content.styled(said, STYLES[health]) + Content("  ")
        return text
