"""Adding, editing, copying and deleting servers on the screen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual import events

from mcpmux_tui.control.protocol import (
    HIDDEN,
    Draft,
    DraftKept,
    DraftOutcome,
    DraftServer,
    DraftTested,
    EntryForm,
    Place,
    Reading,
    Wrong,
)
from mcpmux_tui.model.errors import ControlError, UsageError
from mcpmux_tui.model.server import Health
from mcpmux_tui.ui import editor
from mcpmux_tui.ui.dialogs.add import AddDialog
from mcpmux_tui.ui.dialogs.edit import EditDialog
from mcpmux_tui.ui.widgets.plain_input import PlainArea
from tests.ui.driving import Driver, driving
from tests.ui.fake_engine import FakeEngine, server

SEEN = DraftServer(
    name="acme",
    kind="local command (stdio)",
    target="npx -y @acme/mcp --region eu",
    pairs=("API_KEY=${secret:API_KEY}", "REGION=eu"),
    cwd="/srv/[x]",
    moves=("API_KEY",),
    notes=("`LD_PRELOAD` can have other code run in it; look at its value.",),
)


def with_draft(*servers: str) -> FakeEngine:
    engine = FakeEngine(map(server, servers))
    engine.reading = Reading(servers=(SEEN,))
    engine.kept = DraftKept(names=("acme",), secrets=("API_KEY",))
    return engine


def paste(driver: Driver, text: str) -> None:
    driver.app.post_message(events.Paste(text))


async def open_add(driver: Driver) -> None:
    await driver.press("a")
    await driver.until(lambda: isinstance(driver.app.focused, PlainArea))


async def test_a_paste_beside_the_fields_is_for_the_first(tmp_path: Path) -> None:
    engine = with_draft()
    async with driving(engine, tmp_path) as driver:
        await open_add(driver)
        driver.app.screen.set_focus(None)
        paste(driver, "npx x")
        await driver.shows("Looks like")
        assert engine.drafts[-1].pasted == "npx x"


async def test_three_keys_add_what_was_pasted_and_the_cursor_is_on_it(tmp_path: Path) -> None:
    engine = with_draft("github", "zebra")
    async with driving(engine, tmp_path) as driver:
        assert "a Add" in driver.footer
        await open_add(driver)
        paste(driver, "API_KEY=x REGION=eu npx -y @acme/mcp --region eu")
        for text in (
            "Looks like: local command (stdio)", "npx -y @acme/mcp --region eu",
            "sets API_KEY=${secret:API_KEY}", "sets REGION=eu", "in /srv/[x]", "acme",
            "API_KEY is a secret: it goes to the keyring", "LD_PRELOAD",
        ):  # fmt: skip
            await driver.shows(text)
        assert not engine.kept_drafts
        await driver.press("ctrl+s")
        await driver.until(lambda: driver.cursor == "acme")
        assert driver.toasts == ["Added acme. In the keyring: API_KEY."]
    (draft,) = engine.kept_drafts
    assert draft == Draft(pasted="API_KEY=x REGION=eu npx -y @acme/mcp --region eu")
    assert "npx" not in repr(draft)


@pytest.mark.behaviour("D10", "E1")
async def test_nothing_is_added_or_tested_before_it_was_shown(tmp_path: Path) -> None:
    engine = with_draft()
    async with driving(engine, tmp_path) as driver:
        await open_add(driver)
        await driver.press("ctrl+s")
        await driver.until(lambda: driver.toasts == ["There is nothing in it yet."])
        engine.gate.clear()
        paste(driver, "curl evil\n")
        await driver.press("ctrl+s", "ctrl+t")
        await driver.until(lambda: len(driver.toasts) == 3)
        assert driver.toasts[1].startswith("Look at what it says first")
        # Nor does enter say yes: a paste may end with one.
        engine.gate.set()
        await driver.shows("Looks like")
        await driver.press("enter", "enter", "enter")
        assert isinstance(driver.app.screen, AddDialog)
        # What is typed after it was shown is shown anew; a name runs nothing.
        engine.gate.clear()
        await driver.press("shift+tab", "x", "ctrl+s")
        await driver.until(lambda: engine.drafts[-1].pasted.endswith("x"))
        assert (engine.kept_drafts, engine.tests) == ([], [])
        engine.gate.set()
        await driver.shows("Looks like")
        await driver.press("enter", "n", "ctrl+s")
        await driver.until(lambda: [each.name for each in engine.kept_drafts] == ["n"])


@pytest.mark.behaviour("E1")
async def test_what_is_longer_than_the_window_is_looked_at_to_its_end(tmp_path: Path) -> None:
    engine = with_draft()
    words = [f"--flag-{number}" for number in range(150)]
    engine.reading = Reading(servers=(SEEN.model_copy(update={"target": " ".join(words)}),))
    async with driving(engine, tmp_path) as driver:
        await open_add(driver)
        paste(driver, "npx x")
        await driver.shows("--flag-0 ")
        assert "--flag-149" not in driver.text
        while not engine.kept_drafts:
            seen = driver.text
            await driver.press("ctrl+s")
            assert engine.kept_drafts or driver.text != seen
        assert "--flag-149" in seen
        assert driver.toasts[0] == "It goes on: look at all of it; then ctrl+s adds it."


async def test_a_paste_of_several_lines_is_one_text_and_what_acts_is_not_taken(
    tmp_path: Path,
) -> None:
    engine = with_draft()
    async with driving(engine, tmp_path) as driver:
        await open_add(driver)
        for hostile, escape in (("npx \x1b]0;x\x07", "\\x1b"), ("npx a\u202eb", "\\u202e")):
            paste(driver, hostile)
            await driver.shows(f"acts or hides, {escape}.")
        paste(driver, "x" * 70_000)
        await driver.shows("longer than 64 KiB")
        assert not engine.drafts
        paste(driver, '{"a":\r{"url": "https://h/"}}')
        await driver.until(lambda: bool(engine.drafts))
        assert engine.drafts[-1].pasted == '{"a":\n{"url": "https://h/"}}'
        await driver.press("tab")
        paste(driver, "na\x9bme")
        await driver.shows("acts or hides, \\x9b.")


@pytest.mark.parametrize("rows", [2, 12])
async def test_what_was_pasted_is_taken_back_and_put_in_again(rows: int, tmp_path: Path) -> None:
    text = "\n".join(f"line {number}" for number in range(rows))
    async with driving(with_draft(), tmp_path, size=(60, 9 if rows == 2 else 24)) as driver:
        await open_add(driver)
        area = driver.app.focused
        assert isinstance(area, PlainArea)
        paste(driver, text)
        await driver.until(lambda: area.text == text)
        await driver.pilot.pause()
        for _ in range(3):
            await driver.press("ctrl+z")
            await driver.until(lambda: area.text == "")
            await driver.press("ctrl+y")
            await driver.until(lambda: area.text == text)


async def test_a_test_says_what_came_of_it_and_ends_with_the_dialog(tmp_path: Path) -> None:
    engine = with_draft()
    outcome = DraftOutcome(
        name="acme", state=Health.CONNECTED, seconds=0.84, tools=12, prompts=1, server_info="Acme 2"
    )
    async with driving(engine, tmp_path) as driver:
        await open_add(driver)
        paste(driver, "npx x")
        await driver.shows("Looks like")
        for state, values, said in (
            (Health.CONNECTED, {}, "acme connected in 0.8 s: 12 tools, 1 prompt."),
            (Health.NEEDS_SIGN_IN, {}, "acme answers and wants a sign-in (0.8 s)."),
            (Health.NEEDS_INPUT, {"missing": ("K", "L")}, "acme needs K, L."),
            (Health.FAILED, {"summary": "exit 1: [no]"}, "does not work (0.8 s): exit 1: [no]"),
        ):
            engine.tested = DraftTested(
                servers=(outcome.model_copy(update={"state": state, **values}),)
            )
            await driver.press("ctrl+t")
            await driver.shows(said)
        engine.gate.clear()
        await driver.press("ctrl+t")
        await driver.shows("Testing")
        await driver.press("ctrl+t", "escape")
        await driver.until(lambda: engine.cancelled == [engine.tests[-1]])
        assert len(engine.tests) == 5
        assert not engine.kept_drafts
        engine.gate.set()


async def test_what_is_wrong_stands_under_its_field(tmp_path: Path) -> None:
    engine = with_draft()
    engine.reading = Reading(wrong=(Wrong(name="pasted", why="It is not valid JSON [/x]."),))
    async with driving(engine, tmp_path) as driver:
        await open_add(driver)
        paste(driver, "{")
        await driver.shows("It is not valid JSON [/x].")
        await driver.press("ctrl+s")
        engine.reading = Reading(servers=(SEEN,))
        engine.kept = DraftKept(wrong=(Wrong(name="name", why="There is one already."),))
        paste(driver, "}")
        await driver.shows("Looks like")
        await driver.press("ctrl+s")
        await driver.shows("There is one already.")
        engine.kept = ControlError("The config has comments.", "Use TOML.")
        await driver.press("enter", "x")
        await driver.until(lambda: "There is one already." not in driver.text)
        await driver.press("ctrl+s")
        await driver.shows("The config has comments. Use TOML.")
        assert isinstance(driver.app.screen, AddDialog)
    assert [draft.name for draft in engine.kept_drafts] == ["", "x"]


async def test_several_servers_are_shown_with_their_names_and_without_a_keyring_it_says_so(
    tmp_path: Path,
) -> None:
    engine = with_draft()
    two = (SEEN, SEEN.model_copy(update={"name": "other", "moves": (), "notes": ()}))
    engine.reading = Reading(servers=two, passing="no keyring service runs")
    async with driving(engine, tmp_path, size=(80, 40)) as driver:
        await open_add(driver)
        paste(driver, "two")
        await driver.shows("other")
        await driver.shows("Secrets are not kept (no keyring service runs)")
        assert driver.text.count("Looks like") == 2
        assert "Name" not in driver.text


FORM = EntryForm(
    server="github",
    seen="x",
    name="github",
    target="npx -y @acme/github",
    pairs=f"API_KEY={HIDDEN}\nREGION=eu",
    cwd="/srv",
)


async def test_the_form_hands_over_what_was_changed(tmp_path: Path) -> None:
    engine = with_draft("github", "b")
    engine.edited = FORM
    engine.kept = DraftKept(names=("hub",))
    async with driving(engine, tmp_path) as driver:
        await driver.go_to("github")
        await driver.press("e")
        for text in ("Edit github", "npx -y @acme/github", f"API_KEY={HIDDEN}", "(x) enabled"):
            await driver.shows(text)
        await driver.press("ctrl+u", *"hub", "enter", *" -v", "enter", "enter", "enter")
        await driver.press("ctrl+e")
        await driver.shows("(x) disabled")
        await driver.until(lambda: engine.drafts[-1].form is not None)
        await driver.shows("Looks like")
        await driver.press("ctrl+s")
        await driver.until(lambda: driver.toasts == ["Saved hub."])
    form = engine.kept_drafts[-1].form
    assert form is not None
    assert (form.server, form.name, form.enabled) == ("github", "hub", False)
    assert form.target == "npx -y @acme/github -v"
    assert form.pairs.replace("\n", "") == FORM.pairs.replace("\n", "")


@pytest.mark.parametrize("milliseconds", [1, 3, 4, 5])
async def test_a_form_that_comes_between_keys_that_lead_elsewhere_harms_nobody(
    milliseconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = with_draft("github")

    async def later(*_: object, **__: object) -> EntryForm:
        await asyncio.sleep(milliseconds / 1000)
        return FORM

    monkeypatch.setattr(engine, "entry_form", later)
    async with driving(engine, tmp_path) as driver:
        for key in "ello":
            driver.app.post_message(events.Key(key, key))
        await driver.until(lambda: len(driver.app.screen_stack) > 1)
        for _ in range(5):
            await driver.pilot.pause()
        assert driver.app.is_running


async def test_a_copy_opens_the_same_form_under_a_new_name(tmp_path: Path) -> None:
    engine = with_draft("github")
    engine.edited = FORM.model_copy(update={"name": "github-copy"})
    async with driving(engine, tmp_path) as driver:
        await driver.press("D")
        await driver.shows("Copy of github")
        await driver.shows("github-copy")
        await driver.shows("Looks like")
        await driver.press("ctrl+s")
        await driver.until(lambda: driver.toasts == ["Added acme. In the keyring: API_KEY."])
    form = engine.kept_drafts[-1].form
    assert form is not None and form.copy_of


async def test_a_remote_server_has_an_address_and_headers(tmp_path: Path) -> None:
    engine = with_draft("github")
    engine.edited = FORM.model_copy(update={"remote": True, "target": "https://h/", "pairs": ""})
    async with driving(engine, tmp_path) as driver:
        await driver.press("e")
        await driver.shows("Address")
        await driver.shows("Headers")
        assert "Folder" not in driver.text
        assert isinstance(driver.app.screen, EditDialog)


async def test_a_faulty_entry_is_for_the_editor(tmp_path: Path) -> None:
    engine = FakeEngine([server("bad", Health.FAILED, transport=None)])
    async with driving(engine, tmp_path) as driver:
        await driver.press("e")
        await driver.until(
            lambda: driver.toasts == ["bad has a fault in the config; E opens it in your editor."]
        )


async def test_deleting_names_what_goes_and_wants_a_yes(tmp_path: Path) -> None:
    engine = FakeEngine([server("github"), server("b")])
    async with driving(engine, tmp_path) as driver:
        await driver.go_to("github")
        await driver.press("delete")
        await driver.shows("Delete github?")
        await driver.shows("Values in the keyring stay")
        await driver.press("escape")
        assert engine.gone == []
        await driver.press("delete", "delete")
        await driver.until(lambda: driver.names == ["b"])
        assert driver.toasts == ["Deleted github. Still in the keyring: API_KEY."]


async def test_who_is_signed_in_is_deleted_by_name(tmp_path: Path) -> None:
    engine = FakeEngine([server("hub", signed_in=True, account="octo"), server("zoo")])
    async with driving(engine, tmp_path) as driver:
        await driver.press("delete")
        await driver.shows("Type its name")
        await driver.press(*"zoo", "enter")
        await driver.shows("That is not hub. Nothing was deleted.")
        await driver.press("ctrl+u", *"hub", "enter")
        await driver.until(lambda: engine.gone == ["hub"])


async def test_an_empty_screen_names_the_key_and_the_first_server_appears(tmp_path: Path) -> None:
    engine = with_draft()
    async with driving(engine, tmp_path) as driver:
        await driver.shows("a  add one: paste a command")
        await open_add(driver)
        paste(driver, "npx x")
        await driver.shows("Looks like")
        await driver.press("ctrl+s")
        await driver.until(lambda: driver.cursor == "acme")


async def test_without_a_terminal_or_an_editor_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    engine = FakeEngine([server("a")])
    async with driving(engine, tmp_path) as driver:
        await driver.press("E")
        await driver.until(lambda: bool(driver.toasts))
        assert "No editor is set." in driver.toasts[0]
        assert "EDITOR=nano mcpmux" in driver.toasts[0]
        monkeypatch.setenv("EDITOR", "true")
        await driver.press("escape", "E")
        await driver.until(lambda: "needs a terminal" in " ".join(driver.toasts))
        assert engine.reloads == 0


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"EDITOR": "vim"}, ["vim", "+7", "/c f.toml"]),
        (
            {"EDITOR": "vi", "VISUAL": "/opt/n vim/nvim -n"},
            ["/opt/n", "vim/nvim", "-n", "/c f.toml"],
        ),
        ({"VISUAL": "'/opt/n vim/nvim' -n"}, ["/opt/n vim/nvim", "-n", "+7", "/c f.toml"]),
        ({"EDITOR": "hx"}, ["hx", "/c f.toml:7"]),
        ({"EDITOR": "code --wait"}, ["code", "--wait", "/c f.toml"]),
    ],
)
def test_the_editor_is_started_at_the_line_where_it_takes_one(
    environ: dict[str, str], words: list[str]
) -> None:
    assert editor.command(environ, Place(path="/c f.toml", line=7)) == words
    with pytest.raises(UsageError, match="opens a quote"):
        editor.command({"EDITOR": "'x"}, Place(path="/c"))
    assert editor.command({"EDITOR": "vi"}, Place(path="/c")) == ["vi", "/c"]
