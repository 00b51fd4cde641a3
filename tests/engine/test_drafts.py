"""Servers that a person is about to add or change: read, tested apart, kept."""

from __future__ import annotations

import asyncio
import json
import sys
import tomllib
from pathlib import Path

import psutil
import pytest

from mcpmux_tui.control.protocol import HIDDEN, Draft, DraftKept, EntryForm, Wrong
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.person import Person
from mcpmux_tui.model.errors import ControlError, McpmuxError, NoSuchServer
from mcpmux_tui.model.server import Health
from tests.engine.test_given import SESSION, environment_of, holding
from tests.engine.test_given import ring as ring
from tests.engine.test_hub import RAW, entry, running
from tests.engine.test_sign_ins import comes, remote, row, sign_in
from tests.fixtures.evil_as import running as serving
from tests.fixtures.fake_keyring import FakeKeyring

COMMAND = f"{sys.executable} {RAW}"
CONFIG = f"""\
# my servers
[servers.a]  # the first
command = "{sys.executable}"  # python
args = ["{RAW}"]
env = {{ API_KEY = "s3cr3t-canary", REGION = "eu" }}  # keep this
note = "mine"

# about b
[servers.b]
command = "{sys.executable}"
args = ["{RAW}"]
"""


async def keep(hub: Hub, draft: Draft) -> DraftKept:
    kept = await Person(hub).drafts.keep(draft)
    await hub.reload()
    return kept


def on_disk(hub: Hub) -> dict[str, dict[str, object]]:
    servers = tomllib.loads(hub.instance.config.read_text())["servers"]
    assert isinstance(servers, dict)
    return servers


def children() -> list[psutil.Process]:
    """What runs of servers; the watchdog stays."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if str(RAW) in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE
    ]


async def runs() -> None:
    """Wait for a server's process."""
    async with asyncio.timeout(10):
        while not children():  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.01)


@pytest.mark.behaviour("E1", "LUN-S02")
async def test_a_pasted_command_is_shown_whole_and_nothing_runs_before_it_is_kept(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    async with running(tmp_path, "# mine\n") as hub:
        drafts = Person(hub).drafts
        draft = Draft(pasted=f"API_KEY=s3cr3t-canary LD_PRELOAD=/x.so {COMMAND} --tools 1")
        (seen,) = (reading := await drafts.read(draft)).servers
        assert not reading.wrong
        assert seen.kind == "local command (stdio)"
        assert seen.target == f"{COMMAND} --tools 1"
        assert seen.pairs == ("API_KEY=${secret:API_KEY}", "LD_PRELOAD=/x.so")
        assert seen.moves == ("API_KEY",)
        assert any("LD_PRELOAD" in note for note in seen.notes)
        assert not children()
        assert hub.instance.config.read_text() == "# mine\n"
        draft = Draft(pasted=f"API_KEY=s3cr3t-canary {COMMAND}", name="new.one")
        assert await keep(hub, draft) == DraftKept(names=("new.one",), secrets=("API_KEY",))
        await comes(hub, Health.CONNECTED, "new.one")
        assert (await environment_of(hub, "new.one"))["API_KEY"] == "s3cr3t-canary"
        assert hub.instance.config.read_text().startswith("# mine\n")
        assert not holding(tmp_path, "s3cr3t-canary")


async def test_two_servers_with_different_secrets_of_one_name_keep_both(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    async with running(tmp_path, "") as hub:
        entries = {
            name: {"command": sys.executable, "args": [str(RAW)], "env": {"API_KEY": value}}
            for name, value in (("one", "pa$$word-1"), ("two", "pa$word-2"), ("three", "pa$word-2"))
        }
        kept = await keep(hub, Draft(pasted=json.dumps({"mcpServers": entries})))
        assert kept.names == ("one", "two", "three")
        assert kept.secrets == ("API_KEY", "API_KEY_2")
        for name, value in (("one", "pa$$word-1"), ("two", "pa$word-2"), ("three", "pa$word-2")):
            await comes(hub, Health.CONNECTED, name)
            assert (await environment_of(hub, name))["API_KEY"] == value
        assert "pa$" not in hub.instance.config.read_text()


async def test_what_cannot_be_added_is_a_sentence_at_its_field(tmp_path: Path) -> None:
    async with running(tmp_path, SESSION, entry("a")) as hub:
        drafts = Person(hub).drafts
        before = hub.instance.config.read_bytes()
        for pasted, name, field, why in (
            ("", "", "pasted", "It is empty."),
            ("npx 'x", "", "pasted", "A quote is opened in it and not closed."),
            ("{", "", "pasted", "It is not valid JSON"),
            ('{"x": 1}', "", "pasted", "This JSON names no server."),
            ("npx a\u202eb", "", "pasted", "acts or hides: \\u202e"),
            ("https://h:x/", "", "pasted", "`url` is not an address"),
            (hub.proxy.url or "", "", "pasted", "It leads to mcpmux itself"),
            ("npx x", "a", "name", "There is a server named a already."),
            ("npx x", "a b", "name", "A server's name has 1-40 letters"),
            ("npx x", "p", "name", "reserved"),
            ("npx " + "x" * 9_000, "", "pasted", "too long to be shown whole"),
            (" ".join(["https://h/x\n"] * 40), "", "pasted", "more than 32 servers"),
        ):
            draft = Draft(pasted=pasted, name=name)
            (wrong,) = (await drafts.read(draft)).wrong
            assert wrong.name == field
            assert why in wrong.why
            if "long" not in why:
                assert (await drafts.keep(draft)).wrong == (wrong,)
        assert hub.instance.config.read_bytes() == before


@pytest.mark.behaviour("D10", "E1")
async def test_a_test_runs_apart_from_all_clients_and_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, SESSION, entry("a")) as hub:
        drafts = Person(hub).drafts
        await comes(hub, Health.CONNECTED, "a")
        lives = children()
        before = hub.instance.config.read_bytes()
        tested = await drafts.test("k", Draft(pasted=COMMAND))
        (outcome,) = tested.servers
        assert (outcome.state, outcome.tools) == (Health.CONNECTED, row(hub, "a").tools)
        assert outcome.seconds > 0
        assert [each.name for each in hub.snapshot().servers] == ["a"]
        await drafts.close()
        assert children() == lives
        assert hub.instance.config.read_bytes() == before
        (failed,) = (await drafts.test("k", Draft(pasted="/nowhere/at-all"))).servers
        assert failed.state is Health.FAILED
        assert "/nowhere/at-all" in failed.detail
        (waits,) = (await drafts.test("k", Draft(pasted=f"K='${{secret:K}}' {COMMAND}"))).servers
        assert (waits.state, waits.missing) == (Health.NEEDS_INPUT, ("K",))
        assert (await drafts.test("k", Draft(pasted=""))).wrong


async def test_a_test_can_be_ended_and_ends_with_the_engine(tmp_path: Path) -> None:
    async with running(tmp_path, SESSION) as hub:
        drafts = Person(hub).drafts
        silent = Draft(pasted=f"{COMMAND} --silent")
        testing = asyncio.create_task(drafts.test("k", silent))
        await runs()
        with pytest.raises(ControlError, match="of this key runs"):
            await drafts.test("k", silent)
        drafts.cancel("k")
        with pytest.raises(ControlError, match="The test was ended"):
            await testing
        await drafts.close()
        assert not children()
        testing = asyncio.create_task(drafts.test("k", silent))
        await runs()
    assert not children()
    with pytest.raises(ControlError, match="The test was ended"):
        await testing


async def test_a_test_of_a_remote_server_says_that_it_needs_a_sign_in(tmp_path: Path) -> None:
    async with serving() as server, running(tmp_path, SESSION) as hub:
        drafts = Person(hub).drafts
        (outcome,) = (await drafts.test("k", Draft(pasted=server.mcp))).servers
        assert outcome.state is Health.NEEDS_SIGN_IN


async def test_a_form_changes_only_what_was_changed(tmp_path: Path, ring: FakeKeyring) -> None:
    async with running(tmp_path, CONFIG) as hub:
        drafts = Person(hub).drafts
        path = hub.instance.config
        form = await drafts.form("a", copy_of=False)
        assert form.target == COMMAND
        assert form.pairs == f"API_KEY={HIDDEN}\nREGION=eu"
        assert "s3cr3t" not in form.model_dump_json()
        assert await keep(hub, Draft(form=form)) == DraftKept(names=("a",))
        assert path.read_text() == CONFIG
        changed = form.model_copy(
            update={"name": "z", "pairs": f"API_KEY={HIDDEN}\nREGION=us\nMODE=x", "enabled": False}
        )
        (seen,) = (await drafts.read(Draft(form=changed))).servers
        assert seen.pairs == (f"API_KEY={HIDDEN}", "REGION=us", "MODE=x")
        assert (await keep(hub, Draft(form=changed))).names == ("z",)
        assert path.read_text() == CONFIG.replace("[servers.a]", "[servers.z]").replace(
            'REGION = "eu" }', 'REGION = "us", MODE = "x"}'
        ).replace('note = "mine"', 'note = "mine"\nenabled = false')
        with pytest.raises(ControlError, match="no entry named a"):
            await drafts.keep(Draft(form=form))
        # A secret that is typed now goes to the keyring, as the form says before.
        form = await drafts.form("b", copy_of=False)
        typed = Draft(form=form.model_copy(update={"pairs": "MY_TOKEN=typed-canary"}))
        assert (await drafts.read(typed)).servers[0].moves == ("MY_TOKEN",)
        assert (await keep(hub, typed)).secrets == ("MY_TOKEN",)
        assert on_disk(hub)["b"]["env"] == {"MY_TOKEN": "${secret:MY_TOKEN}"}
        assert "# about b" in path.read_text()


@pytest.mark.behaviour("A1")
@pytest.mark.parametrize("table", ["command = 'x'\nenv", "url = 'https://h.example/mcp'\nheaders"])
async def test_a_name_that_acts_is_not_put_into_a_form(table: str, tmp_path: Path) -> None:
    async with running(tmp_path, f'[servers.a]\n{table} = {{ "A\\u009b31m" = "x" }}\n') as hub:
        with pytest.raises(ControlError, match="cannot be shown as a form"):
            await Person(hub).drafts.form("a", copy_of=False)


async def test_a_form_that_is_wrong_or_late_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, CONFIG, remote("r", "https://h.example/mcp")) as hub:
        drafts = Person(hub).drafts
        form = await drafts.form("a", copy_of=False)
        for update, field, why in (
            ({"target": "npx 'x"}, "target", "not closed"),
            ({"target": " "}, "target", "It is empty."),
            ({"target": "https://x/"}, "target", "another kind"),
            ({"pairs": "API_KEY"}, "pairs", "Line 1 is not of the form KEY=value."),
            ({"pairs": "A=1\nA=2"}, "pairs", "twice"),
            ({"pairs": f"API_KEY=x{HIDDEN}"}, "pairs", "hidden"),
            ({"pairs": f"OTHER={HIDDEN}"}, "pairs", "hidden"),
            ({"cwd": "/a\x1bb"}, "cwd", "\\x1b"),
            ({"name": "b"}, "name", "already"),
        ):
            draft = Draft(form=form.model_copy(update=update))
            assert [(each.name, why in each.why) for each in await wrong(hub, draft)] == [
                (field, True)
            ], update
        remote_form = await drafts.form("r", copy_of=False)
        draft = Draft(form=remote_form.model_copy(update={"target": "ftp://x"}))
        assert "https:// or http://" in (await wrong(hub, draft))[0].why
        assert hub.instance.config.read_text().startswith(CONFIG)
        hub.instance.config.write_text(CONFIG.replace('"eu"', '"ap"'))
        with pytest.raises(ControlError, match="was changed since it was shown"):
            await drafts.keep(Draft(form=form.model_copy(update={"cwd": "/tmp"})))


async def wrong(hub: Hub, draft: Draft) -> tuple[Wrong, ...]:
    reading, kept = await Person(hub).drafts.read(draft), await Person(hub).drafts.keep(draft)
    assert reading.wrong == kept.wrong
    return kept.wrong


async def test_a_copy_is_a_new_entry_with_all_its_keys_and_no_plain_secret(
    tmp_path: Path, ring: FakeKeyring
) -> None:
    async with running(tmp_path, CONFIG) as hub:
        drafts = Person(hub).drafts
        form: EntryForm = await drafts.form("a", copy_of=True)
        assert form.name == "a-copy"
        kept = await keep(hub, Draft(form=form.model_copy(update={"enabled": False})))
        assert kept == DraftKept(names=("a-copy",), secrets=("API_KEY",))
        assert hub.instance.config.read_text().startswith(CONFIG)
        copied = on_disk(hub)["a-copy"]
        assert copied["note"] == "mine"
        assert copied["enabled"] is False
        assert copied["env"] == {"API_KEY": "${secret:API_KEY}", "REGION": "eu"}
        assert (await drafts.form("a", copy_of=True)).name == "a-copy-2"


async def test_a_failed_write_leaves_no_secret_behind(tmp_path: Path, ring: FakeKeyring) -> None:
    async with running(tmp_path, "version = 99\n") as hub:
        drafts = Person(hub).drafts
        with pytest.raises(McpmuxError, match="newer than this mcpmux"):
            await drafts.keep(Draft(pasted=f"API_KEY=s3cr3t-canary {COMMAND}"))
        assert await hub.stored.value("API_KEY") is None


async def test_a_new_name_keeps_the_sign_in(tmp_path: Path) -> None:
    async with (
        serving() as server,
        running(tmp_path, '[vault]\nbackend = "file"\n', remote("acme", server.mcp)) as hub,
    ):
        drafts = Person(hub).drafts
        await comes(hub, Health.NEEDS_SIGN_IN)
        await sign_in(hub)
        await comes(hub, Health.CONNECTED)
        form = await drafts.form("acme", copy_of=False)
        refused = Draft(form=form.model_copy(update={"name": "other", "seen": "x"}))
        with pytest.raises(ControlError, match="was changed since"):
            await drafts.keep(refused)
        await keep(hub, Draft(form=form.model_copy(update={"name": "other"})))
        await asyncio.gather(*hub._forgetting)
        assert (await comes(hub, Health.CONNECTED, "other")).signed_in
        assert server.counts["/revoke"] == 0
        text = (hub.instance.folder / "secrets.toml").read_text()
        assert "server/other" in text
        assert "server/acme" not in text


@pytest.mark.behaviour("LUN-S04")
async def test_removing_a_server_deletes_its_sign_in_and_keeps_values(tmp_path: Path) -> None:
    async with (
        serving() as server,
        running(tmp_path, '[vault]\nbackend = "file"\n', remote("acme", server.mcp), CONFIG) as hub,
    ):
        securing = Person(hub).securing
        secrets = hub.instance.folder / "secrets.toml"
        await comes(hub, Health.NEEDS_SIGN_IN)
        await sign_in(hub)
        await comes(hub, Health.CONNECTED)
        await securing.move(hub.fleet["a"].spec)
        await hub.reload()
        assert "acme" in secrets.read_text()
        assert await Person(hub).remove("acme") == ()
        await asyncio.gather(*hub._forgetting)
        assert "acme" not in secrets.read_text()
        assert server.counts["/revoke"] > 0
        assert await Person(hub).remove("a") == ("API_KEY",)
        assert "API_KEY" in secrets.read_text()
        assert [each.name for each in hub.snapshot().servers] == ["b"]
        with pytest.raises(NoSuchServer, match="no server named a"):
            await Person(hub).remove("a")
