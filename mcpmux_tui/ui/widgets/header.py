"""The first line: how many servers are in which state, and where clients connect."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
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
        self._told: tuple[object, ...] = ()

    def show(self, snapshot: EngineSnapshot) -> None:
        """Show what the engine says now; drawn anew only where this line says otherwise."""
        states = tuple(server.state for server in snapshot.servers)
        told = (snapshot.demo, snapshot.proxy, states)
        if told != self._told:
            self._told, self.snapshot = told, snapshot

    class AddressClicked(Message):
        """The proxy's address was clicked."""

    def on_click(self, event: events.Click) -> None:
        """Copy the address that stands at the right."""
        event.stop()
        text = self.render().plain.rstrip()
        if event.x >= text.rfind(" ", 0, len(text)):
            self.post_message(self.AddressClicked())

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
        # Words give way first, from the end, then the counts that matter least.
        states = len({server.state for server in snapshot.servers})
        left = [(words, states) for words in range(states, -1, -1)]
        left += [(0, counts) for counts in range(states - 1, -1, -1)]
        for words, counts in left:
            start = title + self._counts(snapshot, words, counts)
            for end in right:
                space = self.size.width - start.cell_length - len(end) - 1
                if space >= 0:
                    return start + Content.assemble(" " * space, (end, "$muted"))
        return title

    def _counts(self, snapshot: EngineSnapshot, words: int, counts: int) -> Content:
        states = [server.state for server in snapshot.servers]
        text = Content("  ")
        for place, health in enumerate([h for h in _ORDER if h in states][:counts]):
            word = f" {health.word}" if place < words else ""
            said = f"{self._glyphs.state(health)} {states.count(health)}{word}"
            text += Content.styled(said, STYLES[health]) + Content("  ")
        return text
