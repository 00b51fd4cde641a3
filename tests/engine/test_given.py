"""Values that people give to servers of a running engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from mcpmux_tui.config import edit
from mcpmux_tui.control.protocol import GiveValues
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.person import Person
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import ControlError, UsageError
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.vault import backend
from tests.engine.test_hub import entry, running, until
from tests.engine.test_sign_ins import comes, row
from tests.fixtures.fake_keyring import FakeKeyring

SESSION = "[vault]\nbackend = 'session'"


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> FakeKeyring:
    fake = FakeKeyring()
    monkeypatch.setattr(backend, "choose", lambda service: backend.Keyring(fake, service))
    return fake


def needs(name: str, **env: str) -> str:
    pairs = ", ".join(f"{key} = {value!r}" for key, value in env.items())
    return f"{entry(name)}env = {{ {pairs} }}\n"


def holding(folder: Path, text: str) -> list[Path]:
    """The files that hold a text."""
    return [
        path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()
    ]


async def acted() -> None:
    """Give every supervisor its turns to act on what it was told."""
    for _ in range(100):
        await asyncio.sleep(0)


async def environment_of(hub: Hub, name: str) -> dict[str, str]:
    """The environment that a server's process got."""
    pid = row(hub, name).pid
    assert pid is not None
    return psutil.Process(pid).environ()


async def give(hub: Hub, server: str, session: bool = False, **typed: str) -> tuple[str, ...]:
    given = await Person(hub).given.give(GiveValues(server=server, typed=typed, session=session))
    return tuple(f"{wrong.name}: {wrong.why}" for wrong in given.wrong)


@pytest.mark.behaviour("LUN-E07", "AMG-R07", "P-03")
async def test_one_of_two_values_leaves_the_other_and_the_last_connects(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    two = needs("two", FIRST="${secret:FIRST}", SECOND="${SECOND}")
    async with running(tmp_path, two, entry("free")) as hub:
        given = Person(hub).given
        waits = await comes(hub, Health.NEEDS_INPUT, "two")
        assert waits.missing == ("FIRST", "SECOND")
        assert waits.action is Action.ENTER_VALUES
        await comes(hub, Health.CONNECTED, "free")
        fields = await given.fields("two")
        assert [(each.name, each.secret, each.origin) for each in fields.fields] == [
            ("FIRST", True, ""), ("SECOND", False, ""),
        ]  # fmt: skip
        assert fields.fields[0].where == ("env.FIRST",)
        assert fields.keeps.startswith("keyring (")
        assert await give(hub, "two", FIRST="1st-value") == ()
        await until(hub, lambda: row(hub, "two").missing == ("SECOND",))
        assert await give(hub, "two", SECOND="2nd-value") == ()
        await comes(hub, Health.CONNECTED, "two")
        child = await environment_of(hub, "two")
        assert (child["FIRST"], child["SECOND"]) == ("1st-value", "2nd-value")
    # Another engine asks nobody.
    async with running(tmp_path, two) as hub:
        await comes(hub, Health.CONNECTED, "two")


@pytest.mark.behaviour("PRX-S01", "PRX-H02")
async def test_one_secret_wakes_all_that_wait_for_it_and_nobody_else(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    entries = [needs(name, KEY="${secret:KEY}") for name in ("a", "b", "c")]
    async with running(tmp_path, *entries, entry("other")) as hub:
        given = Person(hub).given
        other = (await comes(hub, Health.CONNECTED, "other")).pid
        for name in "abc":
            await comes(hub, Health.NEEDS_INPUT, name)
        (line,) = (await given.listed()).secrets
        assert (line.name, line.kept) == ("KEY", False)
        assert line.users == line.waiting == ("a", "b", "c")
        await given.set("KEY", "the-first")
        pids = [(await comes(hub, Health.CONNECTED, name)).pid for name in "abc"]
        (line,) = (await given.listed()).secrets
        assert line.kept
        assert line.since is not None
        assert line.waiting == ()
        # The same once more changes nothing; another one restarts them.
        await given.set("KEY", "the-first")
        await acted()
        assert [row(hub, name).state for name in "abc"] == [Health.CONNECTED] * 3
        assert [row(hub, name).pid for name in "abc"] == pids
        await given.set("KEY", "the-second")
        await until(
            hub,
            lambda: all(
                row(hub, name).state is Health.CONNECTED and row(hub, name).pid not in pids
                for name in "abc"
            ),
        )
        for name in "abc":
            assert (await environment_of(hub, name))["KEY"] == "the-second"
        assert row(hub, "other").pid == other
        await given.remove("KEY")
        for name in "abc":
            assert (await comes(hub, Health.NEEDS_INPUT, name)).missing == ("KEY",)
        assert row(hub, "other").pid == other
        with pytest.raises(ControlError, match="No value is kept under KEY"):
            await given.remove("KEY")


async def test_a_value_that_only_the_environment_gives_is_not_asked_for_in_vain(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    alone = "`${env:B_X}` reads the environment alone: start mcpmux with B_X set"
    async with running(tmp_path, needs("a", A="${secret:A_X}", B="${env:B_X}")) as hub:
        waits = await comes(hub, Health.NEEDS_INPUT, "a")
        assert waits.missing == ("A_X", "B_X")
        assert "Enter A_X: press `Enter values` on its row" in waits.detail
        assert "MCPMUX_SECRET_A_X set. " + alone in waits.detail
        assert (await Person(hub).given.fields("a")).fields[1].description.startswith(alone)
        (wrong,) = await give(hub, "a", B_X="typed")
        assert wrong.startswith(f"B_X: {alone}")
        assert await give(hub, "a", A_X="typed") == ()
        await until(hub, lambda: row(hub, "a").missing == ("B_X",))
        detail = row(hub, "a").detail
        assert alone in detail
        assert "secret set" not in detail


async def test_the_environment_outranks_what_was_given_and_both_are_said(
    tmp_path: Path, ring: FakeKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGION_X", "from-environment")
    async with running(tmp_path, needs("a", R="${REGION_X}")) as hub:
        given = Person(hub).given
        pid = (await comes(hub, Health.CONNECTED, "a")).pid
        assert await give(hub, "a", REGION_X="typed-in") == ()
        (field,) = (await given.fields("a")).fields
        assert (field.origin, field.stored, field.in_environment) == ("environment", True, True)
        # What the child gets did not change, so it runs on.
        await acted()
        assert row(hub, "a").state is Health.CONNECTED
        assert row(hub, "a").pid == pid
        assert (await environment_of(hub, "a"))["R"] == "from-environment"
        edit.refer_to_secret(hub.instance.config, "a", "REGION_X")
        await hub.reload()
        await until(hub, lambda: row(hub, "a").pid not in {pid, None})
        await comes(hub, Health.CONNECTED, "a")
        assert (await environment_of(hub, "a"))["R"] == "typed-in"


async def test_a_variable_of_the_environment_can_be_taken_over(
    tmp_path: Path, ring: FakeKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "found-there")
    async with running(tmp_path, needs("a", T="${secret:MY_TOKEN}")) as hub:
        given = Person(hub).given
        await comes(hub, Health.NEEDS_INPUT, "a")
        (field,) = (await given.fields("a")).fields
        assert field.in_environment
        await given.give(GiveValues(server="a", from_environment=("MY_TOKEN",)))
        await comes(hub, Health.CONNECTED, "a")
        assert (await environment_of(hub, "a"))["T"] == "found-there"


async def test_a_value_for_this_session_is_nowhere_on_disk(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    a = needs("a", KEY="${secret:KEY}")
    async with running(tmp_path, a) as hub:
        given = Person(hub).given
        await comes(hub, Health.NEEDS_INPUT, "a")
        await give(hub, "a", session=True, KEY="only-now-canary")
        await comes(hub, Health.CONNECTED, "a")
        (line,) = (await given.listed()).secrets
        assert not line.kept
        assert ring.values == {}
    async with running(tmp_path, a) as hub:
        await comes(hub, Health.NEEDS_INPUT, "a")
    assert not holding(tmp_path, "only-now-canary")


async def test_what_cannot_be_taken_is_said_at_its_field_and_nothing_is_kept(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    inputs = "[inputs.PORT]\ntype = 'number'\n[inputs.MODE]\ntype = 'choice'\noptions = ['a', 'b']"
    web = (
        "[servers.web]\nurl = 'http://127.0.0.1:1/${input:PORT}/${input:MODE}'\n"
        "headers = { X = '${secret:KEY}' }"
    )
    async with running(tmp_path, inputs, web) as hub:
        given = Person(hub).given
        assert (await comes(hub, Health.NEEDS_INPUT, "web")).missing == ("PORT", "MODE", "KEY")
        (port, mode, key) = (await given.fields("web")).fields
        assert (port.type, mode.choices, key.where) == ("number", ("a", "b"), ("headers.X",))
        assert await give(hub, "web", PORT="x", MODE="c", KEY="a\nb", NOBODY="y") == (
            "PORT: It must be a number.",
            "MODE: It must be one of a, b.",
            "KEY: It holds a line break, which no header can.",
            "NOBODY: This server needs no value of this name.",
        )
        assert (await give(hub, "web", KEY=" "))[0].startswith("KEY: It is empty.")
        assert (await give(hub, "web", KEY="x" * 70_000))[0] == "KEY: It is longer than 64 KiB."
        assert ring.values == {}
        for name, value in (("a b", "x"), ("KEY", "")):
            with pytest.raises(UsageError):
                await given.set(name, value)


@pytest.mark.behaviour("F2")
async def test_a_keyring_that_refuses_is_said_and_the_server_can_use_what_was_typed(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    ring.sets_left = 0
    async with running(tmp_path, needs("a", KEY="${secret:KEY}")) as hub:
        await comes(hub, Health.NEEDS_INPUT, "a")
        with pytest.raises(ControlError, match="It is not kept"):
            await give(hub, "a", KEY="typed-in-vain")
        assert row(hub, "a").state is Health.NEEDS_INPUT
        ring.sets_left = 9
        assert await give(hub, "a", KEY="typed-in-vain") == ()
        await comes(hub, Health.CONNECTED, "a")


async def test_a_locked_keyring_offers_a_retry(tmp_path: Path, ring: FakeKeyring) -> None:
    a = needs("a", KEY="${secret:KEY}")
    async with running(tmp_path, a) as hub:
        await comes(hub, Health.NEEDS_INPUT, "a")
        await give(hub, "a", KEY="the-value")
        await comes(hub, Health.CONNECTED, "a")
    ring.locked = True
    async with running(tmp_path, a) as hub:
        locked = await comes(hub, Health.NEEDS_INPUT, "a")
        assert locked.action is Action.RETRY
        assert "The keyring is locked" in locked.detail
        ring.locked = False
        await Person(hub).act("a", Action.RETRY)
        await comes(hub, Health.CONNECTED, "a")


@pytest.mark.behaviour("F7")
async def test_no_secret_is_in_a_log_a_row_or_an_error(tmp_path: Path, ring: FakeKeyring) -> None:
    canary = "s3cr3t-canary-value"
    shell = (
        "[servers.loud]\ncommand = 'sh'\n"
        "args = ['-c', 'echo my key is $KEY >&2; exit 3']\nenv = { KEY = '${secret:KEY}' }\n"
        "[servers.literal]\ncommand = 'sh'\n"
        f"args = ['-c', 'echo $API_TOKEN >&2; exit 3']\nenv = {{ API_TOKEN = '{canary}-2' }}\n"
    )
    async with running(tmp_path, shell) as hub:
        given = Person(hub).given
        await given.set("KEY", canary)
        for name in ("loud", "literal"):
            await until(hub, lambda name=name: "***" in row(hub, name).detail)  # type: ignore[misc]
            assert any("***" in line.text for line in hub.logs.page(name))
            assert canary not in row(hub, name).model_dump_json()
            assert canary not in str([line.text for line in hub.logs.page(name)])
    assert not holding(tmp_path / "state", canary)


@pytest.mark.behaviour("E5")
async def test_a_server_gets_what_it_asked_for_and_nothing_of_another(
    tmp_path: Path, ring: FakeKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-shell")
    entries = (needs("a", KEY="${secret:KEY}"), entry("b"))
    async with running(tmp_path, *entries) as hub:
        given = Person(hub).given
        await given.set("KEY", "of-a-alone")
        await comes(hub, Health.CONNECTED, "a")
        await comes(hub, Health.CONNECTED, "b")
        for name in ("a", "b"):
            found = await environment_of(hub, name)
            assert "AWS_SECRET_ACCESS_KEY" not in found
            assert ("of-a-alone" in found.values()) == (name == "a")
        channel = await hub.fleet["a"].ready(5.0)
        assert await channel.request("tools/list", b"{}", caller=Caller())
