"""Themes, signs, motion and keys of the config on a running screen, and the dialogs for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.filter import Monochrome, NoColor
from textual.screen import Screen
from textual.widgets import OptionList

from mcpmux_tui.model.errors import SignInRequired
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.settings import UiChange, UiSettings
from mcpmux_tui.ui.dialogs.themes import ThemeDialog
from mcpmux_tui.ui.screens.settings import SettingsScreen
from mcpmux_tui.ui.status import STYLES, UNICODE
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.server_list import ServerList
from tests.ui.driving import Driver, driving
from tests.ui.fake_engine import FakeEngine, every_state, server


def engine_with(**ui: object) -> FakeEngine:
    engine = FakeEngine(every_state())
    engine.snapshot = engine.snapshot.model_copy(update={"ui": UiSettings.model_validate(ui)})
    return engine


async def change(ui: Driver, **settings: object) -> None:
    """Change the config's tables, as the file's watcher does."""
    ui.engine.update(ui=UiSettings.model_validate(settings))
    told = ui.engine.snapshot.ui
    await ui.until(lambda: ui.app._looks._told == told)
    await ui.pilot.pause()


def theme(ui: Driver) -> str:
    return ui.app.theme


def top(ui: Driver) -> type[Screen[object]]:
    return type(ui.app.screen)


async def test_ctrl_t_shows_each_theme_enter_keeps_it_and_the_engine_writes_it(
    tmp_path: Path,
) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        await ui.press("ctrl+t")
        assert top(ui) is ThemeDialog
        assert theme(ui) == "mcpmux-dark"
        await ui.press("j")
        await ui.until(lambda: theme(ui) == "mcpmux-light")
        await ui.press("j", "enter")
        await ui.until(lambda: ui.engine.choices == [UiChange(theme="mcpmux-cb-dark")])
        assert theme(ui) == "mcpmux-cb-dark"
        assert ui.toasts == []


async def test_esc_brings_the_former_theme_back_and_writes_nothing(tmp_path: Path) -> None:
    async with driving(engine_with(theme="nord"), tmp_path) as ui:
        await ui.press("ctrl+t", "G", "k")
        await ui.until(lambda: theme(ui) != "nord")
        await ui.press("escape")
        assert theme(ui) == "nord"
        assert ui.engine.choices == []


async def test_the_palette_chooses_themes_too(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        await ui.press("colon", *"theme")
        await ui.shows("ctrl+t")
        await ui.press("enter")
        await ui.until(lambda: top(ui) is ThemeDialog)


async def test_a_theme_that_cannot_be_written_counts_until_one_quits(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        ui.engine.read_only = True
        await ui.press("ctrl+t", "j", "enter")
        await ui.until(lambda: bool(ui.toasts))
        assert ui.toasts == [
            "This counts until you quit: config.toml could not be written: read-only. Look at it."
        ]
        ui.engine.put(server("new"))
        await ui.until(lambda: "new" in ui.names)
        assert theme(ui) == "mcpmux-light"


async def test_the_file_rules_a_running_screen(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        await change(ui, theme="nord", glyphs="ascii", animations=False)
        assert theme(ui) == "nord"
        assert "* github" in ui.text
        assert "* 2" in ui.lines[0]
        assert not any(sign in ui.text for sign in UNICODE.states.values())
        await change(ui)
        assert theme(ui) == "mcpmux-dark"
        assert "● github" in ui.text


def spinner_turns(ui: Driver) -> bool:
    spinner = ui.app.query_one(ServerList)._spinner
    return spinner is not None and spinner._active.is_set()


async def test_animations_are_switched_off_and_on(tmp_path: Path) -> None:
    async with driving(engine_with(animations=False), tmp_path, animated=True) as ui:
        moved = [spinner_turns(ui)]
        for animations in (True, False):
            await change(ui, animations=animations)
            moved.append(spinner_turns(ui))
        assert moved == [False, True, False]


async def test_a_theme_nobody_knows_is_said_and_the_default_used(tmp_path: Path) -> None:
    async with driving(engine_with(theme="[b]"), tmp_path) as ui:
        assert theme(ui) == "mcpmux-dark"
        assert "There is no theme `[b]`; ctrl+t shows those there are." in ui.text
        await change(ui, theme="nrod")
        await ui.shows("There is no theme `nrod`; did you mean `nord`?")


async def test_a_key_set_anew_acts_is_shown_and_the_old_one_does_nothing(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path, size=(120, 40)) as ui:
        await change(ui, keys={"server.restart": ("ctrl+r", "f5")})
        assert "ctrl+r Restart" in ui.footer
        await ui.press("r")
        assert ui.engine.acts == []
        await ui.press("ctrl+r")
        await ui.until(lambda: ui.engine.acts == [("a", Action.RESTART)])
        await ui.press("question_mark")
        await ui.shows("ctrl+r Restart")
        await ui.press("question_mark", "colon", *"restart a")
        await ui.shows("ctrl+r")
        await ui.press("escape")
        await change(ui)
        assert "r Restart" in ui.footer
        assert "ctrl+r" not in ui.footer
        await ui.press("ctrl+r")
        assert len(ui.engine.acts) == 1


async def test_moving_and_leaving_are_set_anew_too(tmp_path: Path) -> None:
    async with driving(
        engine_with(keys={"nav.down": ("z",), "server.secrets": ("j",), "app.quit": ("Q",)}),
        tmp_path,
    ) as ui:
        first = ui.cursor
        await ui.press("z")
        assert ui.cursor != first
        assert "Q Quit" in ui.footer
        await ui.press("question_mark")
        await ui.shows("z k")
        await ui.press("escape", "ctrl+t", "z")
        await ui.until(lambda: theme(ui) == "mcpmux-light")
        await ui.press("escape", "ctrl+q")
        assert ui.app.return_code == 0


async def test_a_key_of_a_dialog_is_set_anew_and_its_line_says_so(tmp_path: Path) -> None:
    async with driving(engine_with(keys={"dialog.back": ("f3",)}), tmp_path) as ui:
        await ui.press("ctrl+t")
        assert "f3 Back" in ui.text
        await ui.press("q")
        assert top(ui) is ThemeDialog
        await ui.press("f3")
        assert top(ui) is not ThemeDialog
        await ui.press("ctrl+t", "escape")
        assert top(ui) is not ThemeDialog


async def test_who_has_no_servers_is_told_the_keys_set_anew(tmp_path: Path) -> None:
    engine = engine_with(keys={"server.import": ("f7",), "copy.item": ("f8",)})
    engine.update(servers=())
    async with driving(engine, tmp_path) as ui:
        await ui.shows("f7  import the servers")
        assert "f8 copies the entry" in ui.text


async def test_sentences_of_the_engine_name_the_keys_as_they_are_set(tmp_path: Path) -> None:
    required = SignInRequired("Asks for a sign-in", "Press `Sign in` on its row.")
    leaks = "`env.KEY` is a secret in plain text; `To keyring` on the screen moves it."
    engine = FakeEngine(
        [
            server(
                "a", Health.NEEDS_SIGN_IN, detail=str(required),
                warnings=(leaks, "`No such thing` on the screen stays."),
            )
        ]
    )  # fmt: skip
    engine.update(leftovers=("npx",), offline=1)
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        for said in ("Press c on its row.", "; m moves it.", "K ends them.", "c on a row tries"):
            await ui.shows(said)
        await change(
            ui, keys={"server.connect": ("z",), "server.secure": ("f4",), "app.leftovers": ("f6",)}
        )
        for said in ("Press z on its row.", "; f4 moves it.", "f6 ends them.", "z on a row tries"):
            await ui.shows(said)
        assert "`No such thing` on the screen stays." in ui.text
        toast(ui.app, "`Edit file` on the screen opens the file in your editor.", "error")
        await ui.shows("E opens the file in your editor.")


async def test_keys_that_clash_are_named_in_the_banner_and_stay(tmp_path: Path) -> None:
    async with driving(
        engine_with(keys={"server.restart": ("x",)}), tmp_path, size=(120, 40)
    ) as ui:
        said = "x would be both Disable (`server.toggle`) and Restart (`server.restart`)"
        assert said in ui.text
        assert "r Restart" in ui.footer


def shown_by_state(ui: Driver) -> dict[str, tuple[str, bool]]:
    """What a row shows of each state without its colour: sign and word, and whether bold."""
    found: dict[str, tuple[str, bool]] = {}
    for strip in ui.app.screen._compositor.render_strips():
        for state in Health:
            name = next((s.name for s in every_state() if s.state is state), None)
            if name and strip.text[3:].startswith(name + " "):
                bold = any(
                    segment.style and segment.style.bold
                    for segment in strip
                    if segment.text.strip() == state.word
                )
                found[state] = (strip.text[1] + state.word, bool(bold))
                assert state.word in strip.text
    return found


@pytest.mark.behaviour("T1")
@pytest.mark.parametrize("name", ["mcpmux-dark", "ansi-dark"])
async def test_states_differ_without_any_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with driving(engine_with(theme=name), tmp_path, size=(80, 40)) as ui:
        kinds = [type(each) for each in ui.app._filters if isinstance(each, (Monochrome, NoColor))]
        assert kinds == [NoColor if name == "ansi-dark" else Monochrome]
        shown = shown_by_state(ui)
        assert len({sign for sign, _ in shown.values()}) == len(shown) == len(Health)
        for state in Health:
            assert shown[state][1] is STYLES[state].startswith("bold")
        # The option under the cursor is marked by more than a ground, which NoColor takes away.
        await ui.press("ctrl+t")
        options = ui.app.screen.query_one(OptionList)
        style = options.get_visual_style("option-list--option-highlighted")
        assert bool(style.underline) is (name == "ansi-dark")


async def test_settings_show_how_mcpmux_is_set_up(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path, size=(100, 40)) as ui:
        await ui.press("6")
        await ui.shows("keyring (Secret Service)")
        for words in (
            "Address     http://127.0.0.1:4114/mcp",
            "Token       needed",
            "Config      /home/ana/.config/mcpmux/config.toml",
            "Theme       mcpmux-dark",
            "Glyphs      auto",
            "app.help              ? f1",
        ):
            assert words in ui.text
        assert top(ui) is SettingsScreen
        await ui.press("escape")
        assert top(ui) is not SettingsScreen


async def settings_row(ui: Driver, name: str) -> None:
    """Put the cursor of the settings on a line."""
    options = ui.app.screen.query_one(OptionList)
    names = [str(option.prompt).split()[0] for option in options.options]
    options.highlighted = names.index(name)
    await ui.pilot.pause()


async def test_settings_are_chosen_there_and_written(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path, animated=True) as ui:
        await ui.press("6")
        await settings_row(ui, "Glyphs")
        await ui.press("enter", "enter")
        await ui.until(
            lambda: ui.engine.choices == [UiChange(glyphs="unicode"), UiChange(glyphs="ascii")]
        )
        await ui.shows("Glyphs      ascii")
        await settings_row(ui, "Theme")
        await ui.press("enter", "j", "enter")
        await ui.shows("Theme       mcpmux-light")
        await ui.press("escape")
        assert "* a" in ui.text


async def test_settings_copy_the_line_that_sets_a_key_anew(tmp_path: Path) -> None:
    async with driving(engine_with(keys={"server.toggle": ("f6",)}), tmp_path) as ui:
        await ui.press("6")
        await settings_row(ui, "server.toggle")
        assert "server.toggle         f6            Disable" in ui.text
        await ui.press("enter")
        await ui.until(lambda: bool(ui.toasts))
        assert ui.app.clipboard == '"server.toggle" = "f6"'


async def test_settings_say_what_is_wrong_and_follow_the_file(tmp_path: Path) -> None:
    async with driving(engine_with(keys={"zzz": ("f6",)}), tmp_path) as ui:
        await ui.press("6")
        assert "Unknown action `zzz` in `[keys]`" in ui.text
        await change(ui, theme="nord")
        await ui.shows("Theme       nord")
        assert "zzz" not in ui.text
