"""Every key of every screen does something, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from mcpmux_tui.model.server import Health
from mcpmux_tui.ui.dialogs.help import HelpDialog
from mcpmux_tui.ui.keys import QUIT, QUIT_ANYWHERE, SERVER_PAGE, Key
from mcpmux_tui.ui.screens.page import Page
from mcpmux_tui.ui.screens.server import ServerScreen
from mcpmux_tui.ui.widgets.server_list import ServerList
from tests.ui.driving import Driver, driving
from tests.ui.fake_engine import FakeEngine, server
from tests.ui.test_screens import offers

TABS = ("overview", "tools", "prompts", "resources", "logs", "config")
WAYS = {
    "servers": (),
    "welcome": (),
    **{tab: ("enter", *["right_square_bracket"] * place) for place, tab in enumerate(TABS)},
    "all tools": ("2",),
    "all logs": ("4",),
    "settings": ("6",),
}
"""The keys that lead from home to a screen."""


def engine_for(screen: str) -> FakeEngine:
    if screen == "welcome":
        return FakeEngine()
    engine = offers()
    for number in range(60):
        engine.log("gh", f'line {number} {{"a": 1}}')
    engine.put(server("red", Health.FAILED), server("gh", tools=2, prompts=1, resources=1))
    return engine


def seen(ui: Driver) -> tuple[object, ...]:
    """What a person, the engine or the clipboard could notice."""
    stack = [type(screen).__name__ for screen in ui.app.screen_stack]
    return (stack, ui.text, len(ui.toasts), len(ui.engine.acts), len(ui.engine.offers))


async def noticed(ui: Driver, key: Key, before: tuple[object, ...]) -> None:
    try:
        await ui.until(lambda: seen(ui) != before)
    except AssertionError:
        raise AssertionError(f"{key.id} ({key.shown}) does nothing") from None


async def begun(ui: Driver, screen: str) -> Page:
    """The screen, as one comes to it from home."""
    while len(ui.app.screen_stack) > 1:
        await ui.app.pop_screen()
    ui.app.clear_notifications()
    await ui.press("escape")
    if ui.engine.acts or ui.engine.offers:
        ui.engine.acts.clear()
        ui.engine.offers.clear()
        for each in engine_for(screen).snapshot.servers:
            ui.engine.put(each)
    if screen != "welcome":
        ui.app.query_one(ServerList).move_to("gh")
    await ui.press(*WAYS[screen])
    page = ui.app.screen
    assert isinstance(page, Page)
    return page


@pytest.mark.parametrize("screen", WAYS)
async def test_each_key_has_an_effect_or_a_reason(screen: str, tmp_path: Path) -> None:
    async with driving(engine_for(screen), tmp_path, size=(100, 24)) as ui:
        page = await begun(ui, screen)
        leads_here = {f"go.{page.NAME}", "nav.back"} if not WAYS[screen] else {f"go.{page.NAME}"}
        tried = set(page.keys) if screen not in TABS[1:] else set(page.keys) - set(SERVER_PAGE)
        if isinstance(page, ServerScreen):
            leads_here = set()
        for key in sorted(tried - {QUIT, QUIT_ANYWHERE}, key=page.keys.index):
            if key.id in leads_here:
                continue
            ui.app.clear_notifications()
            await ui.pilot.pause()
            before = seen(ui)
            await ui.press(key.keys.split(",")[0])
            await noticed(ui, key, before)
            assert ui.app.return_code is None
            if (ui.app.screen, ui.engine.acts, ui.engine.offers) != (page, [], []):
                page = await begun(ui, screen)
            elif isinstance(page.focused, Input):
                await ui.press("escape")


@pytest.mark.parametrize("screen", WAYS)
async def test_help_lists_exactly_the_keys_that_work_here(screen: str, tmp_path: Path) -> None:
    async with driving(engine_for(screen), tmp_path, size=(120, 60)) as ui:
        page = await begun(ui, screen)
        keys = [key for key in page.keys if key.id != "app.leftovers"]
        await ui.press("question_mark")
        await ui.until(lambda: isinstance(ui.app.screen, HelpDialog))
        await ui.shows("next, previous")
        text = ui.text
        for key in keys:
            assert listed(key, text), f"{key.id} is not in the help"
        shown = {part for key in keys for part in key.keys.split(",")}
        bound = {
            part
            for node in [page.focused, *(page.focused.ancestors if page.focused else [])]
            if node is not None and node is not ui.app
            for part in node._bindings.key_to_bindings
        }
        assert shown <= bound | {"ctrl+q"}, shown - bound


def listed(key: Key, text: str) -> bool:
    return any(f" {key.shown} " in line for line in text.splitlines())
