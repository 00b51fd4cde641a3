"""`:`: every action of the screen, every server and every screen by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from mcpmux_tui.ui.content import fit, line
from mcpmux_tui.ui.keys import OF_A_SERVER, PALETTE, explanation, label, refusal

if TYPE_CHECKING:
    from mcpmux_tui.ui.screens.page import Page

_LABEL = 34
Command = tuple[str, Content, Callable[[], object]]
"""What is searched, what is shown, and what it does."""


class Commands(Provider):
    """What the palette offers on a screen."""

    @property
    def _page(self) -> Page:
        from mcpmux_tui.ui.screens.page import Page

        screen = self.screen
        if not isinstance(screen, Page):
            raise TypeError("these commands are of the program's screens")
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
        page = self._page
        context = page.context
        for key in page.keys:
            if key is PALETTE:
                continue
            name = label(key, context)
            if key in OF_A_SERVER and context.server is not None:
                name = f"{name} {context.server.name}"
            about = refusal(key, context) or explanation(key, context)
            yield name, _shown(name, context.pressed(key), about), partial(page.do, key)

    def _servers(self) -> Iterator[Command]:
        page = self._page
        for server in page.door.servers:
            name = f"Go to {server.name}"
            about = f"{server.state.word}: {server.summary}".rstrip(": ")
            yield name, _shown(name, "", about), partial(page.go_to, server.name)


class Palette(CommandPalette):
    """Textual's, but a list that is not laid out yet is not moved in: that is a KeyError there."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key acts now."""
        if action == "command_list" and not self.query_one(CommandList).scrollable_content_region:
            return False
        return super().check_action(action, parameters)


def _shown(name: str, key: str, about: str) -> Content:
    # Two lines in one: a help text of its own would be read as markup.
    head = Content.assemble((fit(name, _LABEL), "bold"), (f"  {key}\n", "bold $primary"))
    return head + line(about, "$muted")
