"""`:` finds every action and every server by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.ui.dialogs.help import HelpDialog
from mcpmux_tui.ui.dialogs.values import ValuesDialog
from tests.ui.driving import driving
from tests.ui.fake_engine import FakeEngine, every_state, server


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_an_action_is_found_by_name_and_done(tmp_path: Path, key: str) -> None:
    engine = FakeEngine([server("github"), server("jira")])
    async with driving(engine, tmp_path) as driver:
        await driver.press(key)
        await driver.shows("Disconnect github")
        await driver.press(*"restart")
        await driver.shows("Restart github")
        await driver.until(lambda: "revoke and delete" not in driver.text)
        await driver.press("enter")
        await driver.until(lambda: engine.acts == [("github", Action.RESTART)])


async def test_a_server_is_gone_to_by_name_out_of_a_filter_too(tmp_path: Path) -> None:
    engine = FakeEngine(every_state())
    async with driving(engine, tmp_path) as driver:
        await driver.press("slash", *"linear", "enter")
        assert driver.names == ["linear"]
        await driver.press("colon", *"go to puppet")
        await driver.shows("Go to puppeteer")
        await driver.press("enter")
        await driver.until(lambda: driver.cursor == "puppeteer")
        assert len(driver.names) == 12


async def test_dialogs_open_from_it_and_what_does_not_apply_says_why(tmp_path: Path) -> None:
    engine = FakeEngine([server("pg", Health.NEEDS_INPUT)])
    async with driving(engine, tmp_path) as driver:
        await driver.press("colon", *"values")
        await driver.shows("Values pg")
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, ValuesDialog))
        await driver.press("escape", "colon", *"log out")
        await driver.shows("Nobody is signed in to pg.")
        await driver.press("enter")
        await driver.until(lambda: driver.toasts == ["Nobody is signed in to pg."])
        await driver.press("colon", *"help")
        await driver.shows("Help")
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, HelpDialog))


@pytest.mark.behaviour("A3")
async def test_a_name_is_no_markup_there(tmp_path: Path) -> None:
    hostile = "[@click=app.quit]x[/] [/nope]"
    async with driving(FakeEngine([server("a"), server(hostile)]), tmp_path) as driver:
        await driver.press("colon", *"go to")
        await driver.shows("Go to [@click=app.quit]x[/]")
