"""`c` on a row that wants a sign-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpmux_tui import browser
from mcpmux_tui.control.protocol import LoginStep
from mcpmux_tui.model.errors import UsageError
from mcpmux_tui.model.server import Action, Health
from tests.ui.driving import driving
from tests.ui.fake_engine import FakeEngine, server


async def test_c_opens_the_address_in_the_browser_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(browser, "open_in_browser", opened.append)
    engine = FakeEngine([server("acme", Health.NEEDS_SIGN_IN)])
    async with driving(engine, tmp_path) as driver:
        await driver.shows("Sign in")
        await driver.press("c")
        await driver.until(lambda: bool(driver.toasts))
        assert driver.toasts == ["Sign in to acme at as.example, in your browser."]
    assert opened == ["https://as.example/x?y=1"]
    assert engine.acts == [("acme", Action.SIGN_IN)]


async def test_what_needs_a_yes_or_has_no_browser_is_said_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(address: str) -> None:
        raise UsageError("No browser can be opened: there is no display here.")

    monkeypatch.setattr(browser, "open_in_browser", none)
    engine = FakeEngine([server("acme", Health.NEEDS_SIGN_IN)])
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.until(lambda: bool(driver.toasts))
        assert driver.toasts[-1].endswith("display here. `mcpmux login acme` shows the address.")
        engine.step = LoginStep(concerns=("Its token endpoint is elsewhere.",))
        await driver.press("escape", "c")
        await driver.until(lambda: bool(driver.toasts))
        assert driver.toasts[-1].endswith("elsewhere. `mcpmux login acme` asks you about that.")


async def test_the_pane_says_who_is_signed_in(tmp_path: Path) -> None:
    engine = FakeEngine([server("acme", Health.CONNECTED, account="ada@example.com")])
    async with driving(engine, tmp_path) as driver:
        await driver.shows("signed in as ada@example.com")
