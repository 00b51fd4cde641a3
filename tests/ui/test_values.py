"""The form for the values a server needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from mcpmux_tui.control.protocol import (
    SecretLine,
    SecretList,
    ValueField,
    ValueFields,
    ValuesGiven,
    Wrong,
)
from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.server import Health
from mcpmux_tui.ui.dialogs.secrets import SecretNames, SecretsDialog
from mcpmux_tui.ui.dialogs.values import ValuesDialog, assignments
from tests.ui.driving import Driver, driving
from tests.ui.fake_engine import NOW, FakeEngine, server

KEEPS = "keyring (Secret Service)"


def waits(*fields: ValueField, keeps: str = KEEPS) -> FakeEngine:
    engine = FakeEngine([server("pg", Health.NEEDS_INPUT, missing=("DATABASE_URL", "MODE"))])
    engine.fields = ValueFields(
        fields=fields
        or (
            ValueField(
                name="DATABASE_URL",
                where=("env.DATABASE_URL",),
                description="Connection string",
                obtain="https://pg.example/keys",
                in_environment=True,
            ),
            ValueField(
                name="MODE", where=("args",), secret=False, type="choice", choices=("a", "b")
            ),
        ),
        keeps=keeps,
        passing="" if keeps else "this session only: no keyring service runs",
    )
    return engine


async def typed(driver: Driver, text: str) -> None:
    await driver.press(*text)


async def test_what_is_typed_right_behind_tab_goes_to_the_next_field(tmp_path: Path) -> None:
    engine = waits()
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("pg needs 2 values")
        # In one go, as a slow line hands it over.
        for key in ("x", "y", "tab", "a"):
            driver.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await driver.pilot.pause()
        await driver.press("ctrl+s")
        await driver.until(lambda: bool(engine.given))
    assert engine.given[0].typed == {"DATABASE_URL": "xy", "MODE": "a"}


async def test_c_asks_for_all_that_is_missing_and_saving_hands_it_over(tmp_path: Path) -> None:
    engine = waits()
    async with driving(engine, tmp_path) as driver:
        await driver.shows("c Enter values")
        await driver.press("c")
        await driver.shows("pg needs 2 values")
        for text in (
            "DATABASE_URL *", "Connection string", "Get it: https://pg.example/keys",
            "Goes to env.DATABASE_URL.", "one of a, b", f"(x) {KEEPS}  ( ) this session only",
        ):  # fmt: skip
            assert text in driver.text
        await typed(driver, "s3cret")
        assert "s3cret" not in driver.text
        assert "••••••" in driver.text
        await driver.press("f2")
        await driver.shows("s3cret")
        await driver.press("f2", "tab")
        await typed(driver, "a")
        await driver.press("ctrl+s")
        await driver.until(lambda: bool(driver.toasts))
        assert driver.toasts == ["DATABASE_URL, MODE kept."]
        assert not isinstance(driver.app.screen, ValuesDialog)
    (given,) = engine.given
    assert given.typed == {"DATABASE_URL": "s3cret", "MODE": "a"}
    assert not given.session
    assert "s3cret" not in repr(given)


async def test_what_is_wrong_stands_under_its_field_and_nothing_is_lost(tmp_path: Path) -> None:
    engine = waits()
    engine.taken = ValuesGiven(wrong=(Wrong(name="MODE", why="It must be one of a, b."),))
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("pg needs 2 values")
        await typed(driver, "x")
        await driver.press("enter")
        await typed(driver, "zz")
        await driver.press("enter")
        await driver.shows("It must be one of a, b.")
        engine.taken = ControlError("It is not kept: The keyring is locked.", "Unlock it.")
        await driver.press("ctrl+s")
        await driver.shows("It is not kept: The keyring is locked. Unlock it.")
        engine.taken = ValuesGiven()
        await driver.press("ctrl+s")
        await driver.until(lambda: len(engine.given) == 3)
    assert engine.given[-1].typed == {"DATABASE_URL": "x", "MODE": "zz"}


async def test_one_of_several_may_be_given_and_for_this_session(tmp_path: Path) -> None:
    engine = waits()
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("pg needs 2 values")
        await driver.press("ctrl+s")
        await driver.until(lambda: driver.toasts == ["Nothing was typed."])
        await driver.press("ctrl+k")
        await driver.shows(f"( ) {KEEPS}  (x) this session only")
        await driver.press("ctrl+e", "ctrl+s")
        await driver.until(lambda: bool(engine.given))
        assert driver.toasts[-1] == "DATABASE_URL kept until mcpmux ends."
    assert engine.given[0].from_environment == ("DATABASE_URL",)
    assert engine.given[0].typed == {}
    assert engine.given[0].session


async def test_without_a_keyring_the_form_says_what_becomes_of_values(tmp_path: Path) -> None:
    engine = waits(keeps="")
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("They last until mcpmux ends, then you are asked again (this session")
        await driver.press("ctrl+k", "x", "ctrl+s")
        await driver.until(lambda: bool(engine.given))
    assert engine.given[0].session


async def test_pasted_assignments_fill_all_fields(tmp_path: Path) -> None:
    engine = waits()
    async with driving(engine, tmp_path) as driver:
        await driver.press("c")
        await driver.shows("pg needs 2 values")
        pasted = "# of the team\nexport DATABASE_URL='postgres://x'\nMODE=b\nOTHER=1\n"
        driver.app.post_message(events.Paste(pasted))
        await driver.until(lambda: driver.toasts == ["Filled DATABASE_URL, MODE."])
        await driver.press("ctrl+s")
        await driver.until(lambda: bool(engine.given))
    assert engine.given[0].typed == {"DATABASE_URL": "postgres://x", "MODE": "b"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
        ('export A="x=y"', {"A": "x=y"}),
        ("postgres://a?b=c", {}),
        ("just a token", {}),
        ("A=1\nno assignment", {}),
        ("", {}),
    ],
)
def test_assignments(text: str, found: dict[str, str]) -> None:
    assert assignments(text) == found


async def test_a_hidden_value_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with driving(waits(), tmp_path) as driver:
        copied: list[str] = []
        monkeypatch.setattr(driver.app, "copy_to_clipboard", copied.append)
        await driver.press("c")
        await driver.shows("pg needs 2 values")
        await typed(driver, "s3cret")
        await driver.press("shift+home", "ctrl+c", "ctrl+x")
        await driver.until(lambda: bool(driver.toasts))
        assert "What is hidden is not copied" in driver.toasts[-1]
        assert copied == []


async def test_n_shows_where_each_value_comes_from_and_has_the_kept_one_count(
    tmp_path: Path,
) -> None:
    engine = waits(
        ValueField(name="TOKEN", where=("env.T",), origin="environment", stored=True),
        ValueField(name="REGION", where=("env.R",), secret=False, origin="default", default="eu"),
        ValueField(name="PASS", where=("env.P",), origin="stored", stored=True),
    )
    engine.put(server("pg"))
    async with driving(engine, tmp_path) as driver:
        await driver.press("n")
        await driver.shows("Values of pg")
        for text in ("outranks the kept value", "Default: eu", "kept; type another"):
            assert text in driver.text
        assert "*" not in driver.text.split("Keep in")[0]
        await driver.press("ctrl+r")
        await driver.until(lambda: engine.referred == [("pg", "TOKEN")])
        engine.fields = ValueFields()
        await driver.press("n")
        await driver.shows("This server needs no values")


async def test_the_secrets_are_listed_with_their_users_and_removed_after_a_yes(
    tmp_path: Path,
) -> None:
    engine = waits()
    engine.secret_list = SecretList(
        secrets=(
            SecretLine(name="GONE", kept=False, users=("pg",), waiting=("pg",)),
            SecretLine(name="KEY", since=NOW, users=("a", "b")),
        )
    )
    async with driving(engine, tmp_path) as driver:
        await driver.press("S")
        await driver.shows("waiting: pg")
        assert "used by a, b" in driver.text
        assert "kept since" in driver.text
        await driver.press("delete")
        assert isinstance(driver.app.screen, SecretsDialog)
        await driver.press("down", "delete")
        await driver.shows("It is used by a, b.")
        await driver.press("delete")
        await driver.until(lambda: "used by a, b" not in driver.text)
        assert engine.removed == ["KEY"]
        await driver.press("enter")
        await driver.shows("pg needs 2 values")


async def test_the_list_of_secrets_stays_where_it_was_when_a_form_over_it_closes(
    tmp_path: Path,
) -> None:
    engine = waits()
    engine.secret_list = SecretList(
        secrets=(
            SecretLine(name="FIRST", kept=False, users=("pg",), waiting=("pg",)),
            SecretLine(name="SECOND", kept=False, users=("pg",), waiting=("pg",)),
        )
    )
    async with driving(engine, tmp_path) as driver:
        await driver.press("S")
        await driver.shows("SECOND")
        await driver.press("down", "enter")
        await driver.shows("pg needs 2 values")
        engine.secret_list = SecretList(
            secrets=(SecretLine(name="NEW", since=NOW), *engine.secret_list.secrets)
        )
        await driver.press("escape")
        await driver.shows("NEW")
        names = driver.app.screen.query_one(SecretNames)
        assert names.highlighted == 2


async def test_m_moves_plain_secrets_to_the_keyring_and_u_undoes_it(tmp_path: Path) -> None:
    engine = FakeEngine(
        [
            server("a", warnings=("`env.API_KEY` is a secret in plain text; m moves it.",)),
            server("b"),
        ]
    )
    async with driving(engine, tmp_path) as driver:
        await driver.press("m")
        await driver.shows("`env.API_KEY` is a secret in plain text.")
        await driver.press("enter")
        await driver.shows("The config says ${secret:API_KEY} now.")
        await driver.press("u")
        await driver.shows("as it was before")
        await driver.press("escape")
        await driver.go_to("b")
        await driver.press("m")
        await driver.until(lambda: driver.toasts == ["b has no secrets in plain text."])
    assert engine.secured == ["a", "undone"]
