"""Keys that come in one piece: each acts as if it had waited for the one before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.command import CommandList
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, OptionList

from mcpmux_tui.ui import keyboard
from mcpmux_tui.ui.commands import Palette
from mcpmux_tui.ui.dialogs.add import AddDialog
from mcpmux_tui.ui.dialogs.draft import DraftField
from mcpmux_tui.ui.dialogs.help import HelpDialog
from mcpmux_tui.ui.keys import Context
from mcpmux_tui.ui.screens.logs import LogsScreen
from mcpmux_tui.ui.screens.page import Go, GoToServer, OpenServer
from mcpmux_tui.ui.screens.servers import ServersScreen
from mcpmux_tui.ui.screens.settings import SettingsScreen
from mcpmux_tui.ui.screens.tools import ToolsScreen
from mcpmux_tui.ui.widgets.catalog import Catalog
from tests.ui.driving import Driver, driving
from tests.ui.fake_engine import FakeEngine, server

ESC = "\x1b[27u"
"""As terminals with the kitty protocol send it: no key that follows makes it another one."""


async def ends_on(ui: Driver, *kinds: type[Widget]) -> None:
    """Wait until these lie on one another, the last on top."""
    await ui.until(lambda: tuple(map(type, ui.app.screen_stack)) == kinds)
    await ui.pilot.pause()
    assert tuple(map(type, ui.app.screen_stack)) == kinds


@pytest.mark.parametrize(
    ("typed", "kinds"),
    [
        ("4?", (ServersScreen, LogsScreen, HelpDialog)),
        ("?4", (ServersScreen, HelpDialog)),
        ("?q4", (ServersScreen, LogsScreen)),
        ("1a", (ServersScreen, AddDialog)),
        ("4146", (ServersScreen, SettingsScreen)),
        ("3 ", (ServersScreen,)),
        (f"2{ESC}", (ServersScreen,)),
        (f"6?{ESC}2", (ServersScreen, ToolsScreen)),
        ("1?", (ServersScreen, HelpDialog)),
        ("/b\r4", (ServersScreen, LogsScreen)),
        (f"/b{ESC}2", (ServersScreen, ToolsScreen)),
    ],
)
async def test_a_key_behind_one_that_leads_to_a_screen_is_that_screen_s(
    typed: str, kinds: tuple[type[Widget], ...], tmp_path: Path
) -> None:
    async with driving(FakeEngine([server("a"), server("b")]), tmp_path) as ui:
        ui.type(typed)
        await ends_on(ui, *kinds)


async def test_what_is_typed_behind_the_filter_s_key_is_its_text(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a"), server("b"), server("abc")]), tmp_path) as ui:
        ui.type("2/ab4\x1b[200~c q\x1b[201~\x7f")
        await ui.until(lambda: ui.app.screen.query_one("#filter", Input).value == "ab4c ")
        await ends_on(ui, ServersScreen, ToolsScreen)
        ui.type(f"{ESC}1/ab\rr")
        await ui.until(lambda: ui.engine.acts != [])
        assert [name for name, _ in ui.engine.acts] == ["abc"]
        assert ui.names == ["abc"]


@pytest.mark.parametrize("answered", [True, False])
async def test_moves_behind_a_screen_s_key_count_there(answered: bool, tmp_path: Path) -> None:
    engine = FakeEngine([server("a", tools=2), server("b", tools=2)])
    async with driving(engine, tmp_path) as ui:
        if not answered:
            engine.gate.clear()
        ui.type("2jj")
        await ends_on(ui, ServersScreen, ToolsScreen)
        engine.gate.set()

        def place() -> tuple[str, str] | None:
            item = ui.app.screen.query_one(Catalog).selected
            return None if item is None else (item.server, item.name)

        await ui.until(lambda: place() == ("b", "echo"))
        ui.type("6j")
        await ends_on(ui, ServersScreen, SettingsScreen)
        first = ui.app.screen.query_one(OptionList).highlighted
        ui.type("26jj")
        await ends_on(ui, ServersScreen, SettingsScreen)
        await ui.until(lambda: ui.app.screen.query_one(OptionList).highlighted == (first or 0) + 1)


async def test_a_form_typed_in_one_piece_is_filled_in_field_by_field(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        ui.type("anpx x4\tname?\x1b[Zq")
        await ui.until(
            lambda: (
                isinstance(ui.app.screen, AddDialog)
                and [field.value for field in ui.app.screen.query(DraftField)]
                == ["npx x4q", "name?"]
            )
        )


@pytest.mark.parametrize("typed", ["\x10a\x1b[6~", ":r\x1b[B\x1b[6~", ":\x1b[5~e\x1b[6~"])
async def test_a_page_key_before_the_palette_has_lines_is_no_crash(
    typed: str, tmp_path: Path
) -> None:
    async with driving(FakeEngine([server("a"), server("b")]), tmp_path) as ui:
        ui.type(typed)
        await ends_on(ui, ServersScreen, Palette)
        await ui.until(lambda: bool(ui.app.screen.query_one(CommandList).scrollable_content_region))
        ui.type("\x1b[6~")
        await ui.until(lambda: ui.app.screen.query_one(CommandList).highlighted not in (None, 0))


async def test_the_palette_opens_again_while_it_is_on_its_way_out(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        for _ in range(20):
            ui.app.action_command_palette()
            first = ui.app.screen
            await ui.until(lambda first=first: first.is_mounted)  # type: ignore[misc]
            first.dismiss(None)
            ui.app.action_command_palette()
            assert isinstance(ui.app.screen, Palette)
            assert ui.app.screen is not first
            ui.type(ESC)
            await ends_on(ui, ServersScreen)


async def test_a_page_key_in_a_list_without_a_size_is_no_crash(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        await ui.press("6")
        await ui.until(lambda: isinstance(ui.app.screen, SettingsScreen))
        options = ui.app.screen.query_one(OptionList)
        options.styles.height = 0
        await ui.until(lambda: not options.scrollable_content_region)
        options._clear_caches()
        options.highlighted = 1
        ui.type("\x1b[6~\x1b[5~")
        await ends_on(ui, ServersScreen, SettingsScreen)


@pytest.mark.parametrize("event", [Go("logs"), OpenServer("a", "logs"), GoToServer("b")])
async def test_a_dialog_that_comes_up_before_another_screen_stays(
    event: Message, tmp_path: Path
) -> None:
    async with driving(FakeEngine([server("a"), server("b")]), tmp_path) as ui:
        await ui.press("2")
        await ends_on(ui, ServersScreen, ToolsScreen)
        ui.app.push_screen(HelpDialog((), Context()))
        ui.app.post_message(event)
        await ends_on(ui, ServersScreen, ToolsScreen, HelpDialog)


async def test_a_screen_that_never_comes_to_rest_gets_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyboard, "_PATIENCE", 0.05)
    async with driving(FakeEngine([server("a"), server("b")]), tmp_path) as ui:
        rows = ui.app.screen.query("*").last()
        restless = True

        async def again() -> None:
            if restless:
                rows.call_later(again)
            await asyncio.sleep(0)

        rows.call_later(again)
        ui.type("4?")
        await ui.until(lambda: isinstance(ui.app.screen, HelpDialog))
        restless = False
        await ends_on(ui, ServersScreen, LogsScreen, HelpDialog)
