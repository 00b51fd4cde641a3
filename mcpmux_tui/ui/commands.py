"""`:`: every action and every server by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from mcpmux_tui.ui.content import fit, line
from mcpmux_tui.ui.keys import PALETTE, SCREEN, explanation, label, refusal

if TYPE_CHECKING:
    from mcpmux_tui.ui.screens.servers import ServersScreen

_LABEL = 34
Command = tuple[str, Content, Callable[[], object]]
"""What is searched, what is shown, and what it does."""


class Commands(Provider):
    """What the palette offers on the servers screen."""

    @property
    def _servers_screen(self) -> ServersScreen:
        from mcpmux_tui.ui.screens.servers import ServersScreen

        screen = self.screen
        if not isinstance(screen, ServersScreen):
            raise TypeError("these commands are of the servers screen")
        return screen

    async def discover(self) -> Hits:
        """All actions, before anything is typed."""
        for text, shown, act in self._actions():
            yield DiscoveryHit(shown, act, text=text)

    async def search(self, query: str) -> Hits:
        """The actions and servers whose words match."""
        matcher = self.matcher(query)
        for text, shown, act in (*self._actions(), *self._servers()):
            if (score := matcher.match(text)) > 0:
                yield Hit(score, shown, act, text=text)

    def _actions(self) -> Iterator[Command]:
        screen = self._servers_screen
        context = screen.keys_for
        for key in SCREEN:
            if key is PALETTE:
                continue
            name = label(key, context)
            if key.group == "Server" and context.server is not None:
                name = f"{name} {context.server.name}"
            about = refusal(key, context) or explanation(key, context)
            yield name, _shown(name, context.pressed(key), about), partial(screen.do, key)

    def _servers(self) -> Iterator[Command]:
        screen = self._servers_screen
        for server in screen.servers:
            name = f"Go to {server.name}"
            about = f"{server.state.word}: {server.summary}".rstrip(": ")
            yield name, _shown(name, "", about), partial(screen.go_to, server.name)


def _shown(name: str, key: str, about: str) -> Content:
    # Two lines in one: a help text of its own would be read as markup.
    return Content.assemble(
        fit(line(name).plain, _LABEL), (f"  {key}\n", "$primary"), line(about, "$muted")
    )
