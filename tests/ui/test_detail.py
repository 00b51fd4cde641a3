"""The pane that follows the cursor."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mcpmux_tui.control.protocol import ItemPage, Items
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.server import Health
from mcpmux_tui.ui.widgets import detail
from mcpmux_tui.ui.widgets.detail import DetailPane
from tests.ui.driving import driving
from tests.ui.fake_engine import FakeEngine, every_state, item, server


async def test_it_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path, size=(120, 40)) as ui:
        await ui.go_to("sentry")
        await ui.shows("The command npx was not found.")
        assert "Install Node.js, then retry." in ui.text
        assert "npx -y @acme/sentry" in ui.text


async def test_it_shows_facts_tools_under_both_names_and_the_log(tmp_path: Path) -> None:
    engine = FakeEngine([server("a", server_info="Acme 1.2", warnings=("unknown key colour",))])
    engine.log("a", "listening")
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.shows("listening")
        for words in (
            "npx -y @acme/a", "stdio", "protocol 2025-11-25", "Acme 1.2", "pid 4242",
            "unknown key colour", "2 tools", "reverse  a__reverse", "up 2m",
        ):  # fmt: skip
            assert words in ui.text
        engine.log("a", "a second line")
        await ui.shows("a second line")
        assert engine.log_requests[-1] == ("a", 1) or engine.log_requests[-1] == ("a", 2)


async def test_new_tools_are_asked_for_when_the_server_changed(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.shows("a__reverse")
        engine.listed["a", Kind.TOOLS] = Items(items=(item("a", "new"),))
        engine.put(server("a", tools=1, generation=2))
        await ui.shows("a__new")
        assert "a__reverse" not in ui.text


async def test_a_server_that_is_used_is_not_asked_for_its_tools_again(tmp_path: Path) -> None:
    asked: list[str | None] = []

    class Counting(FakeEngine):
        async def items(self, page: ItemPage) -> Items:
            asked.append(page.server)
            return await super().items(page)

    engine = Counting([server("a")])
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.shows("a__reverse")
        known, before = asked.copy(), len(engine.log_requests)
        engine.put(server("a", calls=77, last_call="echo"))
        await ui.until(lambda: len(engine.log_requests) > before + 2)
        assert "77" in ui.text
        assert asked == known


async def test_what_was_done_on_another_screen_is_seen_on_the_way_back(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.shows("a__reverse")
        await ui.press("6")
        engine.listed["a", Kind.TOOLS] = Items(items=(item("a", "new"),))
        await ui.press("1")
        await ui.shows("a__new")


async def test_other_names_are_seen_in_time_though_they_are_as_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail, "TOOLS_INTERVAL", 0.1)
    engine = FakeEngine([server("a")])
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.shows("a__reverse")
        engine.listed["a", Kind.TOOLS] = Items(items=(item("a", "one"), item("a", "two")))
        await ui.shows("a__two")


async def test_a_long_list_of_tools_says_how_many_more_there_are(tmp_path: Path) -> None:
    engine = FakeEngine([server("a", tools=400)])
    tools = tuple(item("a", f"t{n}") for n in range(400))
    engine.listed["a", Kind.TOOLS] = Items(items=tools, skipped=("One tool has no name.",))
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.shows("400 tools")
        await ui.press("tab", "G")
        await ui.shows("and 100 more")
        assert "One tool has no name." in ui.text


async def test_an_answer_for_another_server_is_dropped(tmp_path: Path) -> None:
    engine = FakeEngine([server("a"), server("b", Health.IDLE)])
    engine.log("a", "a line of a")
    engine.log("b", "a line of b")
    engine.gate.clear()
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await asyncio.sleep(2 * detail._SETTLE)
        await ui.press("j")
        assert ui.cursor == "b"
        engine.gate.set()
        await ui.shows("a line of b")
        assert "a line of a" not in ui.text
        assert "a__echo" not in ui.text
        assert {name for name, _ in engine.log_requests} == {"b"}


async def test_it_asks_for_the_visible_server_alone_and_not_too_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detail, "INTERVAL", 0.2)
    engine = FakeEngine([server("a"), server("b")])
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.until(lambda: len(engine.log_requests) >= 3)
        assert {name for name, _ in engine.log_requests} == {"a"}
        before = len(engine.log_requests)
        for calls in range(20):
            engine.put(server("a", calls=calls))
            await ui.pilot.pause()
        assert len(engine.log_requests) - before <= 20 * 0.1 / 0.2 + 3


async def test_it_says_nothing_of_a_server_whose_engine_has_ended(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.shows("a__echo")
        engine.end()
        await ui.shows("The mcpmux engine has ended")
        assert "a__echo" not in ui.text
        assert "up 2m" not in ui.text


async def test_it_scrolls_with_the_keys_of_the_list(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    for n in range(60):
        engine.log("a", f"line {n}")
    async with driving(engine, tmp_path) as ui:
        await ui.until(lambda: ui.app.query_one(DetailPane).max_scroll_y > 40)
        await ui.press("tab", "G")
        await ui.shows("line 59")
        engine.log("a", "the newest")
        await ui.shows("the newest")
        await ui.press("g")
        await ui.shows("up 2m")
        await ui.press("j", "ctrl+d", "ctrl+u", "k")
        await ui.shows("up 2m")
