"""The screens beside home: one server closely, the tools of all, the logs of all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual import events
from textual.geometry import Size

from mcpmux_tui.control.protocol import (
    Entry,
    ItemForm,
    Items,
    LogLine,
    Offer,
    Outcome,
    ValueField,
    ValueFields,
)
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.question import Choice, Field, Question
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.ui.dialogs.answer import AnswerDialog
from mcpmux_tui.ui.dialogs.help import HelpDialog
from mcpmux_tui.ui.dialogs.sign_in import SignInDialog
from mcpmux_tui.ui.dialogs.try_item import TryDialog
from mcpmux_tui.ui.dialogs.values import ValuesDialog
from mcpmux_tui.ui.keys import Context
from mcpmux_tui.ui.screens.logs import LogsScreen
from mcpmux_tui.ui.screens.server import ServerScreen
from mcpmux_tui.ui.screens.servers import ServersScreen
from mcpmux_tui.ui.screens.tools import ToolsScreen
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.field_row import FieldRow
from mcpmux_tui.ui.widgets.log_view import MOST, LogView
from tests.ui.driving import Driver, driving
from tests.ui.fake_engine import NOW, URL, FakeEngine, item, server


def offers() -> FakeEngine:
    engine = FakeEngine([server("gh", tools=2, prompts=1, resources=1), server("notes", tools=1)])
    engine.listed["gh", Kind.TOOLS] = Items(
        items=(
            item("gh", "search", description="Find issues", hint="read"),
            item("gh", "delete", public=False, description="Remove a repository", hint="destroy"),
        )
    )
    engine.listed["gh", Kind.PROMPTS] = Items(items=(item("gh", "review", kind=Kind.PROMPTS),))
    engine.listed["gh", Kind.RESOURCES] = Items(
        items=(item("gh", "repo://readme", kind=Kind.RESOURCES),)
    )
    engine.listed["gh", Kind.TEMPLATES] = Items(
        items=(item("gh", "repo://{path}", kind=Kind.TEMPLATES),)
    )
    engine.listed["notes", Kind.TOOLS] = Items(items=(item("notes", "add"),))
    return engine


async def test_enter_opens_a_server_and_its_tabs_are_a_key_apart(tmp_path: Path) -> None:
    engine = offers()
    engine.log("gh", "listening")
    engine.entry_text = Entry(path="~/c.toml", line=7, text='[servers.gh]\ncommand = "npx"')
    engine.fields = ValueFields(fields=(ValueField(name="TOKEN", origin="stored"),))
    async with driving(engine, tmp_path, size=(100, 30)) as ui:
        await ui.press("enter")
        await ui.shows("alone, under its own names: http://127.0.0.1:4114/mcp/gh")
        await ui.shows("listening")
        await ui.press("right_square_bracket")
        await ui.shows("Remove a repository")
        assert "notes" not in ui.text
        await ui.press("right_square_bracket")
        await ui.shows("review")
        await ui.press("right_square_bracket")
        await ui.shows("repo://readme")
        await ui.shows("repo://{path}")
        await ui.press("right_square_bracket")
        await ui.shows("stderr")
        await ui.press("right_square_bracket")
        await ui.shows("~/c.toml, line 7")
        await ui.shows("TOKEN  kept")
        await ui.press("right_square_bracket")
        await ui.shows("alone, under")
        await ui.press("left_square_bracket")
        await ui.shows("~/c.toml")
        await ui.press("escape")
        await ui.until(lambda: isinstance(ui.app.screen, ServersScreen))


@pytest.mark.parametrize(
    ("key", "text"), [("t", "Find issues"), ("l", "one line"), ("v", "command")]
)
async def test_a_letter_opens_a_server_at_a_tab(key: str, text: str, tmp_path: Path) -> None:
    engine = offers()
    engine.log("gh", "one line")
    async with driving(engine, tmp_path, size=(100, 30)) as ui:
        await ui.press(key)
        await ui.shows(text)
        assert isinstance(ui.app.screen, ServerScreen)


async def test_the_keys_of_a_server_work_where_it_is_seen_closely(tmp_path: Path) -> None:
    engine = offers()
    async with driving(engine, tmp_path, size=(100, 30)) as ui:
        await ui.press("enter")
        await ui.shows("alone, under")
        await ui.press("c")
        await ui.until(lambda: engine.acts == [("gh", Action.DISCONNECT)])
        await ui.shows("idle")
        engine.remove("gh")
        await ui.until(lambda: isinstance(ui.app.screen, ServersScreen))


async def test_tools_of_all_servers_are_found_hidden_offered_and_copied(tmp_path: Path) -> None:
    engine = offers()
    async with driving(engine, tmp_path, size=(100, 30)) as ui:
        await ui.press("2")
        await ui.shows("✘ gh")
        assert "notes" in ui.text
        await ui.shows("clients see gh__search")
        await ui.press("space")
        await ui.until(lambda: engine.offers == [Offer(server="gh", tool="search", offered=False)])
        await ui.shows("clients do not get it")
        await ui.press("space")
        await ui.shows("clients see gh__search")
        await ui.press("slash", *"notes", "enter")
        await ui.until(lambda: "gh__search" not in ui.text)
        await ui.press("y")
        await ui.until(
            lambda: ui.toasts[-1:] == ["notes__add is copied (if your terminal allows)."]
        )
        await ui.press("escape")
        await ui.shows("Remove a repository")
        await ui.press("1")
        await ui.until(lambda: isinstance(ui.app.screen, ServersScreen))


async def test_what_cannot_be_hidden_says_so(tmp_path: Path) -> None:
    async with driving(offers(), tmp_path, size=(100, 30)) as ui:
        await ui.press("enter", *["right_square_bracket"] * 2)
        await ui.shows("review")
        await ui.press("space")
        await ui.until(lambda: ui.toasts == ["Only tools can be hidden from clients."])


async def test_tools_follow_their_servers_and_the_cursor_stays_on_its_own(tmp_path: Path) -> None:
    engine = offers()
    async with driving(engine, tmp_path, size=(100, 30)) as ui:
        await ui.press("2")
        await ui.shows("add")
        await ui.press("G")
        await ui.shows("clients see notes__add")
        new = (item("gh", "aaa"), *engine.listed["gh", Kind.TOOLS].items)
        engine.listed["gh", Kind.TOOLS] = Items(items=new)
        engine.put(server("gh", tools=3, generation=2))
        await ui.shows("aaa")
        await ui.shows("clients see notes__add")


async def test_a_resource_is_read_at_once_and_a_template_is_filled_in(tmp_path: Path) -> None:
    engine = offers()
    engine.outcome = Outcome(text="# Read me", raw="{}", seconds=0.1)
    async with driving(engine, tmp_path, size=(100, 30)) as ui:
        await ui.press("enter", *["right_square_bracket"] * 3)
        await ui.shows("repo://readme")
        assert "enter Read it" in ui.footer
        await ui.press("enter")
        await ui.shows("# Read me")
        assert engine.tries[-1].kind is Kind.RESOURCES
        await ui.press("escape", "j")
        engine.form = ItemForm(name="x", fields=(Field(key="path", label="path", kind="text"),))
        await ui.until(lambda: "enter Fill in" in ui.footer)
        await ui.press("enter")
        await ui.shows("ctrl+r Run")
        await ui.press(*"a/b", "enter")
        await ui.until(lambda: engine.tries[-1].typed == {"path": "a/b"})


def asked(ui: Driver) -> list[str]:
    """The fields of the dialog that are shown."""
    return [row.field.label for row in ui.app.screen.query(FieldRow) if row.display]


async def test_of_alternatives_only_the_chosen_fields_are_shown(tmp_path: Path) -> None:
    engine = offers()
    engine.form = ItemForm(
        name="draw",
        fields=(
            Field(key="shape as", label="shape", kind="variant", default="circle",
                  choices=tuple(Choice(value=each, title=each) for each in ("circle", "box"))),
            Field(key="circle/r", label="radius", kind="integer", path=("shape", "r"),
                  when=("shape as", "circle"), required=True),
            Field(key="box/w", label="width", kind="integer", path=("shape", "w"),
                  when=("shape as", "box")),
        ),
    )  # fmt: skip
    async with driving(engine, tmp_path, size=(100, 40)) as ui:
        await ui.press("2")
        await ui.shows("Find issues")
        await ui.press("enter")
        await ui.until(lambda: asked(ui) == ["shape", "radius"])
        await ui.press(*"box", "enter", *"3")
        await ui.until(lambda: asked(ui) == ["shape", "width"])
        await ui.press("ctrl+e")
        await ui.shows('{"shape": {"w": 3}}')
        await ui.press("ctrl+r")
        await ui.until(lambda: bool(engine.tries))
        assert engine.tries[0].arguments == {"shape": {"w": 3}}


async def test_a_try_tells_how_far_it_is_and_lets_one_answer_the_server(tmp_path: Path) -> None:
    engine = offers()
    engine.progress = "2 of 5 halfway"
    async with driving(engine, tmp_path, size=(100, 40)) as ui:
        await ui.press("2")
        await ui.shows("Find issues")
        await ui.press("enter")
        await ui.shows("ctrl+r Run")
        engine.gate.clear()
        await ui.press("ctrl+r")
        await ui.shows("2 of 5 halfway")
        engine.update(questions=(Question(id=3, server="gh", message="Which one?", since=NOW),))
        await ui.shows("f2 Answer")
        await ui.press("f2")
        await ui.until(lambda: isinstance(ui.app.screen, AnswerDialog))
        await ui.press("escape")
        await ui.until(lambda: isinstance(ui.app.screen, TryDialog))
        engine.gate.set()
        await ui.shows("Done in")


async def test_the_logs_of_all_servers_come_as_one(tmp_path: Path) -> None:
    engine = offers()
    engine.log("gh", "first of gh")
    engine.log("notes", "first of notes")
    async with driving(engine, tmp_path, size=(100, 20)) as ui:
        await ui.press("4")
        await ui.shows("first of notes")
        assert isinstance(ui.app.screen, LogsScreen)
        assert ui.text.index("first of gh") < ui.text.index("first of notes")
        engine.log("gh", "second of gh")
        await ui.shows("second of gh")


async def test_a_log_follows_its_end_until_one_moves_away(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    for number in range(100):
        engine.log("a", f"line {number}.")
    async with driving(engine, tmp_path, size=(80, 20)) as ui:
        await ui.press("4")
        await ui.shows("line 99.")
        await ui.press("g")
        await ui.shows("line 0.")
        assert "space Follow" in ui.footer
        engine.log("a", "line 100.")
        await ui.until(lambda: len(ui.app.screen.query_one(LogView).lines.items) == 101)
        assert "line 100." not in ui.text
        await ui.press("space")
        await ui.shows("line 100.")
        engine.log("a", "line 101.")
        await ui.shows("line 101.")


async def test_a_text_is_found_in_a_log_forwards_and_backwards(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    for number in range(60):
        engine.log("a", f"line {number}{' needle' if number in (5, 30) else ''}")
    async with driving(engine, tmp_path, size=(80, 16)) as ui:
        await ui.press("4")
        await ui.shows("line 59")
        await ui.press("n")
        await ui.until(lambda: ui.toasts == ["There is no text to find; / takes one."])
        await ui.press("slash", *"needle", "enter")
        await ui.shows("line 30 needle")
        await ui.press("N")
        await ui.shows("line 5 needle")
        await ui.press("n", "n")
        await ui.until(lambda: "No line holds 'needle' this way." in ui.toasts)
        await ui.press("escape", "slash", *"!line", "enter")
        await ui.shows("Nothing is left to show; esc clears.")


async def test_a_log_is_wrapped_laid_out_marked_cleared_copied_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    engine = FakeEngine([server("a")])
    engine.log("a", "x" * 100 + " the end")
    engine.log("a", 'got {"key": [1, 2]}')
    async with driving(engine, tmp_path, size=(80, 24)) as ui:
        await ui.press("4")
        await ui.shows('got {"key"')
        assert "the end" not in ui.text
        await ui.press("w")
        await ui.shows("the end")
        await ui.press("p")
        await ui.shows('    "key": [')
        await ui.press("m")
        await ui.shows("----------")
        await ui.press("ctrl+s")
        await ui.until(lambda: any(text.startswith("Saved as ~/") for text in ui.toasts))
        (saved,) = await asyncio.to_thread(lambda: [*tmp_path.glob("mcpmux-all-*.log")])
        assert saved.read_text().splitlines()[1].endswith('a stderr got {"key": [1, 2]}')
        assert saved.stat().st_mode & 0o777 == 0o600
        await ui.press("k", "y")
        await ui.until(lambda: any(text.startswith("The line is copied") for text in ui.toasts))
        await ui.press("ctrl+l")
        await ui.shows("Nothing was logged.")


@pytest.mark.behaviour("P5")
async def test_a_log_keeps_its_newest_lines_and_ones_place_among_them(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    for number in range(MOST):
        engine.log("a", f"line {number}.")
    async with driving(engine, tmp_path, size=(80, 20)) as ui:
        await ui.press("4")
        view = ui.app.screen.query_one(LogView)
        # The engine hands out the newest thousand first.
        await ui.until(lambda: len(view.lines.items) == 1_000)
        await ui.press("k", "k")
        here = view.lines.selected
        for start in range(MOST, 2 * MOST - 900, 900):
            for number in range(start, start + 900):
                engine.log("a", f"line {number}.")
            await ui.until(lambda end=start + 899: view._last > end)  # type: ignore[misc]
        assert len(view.lines.items) == MOST
        assert view.lines.selected == here


async def test_all_are_connected_and_those_that_want_a_person_ask_in_turn(tmp_path: Path) -> None:
    engine = FakeEngine(
        [
            server("a", Health.IDLE), server("b", Health.NEEDS_SIGN_IN, transport="http"),
            server("c", Health.NEEDS_INPUT, missing=("KEY",)), server("d", Health.DISABLED),
            server("e", Health.FAILED), server("f"),
        ]
    )  # fmt: skip
    async with driving(engine, tmp_path) as ui:
        await ui.press("C")
        await ui.until(lambda: len(engine.acts) == 2)
        assert set(engine.acts) == {("a", Action.CONNECT), ("e", Action.RETRY)}
        await ui.until(lambda: isinstance(ui.app.screen, ValuesDialog | SignInDialog))
        first = type(ui.app.screen)
        await ui.press("escape")
        await ui.until(
            lambda: isinstance(
                ui.app.screen, {ValuesDialog, SignInDialog}.difference({first}).pop()
            )
        )
        await ui.press("escape")
        await ui.until(lambda: isinstance(ui.app.screen, ServersScreen))


async def test_all_that_failed_are_restarted(tmp_path: Path) -> None:
    engine = FakeEngine([server("a", Health.FAILED), server("b")])
    async with driving(engine, tmp_path) as ui:
        await ui.press("R")
        await ui.until(lambda: engine.acts == [("a", Action.RESTART)])
        await ui.press("R")
        await ui.until(lambda: "No server has failed." in ui.toasts)


async def test_rows_are_sorted_by_key_and_by_the_line_over_them(tmp_path: Path) -> None:
    engine = FakeEngine(
        [server("a", tools=1, calls=5), server("b", tools=9), server("c", Health.FAILED)]
    )
    async with driving(engine, tmp_path) as ui:
        assert ui.names == ["c", "a", "b"]
        await ui.press("s")
        assert ui.names == ["a", "b", "c"]
        await ui.press("s")
        assert ui.names == ["b", "a", "c"]
        await ui.press("s")
        assert ui.names == ["a", "b", "c"]
        await ui.click("STATE")
        await ui.until(lambda: ui.names == ["c", "a", "b"])


async def test_the_proxys_address_is_copied_from_any_screen(tmp_path: Path) -> None:
    async with driving(offers(), tmp_path) as ui:
        for key in ("1", "2", "4"):
            await ui.press(key, "Y")
            await ui.until(lambda: any("The proxy's address is copied" in t for t in ui.toasts))
            ui.app.clear_notifications()
        assert URL


async def test_a_pane_takes_all_the_room_and_gives_it_back(tmp_path: Path) -> None:
    async with driving(offers(), tmp_path) as ui:
        await ui.press("2")
        await ui.shows("clients see")
        await ui.press("f")
        await ui.until(lambda: "clients see" not in ui.text)
        await ui.press("f")
        await ui.shows("clients see")


async def test_tabs_and_screens_can_be_clicked(tmp_path: Path) -> None:
    async with driving(offers(), tmp_path, size=(100, 30)) as ui:
        await ui.click("2 Tools")
        await ui.until(lambda: isinstance(ui.app.screen, ToolsScreen))
        await ui.click("1 Servers")
        await ui.until(lambda: isinstance(ui.app.screen, ServersScreen))
        await ui.click("gh  ", times=2)
        await ui.until(lambda: isinstance(ui.app.screen, ServerScreen))
        await ui.shows("alone, under")
        await ui.click("Prompts")
        await ui.shows("review")


async def test_what_is_typed_right_behind_the_filters_key_is_filtered_for(tmp_path: Path) -> None:
    engine = FakeEngine([server("clock"), server("other", Health.FAILED)])
    async with driving(engine, tmp_path) as ui:
        for key in ("slash", *"clock"):
            ui.app.post_message(events.Key(key, key if len(key) == 1 else "/"))
        await ui.shows("/ clock")
        assert ui.names == ["clock"]
        assert engine.acts == []


async def test_a_click_on_the_state_does_what_c_does_once_the_cursor_is_there(
    tmp_path: Path,
) -> None:
    engine = FakeEngine([server("a"), server("b", Health.IDLE)])
    async with driving(engine, tmp_path) as ui:
        row = next(n for n, text in enumerate(ui.lines) if "b " in text and "idle" in text)
        state = ui.lines[row].index("idle")
        await ui.pilot.click(offset=(state, row))
        assert ui.cursor == "b"
        assert engine.acts == []
        # Elsewhere in the cell: the same place twice is a double click.
        await ui.pilot.click(offset=(state + 1, row))
        await ui.until(lambda: engine.acts == [("b", Action.CONNECT)])


async def test_a_click_on_the_address_copies_it(tmp_path: Path) -> None:
    async with driving(offers(), tmp_path) as ui:
        await ui.click(URL)
        await ui.until(lambda: any("The proxy's address is copied" in t for t in ui.toasts))


async def test_a_long_line_of_a_log_is_cut_where_the_window_ends(tmp_path: Path) -> None:
    engine = FakeEngine([server("gh")])
    engine.log("gh", "word " + "x" * 300)
    async with driving(engine, tmp_path) as ui:
        await ui.press("4")
        await ui.shows("word xxx")
        assert next(row for row in ui.lines if "word" in row).endswith("x…")


async def test_a_dialog_that_is_left_twice_takes_nothing_else_away(tmp_path: Path) -> None:
    async with driving(offers(), tmp_path) as ui:
        await ui.press("2", "enter")
        await ui.shows("ctrl+r Run")
        dialog = ui.app.screen
        assert isinstance(dialog, TryDialog)
        dialog.dismiss(None)
        dialog.dismiss(None)
        await ui.until(lambda: not dialog.is_attached)
        assert isinstance(ui.app.screen, ToolsScreen)


async def test_a_dialog_that_is_done_under_another_leaves_after_it(tmp_path: Path) -> None:
    async with driving(offers(), tmp_path) as ui:
        await ui.press("2", "enter")
        await ui.shows("ctrl+r Run")
        under = ui.app.screen
        assert isinstance(under, TryDialog)
        over = HelpDialog((), Context())
        ui.app.push_screen(over)
        await ui.until(lambda: ui.app.screen is over)
        under.dismiss(None)
        await ui.pilot.pause()
        assert ui.app.screen is over
        await ui.press("escape")
        await ui.until(lambda: isinstance(ui.app.screen, ToolsScreen))


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ((), "gh__search"),
        (("enter", "right_square_bracket"), "Find issues"),
        (("2",), "clients see"),
        (("4",), "a line"),
        (("i",), "No servers found"),
    ],
)
async def test_a_storm_of_sizes_ends_in_the_right_picture(
    keys: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    engine = offers()
    engine.log("gh", "a line " * 40)
    async with driving(engine, tmp_path) as ui:
        await ui.press(*keys)
        await ui.shows(text)
        await ui.pilot.pause()
        before = [line.rstrip() for line in ui.lines]
        for size in ((1, 1), (300, 100), (2, 40), (59, 8), (60, 9), (300, 1), (1, 100), (120, 40)):
            ui.app.post_message(events.Resize(Size(*size), Size(*size)))
        await ui.pilot.resize_terminal(80, 24)
        await ui.until(lambda: [line.rstrip() for line in ui.lines] == before)


async def test_a_pause_at_the_end_of_a_log_holds_while_lines_pour_in(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    for number in range(100):
        engine.log("a", f"line {number}.")
    async with driving(engine, tmp_path, size=(80, 20)) as ui:
        await ui.press("4")
        await ui.shows("line 99.")
        view = ui.app.screen.query_one(LogView)
        # What the list says of a line that came just before the key.
        view._append([LogLine(seq=101, server="a", time=NOW, source="stderr", text="line 100.")])
        view.action_follow()
        await ui.pilot.pause()
        assert not view.following
        assert "space Follow" in ui.footer


async def test_a_click_on_a_message_that_has_just_gone_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with driving(offers(), tmp_path) as ui:
        toast(ui.app, "Long lines are shown whole.")
        await ui.shows("Long lines are shown whole.")
        message = ui.app.screen.query("Toast").first()
        region = message.content_region
        place = region.offset
        await message.remove()
        # As long as the screen is not laid out anew.
        monkeypatch.setattr(ui.app.screen, "get_widget_at", lambda *_: (message, region))
        for kind in (events.MouseDown, events.MouseMove, events.MouseUp):
            await ui.app.on_event(
                kind(None, *place, 0, 0, button=1, shift=False, meta=False, ctrl=False)
            )
        await ui.press("2")
        await ui.until(lambda: isinstance(ui.app.screen, ToolsScreen))
