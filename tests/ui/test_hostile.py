"""Hostile text on every surface: it is drawn as typed, or marked, and acts on nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpmux_tui import browser
from mcpmux_tui.control.protocol import Entry, Found, ItemForm, Items, LoginStep, Outcome
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.question import Field
from mcpmux_tui.model.server import Action, Health, ProxySnapshot
from tests.ui.driving import Driver, driving
from tests.ui.fake_engine import FakeEngine, candidate, item, server

PAYLOADS = (
    "[@click=app.quit]x[/][link=file:///x]y$primary {x} %s",
    "[/nope][bold[/]",
    "\x1b]0;title\x07\x1b]52;c;Y2FsYw==\x1b\\\x1b[2J\x9b31ma\u202eb\u200bc\t\r\n",
)


def assert_harmless(ui: Driver) -> None:
    """Nothing on the screen acts on a terminal; the app runs on."""
    for line in ui.lines:
        assert not any(ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F for char in line)
        assert "\u202e" not in line
    assert ui.app.is_running
    assert ui.app.return_code in (None, 0)


def poisoned(payload: str) -> FakeEngine:
    """An engine whose every text is the payload."""
    one = server(
        f"a{payload}", Health.FAILED, summary=payload, detail=payload, target=payload,
        server_info=payload, warnings=(payload,), origin=f"o{payload}", last_call=payload,
        last_activity=1.0,
    )  # fmt: skip
    two = server(f"b{payload}", last_call=payload, last_activity=1.0, detail=payload)
    proxy = ProxySnapshot(
        url="http://127.0.0.1:4114/mcp", pid=1, error=payload, hint=payload, knocks=(payload,)
    )
    engine = FakeEngine([one, two], proxy=proxy)
    engine.update(warnings=(payload,), config_error=payload)
    engine.listed = {
        (each.name, kind): Items(
            items=(
                item(each.name, payload, public=payload, description=payload, kind=kind),
                item(each.name, "other", kind=kind),
            ),
            skipped=(payload,),
        )
        for each in (one, two)
        for kind in Kind
    }
    engine.form = ItemForm(
        name=payload,
        description=payload,
        fields=(Field(key=payload, label=payload, kind="text", description=payload),),
    )
    engine.outcome = Outcome(text=payload, raw=payload)
    engine.progress = payload
    engine.entry_text = Entry(path=payload, text=payload)
    engine.log(one.name, payload)
    engine.log(two.name, payload, "mcpmux")
    engine.clients = ((payload, f"c{payload}"),)
    engine.found = Found(
        candidates=(
            candidate(
                f"d{payload}", target=payload, source=f"s{payload}", path=payload,
                env=(payload,), cwd=payload,
            ),
            candidate("e", skip=payload),
        ),
        problems=(payload,),
    )  # fmt: skip
    return engine


@pytest.mark.behaviour("A1", "A2", "A3", "A4", "A6")
@pytest.mark.parametrize("payload", PAYLOADS)
async def test_no_surface_gives_text_a_meaning(payload: str, tmp_path: Path) -> None:
    engine = poisoned(payload)
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.until(lambda: bool(engine.log_requests))
        assert_harmless(ui)
        for keys in (
            ("j",), ("tab", "G"), ("question_mark",), ("escape",), ("y",), ("enter",), ("s",),
            ("escape",), ("i",), ("space",), ("escape",), ("escape",), ("slash", "z"),
            ("escape",), ("enter",), *[("right_square_bracket",)] * 5, ("w", "p", "m"), ("escape",),
            ("2",), ("enter",), ("ctrl+r",), ("ctrl+t",), ("escape",), ("space",), ("y",), ("4",),
            ("w", "p", "slash", "z"), ("escape",), ("colon", "z"), ("escape",), ("escape",),
        ):  # fmt: skip
            await ui.press(*keys)
            assert_harmless(ui)
        for x, y in ((5, 1), (5, 3), (20, 5), (70, 5), (75, 8), (75, 12)):
            await ui.pilot.click(offset=(x, y))
        assert_harmless(ui)
        await ui.press("i")
        await ui.shows("Import servers")
        await ui.press("enter", "enter")
        await ui.pilot.pause()
        assert_harmless(ui)
        assert ui.toasts[-1].startswith("Added d")


@pytest.mark.behaviour("A1", "A2", "A3", "C5")
@pytest.mark.parametrize("payload", PAYLOADS)
async def test_what_is_asked_before_a_sign_in_is_drawn_as_typed(
    payload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "open_in_browser", lambda _: None)
    engine = FakeEngine([server("a", Health.NEEDS_SIGN_IN)])
    scopes = (payload, "read")
    engine.step = LoginStep(
        address="https://as.example/", host=f"h{payload}", scopes=scopes, offered=scopes,
        concerns=(f"one{payload}", payload),
    )  # fmt: skip
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.press("c")
        await ui.shows("Before you sign in:")
        await ui.shows("one")
        assert_harmless(ui)
        await ui.press("enter")
        await ui.shows("Waiting for your browser")
        assert_harmless(ui)
        await ui.press("s")
        await ui.shows("What may mcpmux do")
        assert_harmless(ui)


@pytest.mark.behaviour("A3", "A4")
async def test_a_toast_is_drawn_as_typed(tmp_path: Path) -> None:
    engine = FakeEngine([server("[@click=app.quit]x[/nope]", action=Action.ENABLE)])
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.press("c")
        await ui.shows("[@click=app.quit]x[/nope] is connected.")
        assert_harmless(ui)


@pytest.mark.behaviour("A10")
async def test_a_flood_of_text_leaves_the_keys_alive(tmp_path: Path) -> None:
    engine = FakeEngine(
        [server("a", Health.FAILED, summary="x" * 1_000, detail="y" * 500_000), server("b")]
    )
    for n in range(5_000):
        engine.log("a", f"{n} " + "z" * 900)
    async with driving(engine, tmp_path) as ui:
        await ui.until(lambda: bool(engine.log_requests))
        await ui.press("j")
        assert ui.cursor == "b"
