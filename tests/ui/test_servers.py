"""The servers screen: rows, cursor, keys, filter, header and banner."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.model.server import Action, Health, ProxySnapshot, ServerSnapshot
from mcpmux_tui.ui.keys import CONNECT, FILTER, HELP, IMPORT, RESTART, SCREEN, TOGGLE, Context
from mcpmux_tui.ui.status import ASCII, UNICODE
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.key_bar import KeyBar, hints
from mcpmux_tui.ui.widgets.server_list import Rows, ServerList
from mcpmux_tui.ui.widgets.server_row import Cells
from tests.ui.driving import driving
from tests.ui.fake_engine import NOW, URL, FakeEngine, every_state, server


async def test_rows_stand_in_order_of_urgency_then_by_name(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        assert ui.names == [
            "postgres", "linear", "slack", "sentry", "jira", "fetch", "memory", "brave",
            "filesystem", "github", "context7", "puppeteer",
        ]  # fmt: skip


async def test_a_row_on_its_way_out_stays_where_it_was_and_the_next_one_is_chosen(
    tmp_path: Path,
) -> None:
    first, last, off = server("a"), server("b"), server("c", Health.DISABLED)
    engine = FakeEngine((first, last, off))
    async with driving(engine, tmp_path) as ui:
        await ui.go_to("b")
        engine.put(server("b", Health.STOPPING))
        await ui.shows("stopping")
        assert (ui.names, ui.cursor) == (["a", "b", "c"], "b")
        engine.remove("b")
        await ui.until(lambda: ui.names == ["a", "c"])
        assert ui.cursor == "c"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 24)])
async def test_every_row_shows_shape_word_and_reason(size: tuple[int, int], tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path, size=size) as ui:
        for words in (
            "▲ postgres    needs input",
            "◆ linear      sign in",
            "✖ sentry      failed",
            "exit 1: npx not found",
            "↻ jira        reconnecting     21",
            "try 3 in 8s",
            "● github      connected        46",
            "2s ago",
        ):
            assert words in ui.text


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 20)])
async def test_nothing_that_matters_is_cut_off(size: tuple[int, int], tmp_path: Path) -> None:
    servers = (
        server("github", tools=46, calls=140, last_activity=NOW - 2, last_call="search"),
        server("sentry", Health.FAILED, summary="exit 1: npx not found"),
    )
    async with driving(FakeEngine(servers), tmp_path, size=size) as ui:
        assert all(len(line) <= size[0] for line in ui.lines)
        assert "…" not in ui.text
        assert "1 connected" in ui.lines[0]
        assert "1 failed" in ui.lines[0]
        assert ":4114/mcp" in ui.lines[0]
        assert "? Help" in ui.footer


@pytest.mark.parametrize("width", [60, 80, 120])
async def test_states_of_all_kinds_leave_the_header_its_address(width: int, tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path, size=(width, 24)) as ui:
        assert "▲ 1" in ui.lines[0]
        assert ui.lines[0].rstrip().endswith(":4114/mcp")


@pytest.mark.parametrize("size", [(40, 24), (80, 8)])
async def test_a_window_that_is_too_small_says_what_it_needs_and_takes_only_quit(
    size: tuple[int, int], tmp_path: Path
) -> None:
    async with driving(FakeEngine(every_state()), tmp_path, size=(80, 24)) as ui:
        await ui.press("slash")
        await ui.pilot.resize_terminal(*size)
        await ui.pilot.pause()
        assert "needs 60 columns and 9 lines. q quits." in " ".join(ui.text.split())
        await ui.press("c", "r", "x", "j", "question_mark", "y", "i", "slash", "escape")
        assert ui.engine.acts == []
        assert ui.toasts == []
        assert ui.app.screen is ui.app.screen_stack[0]
        await ui.pilot.resize_terminal(80, 24)
        await ui.pilot.pause()
        await ui.press("j", "j")
        assert ui.cursor == "slack"
        await ui.pilot.resize_terminal(*size)
        await ui.pilot.pause()
        await ui.press("q")
        assert ui.app.return_code == 0


async def test_the_last_column_counts_with_the_clock(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        assert "2s ago  search_issues" in ui.text
        ui.clock.now += 5
        await ui.shows("7s ago  search_issues")
        await ui.shows("try 3 in 3s")
        await ui.shows("7s · starting npx")


async def test_only_rows_that_changed_are_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    draw = Cells.draw

    def counting(cells: Cells) -> Content:
        drawn.append(cells.name)
        return draw(cells)

    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        monkeypatch.setattr(Cells, "draw", counting)
        ui.engine.put(server("github", tools=47, calls=1240, last_activity=NOW - 2,
                             last_call="search_issues"))  # fmt: skip
        await ui.shows("47")
        assert set(drawn) == {"github"}


async def test_the_cursor_stays_on_its_server_when_the_order_changes(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a"), server("b"), server("c")]), tmp_path) as ui:
        await ui.press("j")
        assert ui.cursor == "b"
        ui.engine.put(server("c", Health.FAILED, summary="it ended"))
        await ui.until(lambda: ui.names == ["c", "a", "b"])
        assert ui.cursor == "b"
        ui.engine.put(server("b", Health.NEEDS_INPUT))
        await ui.until(lambda: ui.names == ["b", "c", "a"])
        assert ui.cursor == "b"
        assert "▌▲ b" in ui.text


async def test_the_cursor_stays_in_view_when_its_row_moves_or_the_window_shrinks(
    tmp_path: Path,
) -> None:
    names = [f"s{n:02}" for n in range(40)]
    async with driving(FakeEngine([server(name) for name in names]), tmp_path) as ui:
        await ui.press("j", "c")
        await ui.shows("\u258c\u25cc s01")
        ui.engine.put(server("s01", Health.FAILED))
        await ui.shows("\u258c\u2716 s01")
        await ui.press("g", *["j"] * 10)
        assert ui.cursor == "s10"
        await ui.pilot.resize_terminal(80, 12)
        await ui.shows("\u258c\u25cf s10")


async def test_servers_come_and_go(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a"), server("b")]), tmp_path) as ui:
        await ui.press("j")
        ui.engine.remove("b")
        await ui.until(lambda: ui.names == ["a"])
        assert ui.cursor == "a"
        ui.engine.put(server("0"))
        await ui.until(lambda: ui.names == ["0", "a"])
        assert ui.cursor == "a"


async def test_the_cursor_moves_with_letters_arrows_and_pages(tmp_path: Path) -> None:
    names = [f"s{n:02}" for n in range(40)]
    async with driving(FakeEngine([server(name) for name in names]), tmp_path) as ui:
        for key, expected in [
            ("j", "s01"), ("down", "s02"), ("k", "s01"), ("up", "s00"), ("k", "s00"),
            ("G", "s39"), ("j", "s39"), ("g", "s00"), ("end", "s39"), ("home", "s00"),
        ]:  # fmt: skip
            await ui.press(key)
            assert ui.cursor == expected, key
        await ui.press("ctrl+d")
        assert ui.cursor not in (None, "s00")
        await ui.press("G")
        await ui.shows("▌● s39")


async def test_a_click_moves_the_cursor(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a"), server("b")]), tmp_path) as ui:
        await ui.pilot.click(Rows, offset=(5, 1))
        await ui.until(lambda: ui.cursor == "b")


async def test_what_is_under_the_mouse_is_marked_until_it_leaves(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a"), server("b")]), tmp_path) as ui:
        rows = ui.app.query_one(Rows)

        def background(y: int) -> object:
            return rows.render_line(y)._segments[1].style.bgcolor  # type: ignore[union-attr]

        plain, cursor = background(1), background(0)
        await ui.pilot.hover(Rows, offset=(5, 1))
        assert background(1) not in (plain, cursor)
        await ui.pilot.hover(Rows, offset=(5, 5))
        assert background(1) == plain
        await ui.pilot.hover(Rows, offset=(5, 1))
        await ui.pilot.hover(offset=(0, 0))
        assert background(1) == plain


@pytest.mark.parametrize(
    ("state", "label", "action"),
    [
        (Health.CONNECTED, "c Disconnect", Action.DISCONNECT),
        (Health.IDLE, "c Connect", Action.CONNECT),
        (Health.CONNECTING, "c Cancel", Action.CANCEL),
        (Health.FAILED, "c Retry", Action.RETRY),
        (Health.RECONNECTING, "c Retry", Action.RETRY),
        (Health.DISABLED, "c Enable", Action.ENABLE),
    ],
)
async def test_c_does_exactly_what_its_label_says(
    state: Health, label: str, action: Action, tmp_path: Path
) -> None:
    async with driving(FakeEngine([server("a", state)]), tmp_path) as ui:
        assert label in ui.footer
        await ui.press("c")
        assert ui.engine.acts == [("a", action)]


async def test_r_restarts_and_x_disables_and_enables(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        await ui.press("r")
        assert "x Disable" in ui.footer
        await ui.press("x")
        await ui.until(lambda: "x Enable" in ui.footer)
        await ui.press("x")
        assert ui.engine.acts == [
            ("a", Action.RESTART), ("a", Action.DISABLE), ("a", Action.ENABLE)
        ]  # fmt: skip


async def test_a_key_shows_at_once_that_it_was_taken_and_asks_only_once(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    async with driving(engine, tmp_path) as ui:
        engine.gate.clear()
        await ui.press("c", "c")
        assert "Disconnect…" in ui.text
        assert engine.acts == [("a", Action.DISCONNECT)]
        await ui.press("?", "escape")
        engine.gate.set()
        await ui.until(lambda: "idle" in ui.text)
        assert "Disconnect…" not in ui.text


async def test_a_refusal_of_the_engine_is_a_toast_with_its_hint(tmp_path: Path) -> None:
    engine = FakeEngine([server("a", action=Action.ENABLE)])
    async with driving(engine, tmp_path) as ui:
        await ui.press("c")
        assert ui.toasts == ["a is connected.\nLook again."]
        await ui.press("escape")
        assert ui.toasts == []


@pytest.mark.parametrize(
    ("stuck", "words"),
    [
        (
            server("a", Health.NEEDS_INPUT, missing=("USER", "KEY"), summary="2 values missing"),
            "a still waits for USER, KEY.",
        ),
        (
            server("a", Health.FAILED, transport=None, summary="line 3: no such url"),
            "a has a fault in the config; correct it there.",
        ),
        (
            server("a", Health.FAILED, summary="exit 1: npx not found"),
            "a is still failed: exit 1: npx not found.",
        ),
    ],
)
@pytest.mark.parametrize("key", ["r", "c"])
async def test_a_key_that_changed_nothing_says_why_it_is_still_so(
    key: str, stuck: ServerSnapshot, words: str, tmp_path: Path
) -> None:
    if key == "c" and stuck.missing:
        key = "r"  # There `c` opens the form.
    async with driving(FakeEngine([stuck]), tmp_path) as ui:
        await ui.press(key)
        assert ui.toasts == []
        ui.engine.put(stuck.model_copy(update={"since": NOW}))
        await ui.until(lambda: ui.toasts == [words])
        ui.engine.put(stuck.model_copy(update={"since": NOW + 1}))
        await ui.press("escape")
        assert ui.toasts == []


async def test_a_key_that_helped_says_nothing_more(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a", Health.FAILED, summary="exit 1")]), tmp_path) as ui:
        await ui.press("c")
        ui.engine.put(server("a", since=NOW))
        await ui.shows("\u25cf a")
        ui.engine.put(server("a", Health.FAILED, summary="exit 1", since=NOW + 9))
        await ui.shows("\u2716 a")
        assert ui.toasts == []


async def test_toasts_are_few_and_none_is_twice(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        for text in ("one", "two", "two", "three", "four", "three"):
            toast(ui.app, text, "error")
        await ui.pilot.pause()
        assert ui.toasts == ["two", "three", "four"]
        await ui.until(lambda: "one" not in ui.text and "four" in ui.text)


async def test_a_key_that_can_do_nothing_says_why(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a", Health.STOPPING)]), tmp_path) as ui:
        await ui.press("c")
        assert ui.engine.acts == []
        assert ui.toasts == ["a is stopping; wait a moment."]


async def test_the_filter_is_live_can_be_inverted_and_ends_with_esc(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        await ui.press("j", "j", "slash", *"git")
        assert ui.names == ["github"]
        assert ui.cursor == "github"
        await ui.press(*["backspace"] * 3, "!", *"connected")
        assert "github" not in ui.names
        assert "sentry" in ui.names
        await ui.press("escape")
        assert len(ui.names) == 12
        assert ui.app.focused is not None
        await ui.press("j", "r")
        assert len(ui.engine.acts) == 1


async def test_the_footer_says_what_keys_do_while_the_filter_takes_the_others(
    tmp_path: Path,
) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        await ui.press("slash", *"hub")
        await ui.until(lambda: ui.footer.split() == ["enter", "Keep", "esc", "Clear"])
        await ui.click("Keep")
        await ui.until(lambda: "c Disconnect" in ui.footer)
        assert ui.names == ["github"]
        await ui.press("slash")
        await ui.click("esc Clear")
        await ui.until(lambda: len(ui.names) == 12)
        assert "? Help" in ui.footer


async def test_enter_keeps_the_filter_while_keys_act(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        await ui.press("slash", *"hub", "enter", "c")
        assert ui.engine.acts == [("github", Action.DISCONNECT)]
        assert ui.names == ["github"]


async def test_a_filter_that_matches_nothing_says_so(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        await ui.press("slash", *"foo")
        assert 'Nothing matches "foo". esc clears.' in ui.text
        assert ui.cursor is None
        await ui.press("enter", "c")
        assert ui.toasts == ["No server is selected."]
        await ui.press("escape")
        assert "Nothing matches" not in ui.text


async def test_a_port_in_use_is_a_banner_over_rows_that_go_on(tmp_path: Path) -> None:
    proxy = ProxySnapshot(
        pid=1, error="Port 4114 is in use by pid 812 (node).", hint="End that program."
    )
    async with driving(FakeEngine([server("a")], proxy=proxy), tmp_path) as ui:
        assert "Port 4114 is in use by pid 812 (node). End that program." in ui.text
        assert "● a" in ui.text
        ui.engine.update(proxy=ProxySnapshot(pid=1, url=URL))
        await ui.until(lambda: "in use" not in ui.text)


@pytest.mark.behaviour("H14")
async def test_a_network_that_is_gone_is_one_banner_until_it_is_back(tmp_path: Path) -> None:
    engine = FakeEngine([server("github")])
    async with driving(engine, tmp_path) as ui:
        assert "Offline" not in ui.text
        engine.update(offline=4)
        await ui.until(lambda: "Offline: none of 4 servers on other machines" in ui.text)
        engine.update(offline=0)
        await ui.until(lambda: "Offline" not in ui.text)


@pytest.mark.behaviour("P17")
async def test_what_an_earlier_run_left_is_a_banner_with_the_key_that_ends_it(
    tmp_path: Path,
) -> None:
    engine = FakeEngine([server("github")])
    async with driving(engine, tmp_path) as ui:
        await ui.press("K")
        assert "No earlier run left anything behind." in ui.text
        engine.update(leftovers=("node (pid 812)", "npx (pid 811)"))
        await ui.until(lambda: "node (pid 812), npx (pid 811). K ends them." in ui.text)
        await ui.press("K")
        await ui.until(lambda: "Left behind" not in ui.text)


async def test_what_the_guard_refused_last_is_shown(tmp_path: Path) -> None:
    proxy = ProxySnapshot(pid=1, url=URL, knocks=("old", "Cursor came without a token."))
    async with driving(FakeEngine([server("a")], proxy=proxy), tmp_path) as ui:
        assert "Cursor came without a token." in ui.text
        assert "old" not in ui.text


async def test_an_engine_that_ended_is_one_sentence_and_q_leaves_with_1(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        ui.engine.end()
        await ui.shows("The mcpmux engine has ended")
        await ui.press("c")
        assert ui.toasts == ["The engine has ended."]
        await ui.press("q")
        assert ui.app.return_code == 1


async def test_rows_without_an_engine_are_grey_and_counted_no_more(tmp_path: Path) -> None:
    engine = FakeEngine(every_state(), proxy=ProxySnapshot(pid=1, url=URL, clients=3))
    async with driving(engine, tmp_path) as ui:
        assert ":4114/mcp" in ui.lines[0]
        engine.end()
        await ui.shows("The mcpmux engine has ended")
        assert ui.lines[0].strip() == "mcpmux"
        assert "try 3 in" not in ui.text
        assert "●" not in ui.text
        assert "connected" not in ui.text
        for cells in ui.app.query_one(ServerList)._drawn.values():
            assert (cells.glyph, cells.word) == (UNICODE.none, "unknown")
            assert {str(span.style) for span in cells.draw().spans} == {"$muted"}


async def test_a_server_seen_closely_is_of_unknown_state_without_an_engine(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        await ui.press("enter")
        await ui.shows("alone, under")
        assert "● connected" in ui.text
        ui.engine.end()
        await ui.shows(f"a  {UNICODE.none} unknown")
        assert "alone, under" not in ui.text
        assert "up 2m" not in ui.text
        title = ui.app.screen.query_one("#server-title", Static).content
        assert isinstance(title, Content)
        assert {str(span.style) for span in title.spans} == {"$muted"}


async def test_ascii_signs_where_the_terminal_has_no_others(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path, glyphs=ASCII) as ui:
        assert ">#" in ui.text
        assert ui.text.isascii()
        for severity in ("information", "warning", "error"):
            toast(ui.app, f"a toast: {severity}", severity)
        await ui.shows("a toast: error")
        assert ui.text.isascii()
        ui.app.clear_notifications()
        await ui.press("question_mark")
        await ui.shows("half a page")
        assert ui.text.isascii()


async def test_a_server_on_its_way_turns_only_where_animations_are_on(tmp_path: Path) -> None:
    engine = FakeEngine([server("a", Health.CONNECTING)])
    async with driving(engine, tmp_path, animated=True) as ui:
        await ui.shows("◓ a")
    async with driving(engine, tmp_path) as ui:
        assert "◐ a" in ui.text


async def test_tab_reaches_the_pane_and_keys_still_act_on_the_row(tmp_path: Path) -> None:
    async with driving(FakeEngine(every_state()), tmp_path) as ui:
        await ui.press("tab", "j")
        assert ui.cursor == "postgres"
        await ui.press("r")
        assert ui.engine.acts == [("postgres", Action.RESTART)]


async def test_the_footer_is_drawn_again_only_when_it_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[KeyBar] = []
    render = KeyBar.render

    def counting(bar: KeyBar) -> Content:
        drawn.append(bar)
        return render(bar)

    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        monkeypatch.setattr(KeyBar, "render", counting)
        ui.engine.put(server("a", calls=77))
        await ui.shows("77")
        assert not drawn
        ui.engine.put(server("a", Health.FAILED, calls=77))
        await ui.shows("c Retry")
        assert drawn


async def test_keys_in_the_footer_can_be_clicked(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        await ui.click("r Restart")
        await ui.until(lambda: ui.engine.acts == [("a", Action.RESTART)])


async def test_no_servers_yet_is_one_screen_of_next_steps(tmp_path: Path) -> None:
    async with driving(FakeEngine(), tmp_path) as ui:
        await ui.shows("None found")
        for words in ("i  import", "a  add one", "config.toml", "[servers.time]", "mcpmux add time",
                      "mcpmux --demo", URL):  # fmt: skip
            assert words in ui.text
        ui.engine.put(server("a"))
        await ui.shows("● a")
        assert "mcpmux --demo" not in ui.text


@pytest.mark.parametrize("size", [(60, 10), (80, 12)])
async def test_the_next_steps_scroll_in_a_small_window(
    size: tuple[int, int], tmp_path: Path
) -> None:
    async with driving(FakeEngine(), tmp_path, size=size) as ui:
        await ui.shows("None found")
        assert "i  import" in ui.text
        assert "mcpmux add time" in ui.text
        for hint in ("i Import", "? Help", "q Quit"):
            assert hint in ui.footer
        await ui.press("G")
        await ui.shows("copies the entry")
        await ui.press("g", "j", "k")
        await ui.shows("No servers yet")


async def test_grey_hints_leave_the_footer_first_and_help_never(tmp_path: Path) -> None:
    for width in range(4, 100):
        shown = [hint.key for hint in hints(SCREEN, Context(any_server=False), width)]
        assert HELP in shown
        if any(key in shown for key in (CONNECT, RESTART, TOGGLE, FILTER)):
            assert IMPORT in shown
