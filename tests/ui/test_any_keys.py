"""Any keys in any order, in pieces of several, in windows of any size: the screen never fails."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from textual import events

from mcpmux_tui import browser
from mcpmux_tui.control.protocol import EntryForm
from mcpmux_tui.model.question import Field, Question
from tests.ui.driving import driving
from tests.ui.fake_engine import NOW, FakeEngine, every_state
from tests.ui.test_screens import offers
from tests.ui.test_values import waits

_KEYS = (
    *"jkgG1246ctlvrRCxownmASaeDEyYi/sf:?KzNpb[]! QdB",
    "enter", "escape", "tab", "shift+tab", "delete", "up", "down", "left", "right", "home", "end",
    "pagedown", "pageup", "backspace", "f1", "f2",
    *(f"ctrl+{letter}" for letter in "abdefkloprstuvwxyz"),
)  # fmt: skip
_TURNS = 60
_QUICK = (1, 2)
"""Seeds of the default run."""
_SEEDS = [
    pytest.param(seed, marks=() if seed in _QUICK else pytest.mark.slow) for seed in range(120)
]


class LateEngine(FakeEngine):
    """Takes now and then as long as an engine with much to do."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(offers().snapshot.servers)
        self.listed = offers().listed
        self._chance = chance

    async def _answer(self) -> None:
        await asyncio.sleep(self._chance.choice((0, 0, 0.001, 0.003, 0.01, 0.03)))
        await super()._answer()


def engine_of(chance: random.Random) -> LateEngine:
    engine = LateEngine(chance)
    engine.put(*every_state())
    engine.fields = waits().fields
    engine.edited = EntryForm(server="gh", seen="x", name="gh", target="npx")
    asks = Field(key="which", label="which", kind="text")
    engine.update(questions=(Question(id=1, server="gh", message="?", fields=(asks,), since=NOW),))
    for number in range(60):
        engine.log("gh", f"line {number}")
    return engine


@pytest.mark.timeout(200)
@pytest.mark.parametrize("seed", _SEEDS)
async def test_any_keys_in_any_order_leave_a_screen_that_works(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "open_in_browser", lambda _: None)
    monkeypatch.setenv("VISUAL", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    chance = random.Random(seed)  # noqa: S311 - No secret is made of it.
    engine = engine_of(chance)
    async with driving(engine, tmp_path, size=chance.choice(((80, 24), (120, 40), (60, 20)))) as ui:
        for _ in range(_TURNS):
            for key in chance.choices(_KEYS, k=chance.randint(1, 5)):
                ui.app.post_message(events.Key(key, key if len(key) == 1 else None))
            if chance.random() < 0.2:
                await ui.pilot.resize_terminal(chance.randint(30, 150), chance.randint(5, 45))
            if chance.random() < 0.1:
                engine.remove(chance.choice([each.name for each in engine.snapshot.servers]))
            if chance.random() < 0.1:
                engine.put(*every_state())
            for _ in range(chance.randint(0, 3)):
                await ui.pilot.pause()
            assert ui.app.return_code is None
        ui.app.exit()
