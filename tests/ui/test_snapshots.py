"""What every screen and dialog looks like.

A picture that differs fails, and `snapshot_report.html` shows both. Where the change is meant:
`python -m pytest tests/ui/test_snapshots.py -n 0 --snapshot-update`, then look at what changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from textual import events
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from mcpmux_tui import browser
from mcpmux_tui.ui.app import McpmuxApp
from mcpmux_tui.ui.status import ASCII, UNICODE, Glyphs
from mcpmux_tui.ui.theme import CB_DARK, CB_LIGHT, DARK, LIGHT
from mcpmux_tui.ui.widgets.server_list import ServerList
from tests.ui.driving import Clock, Driver
from tests.ui.fake_engine import FakeEngine
from tests.ui.scenes import DIALOGS, SCREENS, Scene, world

_STATE = Path("/home/ana/.local/state/mcpmux/1f2e")
_SMALL, _MIDDLE, _LARGE = (60, 20), (80, 24), (120, 40)
_SCENES = {scene.name: scene for scene in (*SCREENS, *DIALOGS)}
_TYPICAL = ("servers", "values")
"""One screen and one dialog."""


class Compare(Protocol):
    """The fixture `snap_compare`."""

    def __call__(
        self,
        app: App[int],
        *,
        terminal_size: tuple[int, int],
        run_before: object,
    ) -> bool: ...


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(browser, "open_in_browser", lambda _: None)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX", "SSH_CONNECTION", "SSH_TTY", "NO_COLOR",
                 "TEXTUAL_ANIMATIONS", "TEXTUAL_THEME"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("HOME", "/home/ana")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def app_of(engine: FakeEngine, clock: Clock, *, theme: str, glyphs: Glyphs) -> McpmuxApp:
    """The program as the pictures show it."""
    return McpmuxApp(
        engine,
        owner=True,
        state=_STATE,
        clock=clock,
        glyphs=glyphs,
        animated=False,
        theme=theme,
    )


async def act(scene: Scene, ui: Driver) -> None:
    """Go where a scene is, and let nothing move there."""
    await ui.until(lambda: ui.drawn)
    if scene.server:
        ui.app.query_one(ServerList).move_to(scene.server)
    for place, (key, text) in enumerate(scene.steps):
        if scene.waits and place == len(scene.steps) - 1:
            ui.engine.gate.clear()
        if key:
            key = _KEYS.get(key, key)
            ui.app.post_message(events.Key(key, key if len(key) == 1 else None))
        if text:
            await ui.shows(text)
    for field in ui.app.screen.query("Input, TextArea"):
        if isinstance(field, Input | TextArea):
            field.cursor_blink = False
    await ui.pilot.pause()


_KEYS = {"/": "slash", "?": "question_mark", ":": "colon", "]": "right_square_bracket"}


def matches(
    compare: Compare,
    name: str,
    size: tuple[int, int],
    *,
    theme: str = DARK.name,
    glyphs: Glyphs = UNICODE,
) -> bool:
    """Whether a scene looks as it did."""
    scene, engine, clock = _SCENES[name], world(), Clock()
    if scene.change is not None:
        scene.change(engine)

    async def before(pilot: Pilot[int]) -> None:
        await act(scene, Driver(pilot, engine, clock))

    app = app_of(engine, clock, theme=theme, glyphs=glyphs)
    return compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [_MIDDLE, _LARGE], ids=["80x24", "120x40"])
@pytest.mark.parametrize("name", _SCENES)
def test_it_looks_as_it_did(name: str, size: tuple[int, int], snap_compare: Compare) -> None:
    assert matches(snap_compare, name, size)


@pytest.mark.parametrize("name", _TYPICAL)
def test_a_small_window_shows_what_matters(name: str, snap_compare: Compare) -> None:
    assert matches(snap_compare, name, _SMALL)


@pytest.mark.parametrize("name", _TYPICAL)
def test_without_colours_shapes_and_words_are_enough(
    name: str, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert matches(snap_compare, name, _MIDDLE)


@pytest.mark.parametrize("name", _TYPICAL)
def test_letters_do_where_there_are_no_signs(name: str, snap_compare: Compare) -> None:
    assert matches(snap_compare, name, _MIDDLE, glyphs=ASCII)


@pytest.mark.parametrize("theme", [LIGHT.name, CB_DARK.name, CB_LIGHT.name])
@pytest.mark.parametrize("name", _TYPICAL)
def test_other_themes(name: str, theme: str, snap_compare: Compare) -> None:
    assert matches(snap_compare, name, _MIDDLE, theme=theme)
