"""`t`: the tools of a server, and a form to try one."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.screen import Screen

from mcpmux_tui.control.protocol import (
    Check,
    Checkup,
    ItemForm,
    Items,
    Outcome,
)
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.question import Field
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.settings import UiSettings
from mcpmux_tui.ui.dialogs.doctor import DoctorDialog
from mcpmux_tui.ui.dialogs.edit import EditDialog
from mcpmux_tui.ui.dialogs.sign_in import SignInDialog
from mcpmux_tui.ui.dialogs.try_item import TryDialog
from mcpmux_tui.ui.dialogs.values import ValuesDialog
from mcpmux_tui.ui.screens.server import ServerScreen
from tests.ui.driving import driving
from tests.ui.fake_engine import FakeEngine, item, server


def offers() -> FakeEngine:
    engine = FakeEngine([server("gh", tools=2)])
    engine.listed["gh", Kind.TOOLS] = Items(
        items=(
            item("gh", "search", description="Find issues at length", hint="read"),
            item("gh", "delete", public=False, description="Remove a repository", hint="destroy"),
        )
    )
    engine.form = ItemForm(
        name="search",
        description="Find issues",
        fields=(
            Field(key="query", label="query", kind="text", required=True),
            Field(key="page", label="page", kind="integer"),
        ),
        hint="read",
    )
    return engine


async def test_tools_are_looked_through_and_one_is_tried(tmp_path: Path) -> None:
    engine = offers()
    engine.outcome = Outcome(text="3 issues [bold]x[/]", raw='{"content": []}', seconds=0.5)
    async with driving(engine, tmp_path, size=(100, 40)) as driver:
        await driver.press("t")
        await driver.shows("gh__search")
        assert "Remove a repository" in driver.text
        await driver.press("slash", *"find", "enter")
        await driver.until(lambda: "Remove a repository" not in driver.text)
        await driver.press("enter")
        await driver.shows("It says that it only reads.")
        await driver.press("ctrl+r")
        await driver.shows("It is missing.")
        await driver.press(*"bug", "enter", *"2", "enter")
        await driver.shows("Done in 0.50 s")
        assert "3 issues [bold]x[/]" in driver.text
        await driver.press("ctrl+t")
        await driver.shows('{"content": []}')
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, ServerScreen))
        await driver.press("escape")
        await driver.shows("Remove a repository")
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, ServerScreen))
    (tried,) = engine.tries
    assert (tried.server, tried.name) == ("gh", "search")
    assert tried.typed == {"query": "bug", "page": "2"}


async def test_one_that_may_destroy_asks_first(tmp_path: Path) -> None:
    engine = offers()
    engine.form = ItemForm(name="delete", description="It is safe", hint="destroy")
    async with driving(engine, tmp_path) as driver:
        await driver.press("t", "down", "enter")
        await driver.shows("│ It says that it may destroy something.")
        await driver.press("ctrl+r")
        await driver.shows("Run delete?")
        await driver.press("escape")
        assert engine.tries == []
        await driver.press("ctrl+r")
        await driver.shows("Run delete?")
        await driver.press("y")
        await driver.until(lambda: len(engine.tries) == 1)


async def test_a_call_under_way_is_cancelled_before_the_form_is_left(tmp_path: Path) -> None:
    engine = offers()
    engine.outcome = Outcome(text="it failed", is_error=True)
    async with driving(engine, tmp_path) as driver:
        await driver.press("t", "enter")
        await driver.shows("It says that it only reads.")
        engine.gate.clear()
        await driver.press(*"x", "ctrl+r")
        await driver.shows("esc Cancel")
        await driver.press("escape")
        await driver.until(lambda: engine.cancelled == [engine.tries[0].key])
        await driver.shows("ended with an error")
        assert isinstance(driver.app.screen, TryDialog)


async def test_w_says_why_a_server_is_red_and_c_does_what_the_row_suggests(tmp_path: Path) -> None:
    engine = FakeEngine([server("gh", Health.FAILED, summary="exit 1")])
    engine.checkup = Checkup(
        checks=(
            Check(name="config", ok=True, said="the entry can be used"),
            Check(name="command", ok=False, said="npx is nowhere [/x]", fix="Install it."),
        )
    )
    async with driving(engine, tmp_path) as driver:
        await driver.press("w")
        await driver.shows("Why is gh failed?")
        await driver.shows("npx is nowhere [/x]")
        assert "Install it." in driver.text
        await driver.press("c")
        await driver.until(lambda: engine.acts == [("gh", Action.RETRY)])


@pytest.mark.parametrize(
    ("mend", "key", "label", "dialog"),
    [
        (Mend.SIGN_IN, "c", "c Sign in  e Edit  r Again", SignInDialog),
        (Mend.VALUES, "n", "n Values  c Enable  e Edit  r Again", ValuesDialog),
        (Mend.EDIT, "e", "e Edit  c Enable  r Again", EditDialog),
    ],
)
async def test_the_key_that_mends_a_failed_check_comes_first_and_does_it(
    tmp_path: Path, mend: Mend, key: str, label: str, dialog: type[Screen[object]]
) -> None:
    engine = FakeEngine([server("gh", Health.DISABLED)])
    engine.checkup = Checkup(checks=(Check(name="token", ok=False, said="no", mend=mend),))
    async with driving(engine, tmp_path) as driver:
        await driver.press("w")
        await driver.shows(label)
        await driver.press(key)
        await driver.until(lambda: isinstance(driver.app.screen, dialog))
        assert engine.acts == []


async def test_a_row_is_mended_by_its_own_action_and_other_keys_do_nothing(tmp_path: Path) -> None:
    engine = FakeEngine([server("gh", Health.DISABLED)])
    checks = (Check(name="initialize", ok=False, said="disabled", mend=Mend.ENABLE),)
    engine.checkup = Checkup(checks=checks)
    async with driving(engine, tmp_path) as driver:
        await driver.press("w")
        await driver.shows("c Enable  e Edit  r Again")
        await driver.press("n", "E")
        assert isinstance(driver.app.screen, DoctorDialog)
        await driver.press("c")
        await driver.until(lambda: engine.acts == [("gh", Action.ENABLE)])


async def test_a_key_set_anew_mends_as_it_does_on_the_row(tmp_path: Path) -> None:
    engine = FakeEngine([server("gh", Health.NEEDS_INPUT)])
    engine.update(ui=UiSettings(keys={"server.secrets": ("f4",)}))
    checks = (Check(name="values", ok=False, said="missing", mend=Mend.VALUES),)
    engine.checkup = Checkup(checks=checks)
    async with driving(engine, tmp_path) as driver:
        await driver.press("w")
        await driver.shows("f4 Values  c Enter values  e Edit")
        await driver.press("f4")
        await driver.until(lambda: isinstance(driver.app.screen, ValuesDialog))


async def test_e_edits_the_entry_of_what_was_checked(tmp_path: Path) -> None:
    engine = FakeEngine([server("gh", Health.FAILED, summary="command not found: npx")])
    async with driving(engine, tmp_path) as driver:
        await driver.press("w")
        await driver.shows("Why is gh failed?")
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, EditDialog))
