"""`c` on a row that wants a sign-in, and `o` on one that is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from mcpmux_tui import browser
from mcpmux_tui.control.protocol import Login, LoginDone
from mcpmux_tui.model.errors import ControlError, UsageError
from mcpmux_tui.model.server import Health
from mcpmux_tui.ui.app import McpmuxApp
from mcpmux_tui.ui.dialogs.sign_in import SignInDialog
from mcpmux_tui.ui.toasts import toast
from tests.ui.driving import Driver, driving
from tests.ui.fake_engine import NOW, FakeEngine, server

ADDRESS = "https://as.example/x?y=1"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were opened in the browser here."""
    addresses: list[str] = []
    monkeypatch.setattr(browser, "open_in_browser", addresses.append)
    return addresses


@contextmanager
def copied(app: McpmuxApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was copied."""
    texts: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", texts.append)
    yield texts


def in_field(driver: Driver) -> str | None:
    """What stands in the dialog's field, seen or not."""
    screen = driver.app.screen
    return screen.query_one("#pasted", Input).value if isinstance(screen, SignInDialog) else None


def wants_sign_in() -> FakeEngine:
    return FakeEngine([server("acme", Health.NEEDS_SIGN_IN)])


async def test_c_opens_the_address_here_and_waits(tmp_path: Path, opened: list[str]) -> None:
    engine = wants_sign_in()
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("You sign in at as.example. It asks for: read, write.")
        assert opened == [ADDRESS]
        assert ADDRESS in driver.text
        driver.clock.now += 42
        await driver.shows("Waiting for your browser… 0:42")
        engine.done.set_result(LoginDone(account="ada", warning="It is not kept."))
        await driver.until(lambda: bool(driver.toasts))
        assert driver.toasts == ["Signed in to acme as ada.\nIt is not kept."]
        assert not isinstance(driver.app.screen, SignInDialog)
    assert engine.wishes == [Login(server="acme")]


async def test_esc_leaves_the_sign_in_under_way_and_c_shows_it_again(
    tmp_path: Path, opened: list[str]
) -> None:
    engine = wants_sign_in()
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("Waiting for your browser")
        engine.put(server("acme", Health.SIGNING_IN, summary="at as.example", since=NOW - 5))
        await driver.press("escape")
        await driver.shows("0:05 at as.example")
        assert engine.cancelled == []
        await driver.press("c")
        await driver.shows("Waiting for your browser")
        await driver.press("x")
        await driver.until(lambda: engine.cancelled == ["acme"])
        await driver.until(lambda: not isinstance(driver.app.screen, SignInDialog))
        assert driver.toasts == []
    assert opened == [ADDRESS, ADDRESS]


async def test_without_a_browser_the_address_can_be_copied_and_one_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: str) -> None:
        raise UsageError("No browser can be opened: there is no display here.")

    monkeypatch.setattr(browser, "open_in_browser", none)
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50022 192.0.2.1 22")
    engine = wants_sign_in()
    async with driving(engine, tmp_path, size=(100, 30)) as driver:
        with copied(driver.app, monkeypatch) as texts:
            await driver.press("c")
            await driver.until(lambda: bool(driver.toasts))
            assert "no display here. y copies the address." in driver.toasts[-1]
            await driver.shows("ssh -L 41871:127.0.0.1:41871")
            await driver.press("y")
            await driver.until(lambda: texts == [ADDRESS])
        answer = "http://127.0.0.1:41871/callback?state=x&code=y"
        driver.app.post_message(events.Paste(f" {answer}\n"))
        await driver.shows("callback?state=x")
        await driver.press("enter")
        await driver.until(lambda: engine.pasted == [answer])
        # A letter is text there; esc gives the letters back their meaning.
        await driver.press("y", "escape")
        assert isinstance(driver.app.screen, SignInDialog)
        await driver.press("escape")
        assert not isinstance(driver.app.screen, SignInDialog)


@pytest.mark.parametrize("paste", ["", "\x1b[200~"])
@pytest.mark.parametrize("answers", ["at once", "while it is typed", "later"])
async def test_an_address_typed_right_behind_the_key_is_text_from_its_first_letter(
    answers: str, paste: str, tmp_path: Path, opened: list[str]
) -> None:
    engine = wants_sign_in()
    answer = "http://box:41871/callback?state=xQbsdyq&code=b"
    async with driving(engine, tmp_path) as driver:
        if answers != "at once":
            engine.gate.clear()
        first, rest = answer[:30], answer[30:]
        if paste:
            first, rest = "", f"{paste}{answer}\x1b[201~"
        driver.type(f"c{first}")
        if answers == "while it is typed":
            await driver.until(lambda: isinstance(driver.app.screen, SignInDialog))
            engine.gate.set()
        driver.type(rest)
        if answers == "later":
            await driver.until(lambda: in_field(driver) == answer)
            engine.gate.set()
        await driver.shows("callback?state=xQbsdyq&code=b")
        await driver.shows("enter Use this address  esc Leave the field")
        driver.type("\r")
        await driver.until(lambda: engine.pasted == [answer])
        assert opened == [ADDRESS]
        assert engine.cancelled == []
        await driver.press("escape")
        await driver.shows("y Copy link")
        await driver.press("x")
        await driver.until(lambda: engine.cancelled == ["acme"])


async def test_a_text_typed_blindly_agrees_to_nothing(tmp_path: Path, opened: list[str]) -> None:
    engine = wants_sign_in()
    assert not isinstance(engine.step, ControlError)
    engine.step = engine.step.model_copy(update={"concerns": ("It is at evil.example.",)})
    async with driving(engine, tmp_path) as driver:
        engine.gate.clear()
        driver.type("chttp://b")
        await driver.until(lambda: isinstance(driver.app.screen, SignInDialog))
        engine.gate.set()
        await driver.shows("It is at evil.example")
        driver.type("ox?q=x\r")
        await driver.until(lambda: in_field(driver) == "")
        assert len(engine.wishes) == 1
        await driver.press("enter")
        await driver.shows("Waiting for your browser")


async def test_a_message_leaves_the_keys_of_a_dialog_in_view(
    tmp_path: Path, opened: list[str]
) -> None:
    async with driving(wants_sign_in(), tmp_path) as driver:
        await driver.press("c")
        await driver.shows("Waiting for your browser")
        keys = next(line for line in driver.lines if "y Copy link" in line)
        for number in range(2):
            toast(driver.app, f"message {number} " + "that is rather long " * 6, "error")
        await driver.shows("message 1")
        assert keys in driver.lines


async def test_an_address_of_another_sign_in_is_said(tmp_path: Path, opened: list[str]) -> None:
    engine = wants_sign_in()
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("Waiting for your browser")
        driver.app.post_message(events.Paste("http://127.0.0.1/"))
        await driver.shows("http://127.0.0.1/")
        await driver.press("enter")
        await driver.until(lambda: bool(driver.toasts))
        assert driver.toasts == ["That address does not belong to this sign-in."]


@pytest.mark.behaviour("C5")
async def test_what_is_unusual_is_said_before_anything_is_opened(
    tmp_path: Path, opened: list[str]
) -> None:
    engine = wants_sign_in()
    assert not isinstance(engine.step, ControlError)
    engine.step = engine.step.model_copy(
        update={"concerns": ("Its token endpoint is at evil.example, not at as.example.",)}
    )
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("Its token endpoint is at evil.example")
        assert opened == []
        await driver.press("y", "b", "Q", "s", "d", "x")
        assert isinstance(driver.app.screen, SignInDialog)
        await driver.press("enter")
        await driver.shows("Waiting for your browser")
    assert opened == [ADDRESS]
    assert [wish.agreed for wish in engine.wishes] == [False, True]


@pytest.mark.behaviour("C14")
async def test_a_person_cuts_what_is_asked_for(tmp_path: Path, opened: list[str]) -> None:
    engine = wants_sign_in()
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("It asks for: read, write.")
        await driver.press("s", "space", "down", "space", "enter")
        await driver.until(lambda: bool(driver.toasts))
        assert "Pick at least one" in driver.toasts[-1]
        await driver.press("up", "space", "enter")
        await driver.shows("It asks for: read.")
    assert [wish.scopes for wish in engine.wishes] == [None, ("read",)]


@pytest.mark.behaviour("LUN-D01")
async def test_d_gives_a_code_to_enter_on_any_machine(tmp_path: Path, opened: list[str]) -> None:
    engine = wants_sign_in()
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("d Code")
        await driver.press("d")
        await driver.shows("enter ABCD-EFGH:")
        await driver.shows("Waiting for the code to be entered")
        assert "d Code" not in driver.text
    assert opened == [ADDRESS]


async def test_a_failure_stays_in_the_dialog_and_enter_begins_again(
    tmp_path: Path, opened: list[str]
) -> None:
    engine = wants_sign_in()
    step, engine.step = engine.step, ControlError("It answered HTTP 500.", "Try again later.")
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("It answered HTTP 500. Try again later.")
        await driver.shows("enter Begin again")
        engine.step = step
        await driver.press("enter")
        await driver.shows("Waiting for your browser")
        engine.done.set_exception(ControlError("The sign-in was declined."))
        await driver.shows("The sign-in was declined.")
        await driver.shows("enter Begin again")


async def test_q_shows_a_picture_for_a_camera_where_it_fits(
    tmp_path: Path, opened: list[str]
) -> None:
    async with driving(wants_sign_in(), tmp_path) as driver:
        await driver.press("c")
        await driver.shows("Waiting for your browser")
        await driver.press("Q")
        await driver.shows("▀")
        await driver.press("escape")
        await driver.shows("Waiting for your browser")
    engine = wants_sign_in()
    assert not isinstance(engine.step, ControlError)
    engine.step = engine.step.model_copy(update={"address": ADDRESS + "a" * 300})
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("Waiting for your browser")
        await driver.press("Q")
        await driver.shows("this window has 80 and 24")
        await driver.pilot.resize_terminal(120, 60)
        await driver.shows("▀")


async def test_o_logs_out_after_a_yes(tmp_path: Path) -> None:
    engine = FakeEngine(
        [
            server("acme", signed_in=True, account="ada@example.com", renews_at=NOW + 41 * 60),
            server("free"),
        ]
    )
    async with driving(engine, tmp_path, size=(120, 40)) as driver:
        await driver.shows("as ada@example.com, token renews in 41m")
        assert "o Log out" in driver.footer
        await driver.press("o")
        await driver.shows("Log out of acme?")
        await driver.press("escape")
        assert engine.logged_out == []
        await driver.press("o", "o")
        await driver.until(lambda: bool(driver.toasts))
        assert driver.toasts == ["Logged out of acme. Its authorization server was not told."]
        assert engine.logged_out == ["acme"]
        await driver.go_to("free")
        assert "o Log out" not in driver.footer
        await driver.press("o")
        await driver.until(lambda: len(driver.toasts) == 2)
        assert driver.toasts[-1] == "Nobody is signed in to free."
