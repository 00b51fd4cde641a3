"""`A`: what a server asks the person."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpmux_tui import browser
from mcpmux_tui.model.question import Choice, Field, Question
from mcpmux_tui.ui.dialogs.answer import AnswerDialog
from tests.ui.driving import driving
from tests.ui.fake_engine import NOW, FakeEngine, server

FORM = Question(
    id=7,
    server="town",
    message="Where to?",
    fields=(
        Field(key="city", label="City", kind="text", required=True),
        Field(key="days", label="Days", kind="integer", default="3", description="How long"),
        Field(
            key="by", label="By", kind="choice",
            choices=(Choice(value="t", title="Train"), Choice(value="b", title="Bus")),
        ),
    ),
    since=NOW - 9,
)  # fmt: skip
ADDRESS = Question(
    id=8, server="pay", message="Pay here", url="https://pay.example/x?y=1", since=NOW - 5
)


def asked(*questions: Question) -> FakeEngine:
    engine = FakeEngine([server("pay"), server("town")])
    engine.update(questions=questions)
    return engine


async def test_a_form_is_filled_checked_and_sent(tmp_path: Path) -> None:
    engine = asked(FORM)
    async with driving(engine, tmp_path) as driver:
        await driver.shows("town asks: Where to?")
        await driver.press("A")
        await driver.shows("City *")
        assert "How long" in driver.text
        await driver.press("ctrl+s")
        await driver.shows("It is missing.")
        await driver.press(*"Ulm", "enter", *"many", "enter", "enter")
        await driver.shows("It must be a whole number.")
        await driver.press("backspace", "backspace", "backspace", "backspace", "5", "tab")
        await driver.press(*"Bus", "enter")
        await driver.until(lambda: bool(engine.answers))
        assert driver.toasts == ["Answered."]
        await driver.press("A")
        await driver.until(lambda: driver.toasts[-1] == "No server asks you anything.")
    assert engine.answers == [(7, "accept", {"city": "Ulm", "days": "5", "by": "Bus"})]


@pytest.mark.behaviour("C24")
async def test_an_address_is_shown_whole_and_opened_by_a_key_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(browser, "open_in_browser", opened.append)
    engine = asked(FORM, ADDRESS)
    async with driving(engine, tmp_path) as driver:
        await driver.go_to("pay")
        await driver.press("A")
        await driver.shows("https://pay.example/x?y=1")
        assert opened == []
        await driver.press("b")
        assert opened == ["https://pay.example/x?y=1"]
        await driver.press("escape")
        assert engine.answers == []
        await driver.press("A", "ctrl+d")
        await driver.until(lambda: engine.answers == [(8, "decline", {})])


async def test_a_field_that_asks_for_a_secret_is_warned_of(tmp_path: Path) -> None:
    question = FORM.model_copy(
        update={"fields": (Field(key="password", label="Password", kind="text"),)}
    )
    async with driving(asked(question), tmp_path) as driver:
        await driver.press("A")
        await driver.shows("A server must not ask for secrets this way.")
        assert isinstance(driver.app.screen, AnswerDialog)
