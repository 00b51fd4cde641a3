"""Import, copy, help and quit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest

from mcpmux_tui.control.protocol import ClientEntry, Found
from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.server import Health, ProxySnapshot
from mcpmux_tui.ui.dialogs import entry
from tests.ui.driving import Driver, driving
from tests.ui.fake_engine import TOKEN, URL, FakeEngine, candidate, every_state, server

_LONG = "npx -y @acme/postgres --dsn " + "postgres://db.example/" + "x" * 300 + " --last-word"


def importing() -> FakeEngine:
    engine = FakeEngine()
    engine.found = Found(
        candidates=(
            candidate("github"),
            candidate("postgres", target=_LONG, env=("DSN", "REGION"), cwd="/srv/db"),
            candidate("notes", source="VS Code"),
            candidate("twice", skip="already here"),
        ),
        problems=("~/.cursor/mcp.json: line 3 is not JSON.",),
    )
    return engine


def joined(ui: Driver) -> str:
    """The dialog's text without its frame and its wrapping."""
    inside = re.findall(r"│(.*?)│", ui.text)
    return "".join(line.strip() for line in inside)


@pytest.fixture(autouse=True)
def _no_clipboard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX"):
        monkeypatch.delenv(name, raising=False)


async def test_five_keys_from_the_start_to_a_copied_entry(tmp_path: Path) -> None:
    async with driving(importing(), tmp_path) as ui:
        await ui.press("i")
        await ui.shows("[x] github")
        await ui.press("enter")
        await ui.shows("Add 3 servers?")
        await ui.press("enter")
        await ui.shows("◐ github")
        assert ui.toasts == ["Added github, postgres, notes."]
        await ui.press("y")
        await ui.shows("1  Cursor")
        await ui.press("enter")
        await ui.shows("Cursor: copied")
        assert TOKEN in ui.app.clipboard
        assert URL in ui.app.clipboard


async def test_the_first_screen_says_what_an_import_would_bring(tmp_path: Path) -> None:
    async with driving(importing(), tmp_path) as ui:
        await ui.shows("Found: 2 servers in Cursor, 1 server in VS Code; 1 is skipped")
        await ui.press("i")
        await ui.shows("Found 3 servers to add; 1 is skipped.")


async def test_an_import_into_the_demo_says_that_nothing_of_yours_changes(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.found = Found(candidates=(candidate("github"),))
    engine.snapshot = engine.snapshot.model_copy(update={"demo": True})
    async with driving(engine, tmp_path) as ui:
        await ui.press("i")
        await ui.shows("[x] github")
        await ui.press("enter", "enter")
        await ui.until(lambda: bool(ui.toasts))
        assert ui.toasts == ["Added github to this demo; your own config stays as it is."]


async def test_every_candidate_is_shown_whole(tmp_path: Path) -> None:
    async with driving(importing(), tmp_path, size=(80, 40)) as ui:
        await ui.press("i")
        await ui.shows("[x] github")
        text = joined(ui)
        assert _LONG.replace(" ", "") in text.replace(" ", "")
        for words in ("sets DSN, REGION", "in /srv/db", "from Cursor, ~/.cursor/mcp.json",
                      "Not added: already here", "line 3 is not JSON."):  # fmt: skip
            assert words in text


async def test_what_a_server_would_ask_for_is_shown_whole(tmp_path: Path) -> None:
    engine = FakeEngine()
    asked = "token (password) [b]Your token[/b]"
    engine.found = Found(
        candidates=(candidate("a", inputs=(asked,)), candidate("b", inputs=("x" * 10_000,)))
    )
    async with driving(engine, tmp_path, size=(80, 40)) as ui:
        await ui.press("i")
        await ui.shows(f"asks for {asked}")
        await ui.shows("Found 1 server to add; 1 is skipped.")


async def test_what_an_import_says_of_a_server_is_shown_before_the_yes(tmp_path: Path) -> None:
    engine = FakeEngine()
    note = "Its TOKEN stands there in plain text."
    engine.found = Found(candidates=(candidate("a", notes=(note,)),))
    async with driving(engine, tmp_path, size=(80, 40)) as ui:
        await ui.press("i")
        await ui.shows(note)


async def test_nothing_is_added_without_a_yes(tmp_path: Path) -> None:
    async with driving(importing(), tmp_path) as ui:
        await ui.press("i")
        await ui.shows("[x] github")
        await ui.press("enter")
        await ui.shows("Add 3 servers?")
        assert "enter Yes  esc No" in ui.text
        assert "space Pick" not in ui.text
        await ui.press("escape")
        await ui.until(lambda: "Add 3 servers?" not in ui.text)
        assert "space Pick" in ui.text
        await ui.press("escape")
        await ui.shows("No servers yet")
        assert ui.engine.added == []


async def test_space_and_a_pick(tmp_path: Path) -> None:
    async with driving(importing(), tmp_path, size=(80, 40)) as ui:
        await ui.press("i")
        await ui.shows("[x] github")
        await ui.press("space")
        await ui.shows("[ ] github")
        await ui.press("a", "a")
        await ui.shows("[ ] postgres")
        await ui.press("enter")
        assert "Add 0 servers" not in ui.text
        assert ui.toasts == ["No server is picked; space picks one, a picks all."]
        await ui.press("j", "j", "space", "j", "space", "enter")
        await ui.shows("Add 1 server?")
        await ui.press("enter")
        await ui.shows("◐ notes")
        assert ui.engine.added == [("VS Code:notes",)]


async def test_what_is_too_long_to_show_cannot_be_picked(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.found = Found(candidates=(candidate("big", target="x" * 10_000),))
    async with driving(engine, tmp_path, size=(120, 40)) as ui:
        await ui.press("i")
        await ui.shows("Found 0 servers to add; 1 is skipped.")
        assert "space Pick" not in ui.text
        await ui.press("space", "enter", "enter", "a", "enter", "enter")
        assert engine.added == []
        assert ui.toasts == ["None of these servers can be added."]


async def test_an_import_that_finds_nothing_says_so(tmp_path: Path) -> None:
    async with driving(FakeEngine(), tmp_path) as ui:
        await ui.press("i")
        await ui.shows("No servers found in the configs of other clients")
        await ui.press("enter", "escape")
        await ui.shows("No servers yet")


async def test_a_candidate_is_drawn_exactly_and_never_wraps_under_the_marks(
    tmp_path: Path,
) -> None:
    engine = FakeEngine()
    target = "sh -c true" + " " * 90 + "[x] harmless  -- " + r"\n\x1b\u202e" + "z" * 200
    engine.found = Found(candidates=(candidate("n" * 90, target=target, cwd=r"/a\x1b" + " " * 12),))
    async with driving(engine, tmp_path) as ui:
        await ui.press("i")
        await ui.shows("[x] nnn")
        for width in (80, 64):
            await ui.pilot.resize_terminal(width, 24)
            await ui.pilot.pause()
            inside = [line.split("\u2502")[1][1:] for line in ui.lines if "\u2502" in line]
            start = next(n for n, line in enumerate(inside) if "[x] nnn" in line)
            room = max(len(line.rstrip()) for line in inside[start:]) - 4
            rows = [line[4 : 4 + room].ljust(room) for line in inside[start:]]
            assert all(not line[:4].strip() for line in inside[start + 1 :])
            assert target in "".join(rows)
            assert r"in /a\x1b" in "".join(rows)


async def test_copying_hides_the_token_and_s_shows_it_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "REVEAL", 0.3)
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        await ui.press("y")
        await ui.shows("2  Claude Code")
        await ui.press("2")
        await ui.shows("Claude Code: copied (if your terminal allows).")
        assert "It goes to ~/.claude/mcp.json" in ui.text
        assert "Bearer ••••" in ui.text
        assert TOKEN not in ui.text
        await ui.press("s")
        await ui.shows(TOKEN)
        await ui.until(lambda: TOKEN not in ui.text)
        await ui.press("escape")
        await ui.shows("● a")


async def test_the_token_is_not_in_a_screenshot(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        await ui.press("y", "enter")
        await ui.shows("Cursor: copied")
        assert TOKEN not in ui.app.export_screenshot()


class Refusing(FakeEngine):
    """Refuses the entry once."""

    async def client_entry(self, client: str) -> ClientEntry:
        if self.refusals:
            raise self.refusals.pop()
        return await super().client_entry(client)

    refusals: ClassVar[list[ControlError]] = []


async def test_another_pick_works_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "refusals", [ControlError("Port 4114 is in use.")])
    async with driving(Refusing([server("a")]), tmp_path) as ui:
        await ui.press("y", "enter")
        await ui.shows("Port 4114 is in use.")
        await ui.press("2")
        await ui.shows("Claude Code: copied")


class Open(FakeEngine):
    """Serves without a token."""

    async def client_entry(self, client: str) -> ClientEntry:
        return ClientEntry(client=client, title="Cursor", where="~/x", text=f'"url": "{URL}"')


async def test_no_token_is_offered_where_there_is_none(tmp_path: Path) -> None:
    async with driving(Open([server("a")]), tmp_path) as ui:
        await ui.press("y", "enter")
        await ui.shows("Cursor: copied")
        assert "the token" not in ui.text
        await ui.press("s")
        assert "the token" not in ui.text
        assert URL in ui.text


async def test_enter_before_the_choices_are_there_copies_the_first(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    async with driving(engine, tmp_path) as ui:
        engine.gate.clear()
        await ui.press("y", "enter")
        engine.gate.set()
        await ui.shows("Cursor: copied")


async def test_a_slow_engine_holds_up_no_key(tmp_path: Path) -> None:
    engine = FakeEngine([server("a")])
    async with driving(engine, tmp_path) as ui:
        engine.gate.clear()
        for key in ("y", "i"):
            await ui.press(key)
            await ui.shows("esc Back")
            await ui.press("escape")
            await ui.until(lambda: "esc Back" not in ui.text)
        engine.gate.set()


async def test_help_begins_with_move_filter_help_quit_and_says_why_a_key_is_grey(
    tmp_path: Path,
) -> None:
    async with driving(FakeEngine([server("a", Health.DISABLED)]), tmp_path) as ui:
        await ui.press("question_mark")
        await ui.shows("Move")
        text = ui.text
        order = [text.index(word) for word in ("Move", "Filter", "these keys", "Quit", "Restart")]
        assert order == sorted(order)
        assert "a is disabled; c enables it." in text
        await ui.press("q")
        await ui.until(lambda: "Move" not in ui.text)
        assert ui.app.is_running


@pytest.mark.parametrize(
    ("owner", "words"),
    [(True, "stop all servers and leave"), (False, "leave; the servers run on")],
)
async def test_help_says_what_quit_does_to_the_servers(
    owner: bool, words: str, tmp_path: Path
) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path, owner=owner) as ui:
        await ui.press("question_mark")
        await ui.shows(words)


async def test_help_scrolls_with_the_keys_it_names(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path, size=(80, 24)) as ui:
        await ui.press("question_mark")
        await ui.shows("next, previous")
        await ui.press("G")
        await ui.shows("tab goes to the other pane")
        await ui.press("g")
        await ui.shows("next, previous")


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_dialogs_fit_the_window(size: tuple[int, int], tmp_path: Path) -> None:
    engine = importing()
    engine.put(*every_state())
    async with driving(engine, tmp_path, size=size) as ui:
        for keys in (("question_mark",), ("i",), ("y",)):
            await ui.press(*keys)
            await ui.shows("╭")
            assert "╰" in ui.text
            assert "esc Back" in ui.text
            await ui.press("escape")
            await ui.until(lambda: "╭" not in ui.text)


async def test_the_owner_is_asked_before_clients_lose_their_servers(tmp_path: Path) -> None:
    proxy = ProxySnapshot(url=URL, pid=1, clients=3)
    async with driving(FakeEngine([server("a")], proxy=proxy), tmp_path) as ui:
        await ui.press("q")
        await ui.shows("3 clients are connected.")
        await ui.press("escape")
        await ui.until(lambda: "3 clients are" not in ui.text)
        assert ui.app.is_running
        await ui.press("q")
        await ui.shows("3 clients are connected.")
        await ui.press("q")
        assert ui.app.return_code == 0


async def test_ctrl_q_quits_from_a_dialog(tmp_path: Path) -> None:
    async with driving(FakeEngine([server("a")]), tmp_path) as ui:
        await ui.press("question_mark", "ctrl+q")
        assert ui.app.return_code == 0


@pytest.mark.parametrize("owner", [True, False])
async def test_who_disturbs_nobody_just_leaves(owner: bool, tmp_path: Path) -> None:
    clients = 0 if owner else 3
    proxy = ProxySnapshot(url=URL, pid=1, clients=clients)
    async with driving(FakeEngine([server("a")], proxy=proxy), tmp_path, owner=owner) as ui:
        await ui.press("q")
        assert ui.app.return_code == 0


@pytest.mark.parametrize("demo", [False, True])
async def test_the_proxy_can_be_left_to_go_on_but_not_the_demos(demo: bool, tmp_path: Path) -> None:
    proxy = ProxySnapshot(url=URL, pid=1, clients=1)
    engine = FakeEngine([server("a")], proxy=proxy)
    engine.update(demo=demo)
    async with driving(engine, tmp_path) as ui:
        await ui.press("q")
        await ui.shows("1 client is connected.")
        assert ("Keep the proxy running" in ui.text) is not demo
        await ui.press("d")
        if demo:
            assert not engine.detached
            return
        await ui.until(lambda: ui.app.return_code == 0)
        assert engine.detached
        assert ui.app.detached
