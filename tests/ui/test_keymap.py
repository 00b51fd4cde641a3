"""Keys set anew: what a person may write, and what comes of wishes that clash."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpmux_tui.ui.app import McpmuxApp
from mcpmux_tui.ui.keymap import checked, contexts, display, parse, settable
from tests.ui.fake_engine import FakeEngine


@pytest.fixture
def app(tmp_path: Path) -> McpmuxApp:
    return McpmuxApp(FakeEngine(), owner=True, state=tmp_path)


@pytest.mark.parametrize(
    ("text", "key", "read"),
    [
        ("r", "r", "r"),
        ("R", "R", "R"),
        ("shift+r", "R", "R"),
        ("Ctrl+R", "ctrl+r", "ctrl+r"),
        ("shift+ctrl+left", "ctrl+shift+left", "ctrl+shift+left"),
        ("?", "question_mark", "?"),
        ("question_mark", "question_mark", "?"),
        ("+", "plus", "+"),
        ("ctrl++", "ctrl+plus", "ctrl++"),
        ("ctrl+/", "ctrl+slash", "ctrl+/"),
        (",", "comma", ","),
        ("esc", "escape", "esc"),
        ("F5", "f5", "f5"),
        ("space", "space", "space"),
        ("delete", "delete", "delete"),
        ("pgdn", "pagedown", "pgdn"),
        ("ctrl+m", "enter", "enter"),
        ("é", "é", "é"),
    ],
)
def test_keys_are_read_as_a_person_writes_them(text: str, key: str, read: str) -> None:
    assert parse(text) == key
    assert display(key) == read


@pytest.mark.parametrize(
    "text", ["", " ", "foo", "ctrl+", "ctl+r", "ctrl+foo", "r r", "\x1b", "f99"]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    assert parse(text) is None


def test_every_binding_of_every_screen_and_dialog_is_found(app: McpmuxApp) -> None:
    known = settable(contexts(app))
    assert {"server.restart", "nav.down", "app.quit", "app.theme", "go.settings"} <= set(known)
    assert {"form.save", "answer.accept", "try.run", "dialog.back", "sign_in.qr"} <= set(known)
    assert set(known["app.quit"].keys) == {"q", "ctrl+q"}


def test_two_keys_change_places(app: McpmuxApp) -> None:
    keymap, warnings = checked({"server.restart": ("x",), "server.toggle": ("r",)}, app)
    assert keymap == {"server.restart": "x", "server.toggle": "r"}
    assert warnings == ()


def test_a_key_of_another_action_stays_with_that(app: McpmuxApp) -> None:
    keymap, warnings = checked({"server.restart": ("j",)}, app)
    assert keymap == {}
    assert warnings == (
        "In `[keys]`: j would be both Down (`nav.down`) and Restart (`server.restart`);"
        " it stays on r.",
    )


def test_of_two_wishes_for_one_key_the_later_one_loses(app: McpmuxApp) -> None:
    keymap, warnings = checked({"server.toggle": ("f5",), "server.restart": ("f5",)}, app)
    assert keymap == {"server.toggle": "f5"}
    assert warnings == (
        "In `[keys]`: f5 would be both Disable (`server.toggle`) and Restart (`server.restart`);"
        " it stays on r.",
    )


def test_a_wish_that_loses_may_make_an_earlier_one_lose_too(app: McpmuxApp) -> None:
    wishes = {"server.toggle": ("r",), "server.restart": ("foo",)}
    keymap, warnings = checked(wishes, app)
    assert keymap == {}
    assert [warning.split(";")[0] for warning in warnings] == [
        "In `[keys]`: `foo` for Restart (`server.restart`) is no key",
        "In `[keys]`: r would be both Restart (`server.restart`) and Disable (`server.toggle`)",
    ]


def test_the_same_key_in_two_dialogs_is_no_clash(app: McpmuxApp) -> None:
    keymap, warnings = checked({"answer.accept": ("f5",), "try.run": ("f5",)}, app)
    assert keymap == {"answer.accept": "f5", "try.run": "f5"}
    assert warnings == ()


def test_an_unknown_action_is_named_with_what_may_be_meant(app: McpmuxApp) -> None:
    keymap, warnings = checked({"server.restrat": ("f5",), "zzz": ("f5",)}, app)
    assert keymap == {}
    assert warnings == (
        "Unknown action `server.restrat` in `[keys]`; did you mean `server.restart`?",
        "Unknown action `zzz` in `[keys]`; 6 shows those there are.",
    )


def test_a_key_that_types_is_refused_where_text_is_typed(app: McpmuxApp) -> None:
    keymap, warnings = checked({"form.save": ("s",)}, app)
    assert keymap == {}
    assert warnings == (
        "In `[keys]`: s for Save (`form.save`) is needed to type text; it stays on ctrl+s.",
    )


def test_a_key_that_edits_text_may_be_one_of_a_form(app: McpmuxApp) -> None:
    keymap, warnings = checked({"values.keep": ("ctrl+w",)}, app)
    assert keymap == {"values.keep": "ctrl+w"}
    assert warnings == ()


def test_the_ways_out_stay(app: McpmuxApp) -> None:
    wishes = {"app.quit": ("Q",), "dialog.back": ("f3",), "nav.back": ("f4",)}
    keymap, warnings = checked(wishes, app)
    assert keymap == {"app.quit": "Q,ctrl+q", "dialog.back": "f3,escape", "nav.back": "f4,escape"}
    assert warnings == ()
    keymap, warnings = checked({"server.restart": ("ctrl+q",)}, app)
    assert keymap == {}
    assert "ctrl+q would be both Quit and Restart" in warnings[0]
