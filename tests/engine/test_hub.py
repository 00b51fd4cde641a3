"""The hub over real servers: what a reload does, and that a stop is the end."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from mcpmux_tui.config import file
from mcpmux_tui.control.protocol import Items
from mcpmux_tui.engine.doors import ITEM_LIMIT, Doors
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.engine.person import Person
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.errors import ConfigError, ControlError, NoSuchServer
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.settings import UiSettings
from tests.fixtures.http_peer import peer
from tests.fixtures.raw_http import RawHttp

RAW = Path(__file__).resolve().parents[1] / "fixtures" / "raw_stdio.py"


def entry(name: str, *flags: str) -> str:
    return f"[servers.{name}]\ncommand = {sys.executable!r}\nargs = {[str(RAW), *flags]!r}\n"


async def never() -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


@asynccontextmanager
async def running(
    tmp_path: Path, *entries: str, wakes: Callable[[], AsyncIterator[None]] = never
) -> AsyncIterator[Hub]:
    path = tmp_path / "config.toml"
    path.write_text("\n".join(entries), encoding="utf-8")
    instance = Instance(path, True, tmp_path / "state")
    instance.prepare()
    hub = Hub(instance, file.load(path, required=True), token="t", wakes=wakes)
    await hub.start(0, port_required=True)
    try:
        yield hub
    finally:
        await hub.stop()


async def until(hub: Hub, condition: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    hub.publish = changed.set
    async with asyncio.timeout(15):
        while not condition():
            changed.clear()
            await changed.wait()


def state(hub: Hub, name: str) -> Health:
    return hub.fleet[name].snapshot.state


def write(hub: Hub, *entries: str) -> None:
    hub.instance.config.write_text("\n".join(entries), encoding="utf-8")


async def test_a_new_server_does_not_wait_for_a_stubborn_one_that_goes(tmp_path: Path) -> None:
    async with running(tmp_path, entry("a", "--stubborn")) as hub:
        await until(hub, lambda: state(hub, "a") is Health.CONNECTED)
        old = psutil.Process(hub.fleet["a"].snapshot.pid)
        write(hub, entry("b"))
        await hub.reload()
        await until(hub, lambda: state(hub, "b") is Health.CONNECTED)
        assert old.is_running()


async def test_a_changed_server_starts_when_its_predecessor_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path, entry("a", "--stubborn")) as hub:
        await until(hub, lambda: state(hub, "a") is Health.CONNECTED)
        old = psutil.Process(hub.fleet["a"].snapshot.pid)
        for count in ("1", "2"):
            write(hub, entry("a", "--tools", count))
            await hub.reload()
        assert state(hub, "a") is Health.CONNECTING
        await until(hub, lambda: hub.fleet["a"].snapshot.pid is not None)
        assert not old.is_running() or old.status() == psutil.STATUS_ZOMBIE


async def test_a_stop_during_a_reload_starts_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, entry("a", "--stubborn")) as hub:
        await until(hub, lambda: state(hub, "a") is Health.CONNECTED)
        write(hub, entry("a", "--tools", "1"))
        await hub.reload()
        await hub.stop()
        assert hub.fleet["a"].snapshot.pid is None
        assert psutil.Process().children() == []
        await hub.reload()
        assert psutil.Process().children() == []


async def test_an_action_that_the_row_did_not_offer_is_refused_in_a_sentence(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, entry("a")) as hub:
        await until(hub, lambda: state(hub, "a") is Health.CONNECTED)
        with pytest.raises(ControlError, match="a is connected now, so connect does not apply"):
            await Person(hub).act("a", Action.CONNECT)
        with pytest.raises(NoSuchServer, match="no server named b"):
            await Person(hub).act("b", Action.CONNECT)


@pytest.mark.behaviour("F4", "AMG-R01", "AMG-R04", "AMG-R08", "LUN-G03")
async def test_a_broken_file_changes_nothing_and_is_said(tmp_path: Path) -> None:
    async with running(tmp_path, entry("a")) as hub:
        await until(hub, lambda: state(hub, "a") is Health.CONNECTED)
        pid = hub.fleet["a"].snapshot.pid
        write(hub, "[servers.a\n")
        with pytest.raises(ConfigError):
            await hub.reload()
        assert "not valid TOML" in hub.snapshot().config_error
        write(hub, entry("a"))
        await hub.reload()
        assert hub.snapshot().config_error == ""
        assert hub.fleet["a"].snapshot.pid == pid


async def test_doors_get_long_tool_lists_in_parts(tmp_path: Path) -> None:
    async with running(tmp_path, entry("a", "--tools", "2500")) as hub:
        await until(hub, lambda: state(hub, "a") is Health.CONNECTED)
        tools = Doors(hub).handlers()["items"]
        first = await tools({"server": "a", "limit": 10**6})
        rest = await tools({"server": "a", "after": 2_500, "limit": 20})
        assert isinstance(first, Items)
        assert isinstance(rest, Items)
        assert len(first.items) == ITEM_LIMIT
        assert first.total == hub.fleet["a"].snapshot.tools == 2_500 + len(rest.items)


@pytest.mark.behaviour("X9", "X10")
async def test_after_a_restart_the_tools_are_listed_before_their_server_is_up(
    tmp_path: Path,
) -> None:
    slow = entry("a", "--tools", "3")
    async with running(tmp_path, slow) as hub:
        await until(hub, lambda: state(hub, "a") is Health.CONNECTED)
        known = hub.fleet["a"].lists
    async with running(tmp_path, slow) as hub:
        assert state(hub, "a") is Health.CONNECTING
        assert hub.fleet["a"].lists == known
        assert hub.proxy.public_name("a", Kind.TOOLS, "t0001") == "a__t0001"
        write(hub, "")
        await hub.reload()
    assert not list((tmp_path / "state" / "lists").iterdir())


@pytest.mark.behaviour("AMG-R07")
async def test_a_hidden_tool_is_gone_for_clients_while_its_server_runs_on(tmp_path: Path) -> None:
    async with running(tmp_path, entry("a"), entry("b")) as hub:
        await until(hub, lambda: {state(hub, name) for name in "ab"} == {Health.CONNECTED})
        pids = [hub.fleet[name].snapshot.pid for name in "ab"]
        doors = Doors(hub).handlers()
        await doors["offer"]({"server": "a", "tool": "echo", "offered": False})
        await until(hub, lambda: state(hub, "a") is Health.CONNECTED)
        page = await doors["items"]({"server": None, "kind": "tools", "limit": 2_000})
        assert isinstance(page, Items)
        echoes = {item.server: item.public for item in page.items if item.name == "echo"}
        assert echoes == {"a": "", "b": "b__echo"}
        async with peer(f"{hub.proxy.url}", "2025-11-25", token="t") as client:
            names = {tool["name"] for tool in (await client.request("tools/list"))["tools"]}
        assert "a__echo" not in names
        assert "b__echo" in names
        assert [hub.fleet[name].snapshot.pid for name in "ab"] == pids
        await doors["offer"]({"server": "a", "tool": "echo", "offered": True})
        await until(hub, lambda: hub.proxy.public_name("a", Kind.TOOLS, "echo") == "a__echo")
        shown = await doors["entry"]({"server": "a"})
        assert "[servers.a]" in str(shown)


async def test_a_slow_start_shows_what_its_runner_says(tmp_path: Path) -> None:
    runner = "sleep 0.5; echo 'added 40 packages' >&2; sleep 30"
    slow = f"[servers.slow]\ncommand = 'sh'\nargs = ['-c', {runner!r}]\n"
    async with running(tmp_path, slow) as hub:
        await until(
            hub, lambda: hub.snapshot().servers[0].summary == "starting sh: added 40 packages"
        )


@pytest.mark.behaviour("H13")
async def test_after_a_sleep_every_server_is_looked_at(tmp_path: Path) -> None:
    asleep = asyncio.Event()

    async def once() -> AsyncIterator[None]:
        await asleep.wait()
        yield

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    away = f'[servers.away]\nurl = "http://127.0.0.1:{port}/mcp"\n'
    async with running(tmp_path, entry("here"), away, wakes=once) as hub:
        waits = hub.fleet["away"]
        await until(hub, lambda: state(hub, "here") is Health.CONNECTED)
        await until(hub, lambda: waits.snapshot.attempt >= 2)
        asleep.set()
        # A back-off that was forgotten begins with its first try.
        await until(hub, lambda: waits.snapshot.attempt == 0)
        assert state(hub, "here") is Health.CONNECTED


@pytest.mark.behaviour("F3", "AMG-R02", "AMG-R03", "AMG-R05", "AMG-R07")
async def test_a_change_of_one_entry_restarts_that_one_alone(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(10)]
    async with running(tmp_path, *map(entry, names)) as hub:
        await until(hub, lambda: all(state(hub, name) is Health.CONNECTED for name in names))
        before = {name: hub.fleet[name].snapshot.pid for name in names}
        kept = {name: hub.fleet[name] for name in names}
        changed = [entry("s3", "--tools", "5"), *(entry(name) for name in names if name != "s3")]
        unset = "[servers.unset]\ncommand = 'x'\nargs = ['${NOBODY_HAS_SET_THIS}']\n"
        write(hub, *changed, "[servers.broken]\ncommand = 3\n", unset)
        await asyncio.gather(*(hub.reload() for _ in range(5)))
        await until(hub, lambda: state(hub, "s3") is Health.CONNECTED)
        await until(hub, lambda: state(hub, "unset") is Health.NEEDS_INPUT)
        assert state(hub, "broken") is Health.FAILED
        after = {name: hub.fleet[name].snapshot.pid for name in names}
        assert {name for name in names if after[name] != before[name]} == {"s3"}
        assert all(hub.fleet[name] is kept[name] for name in names if name != "s3")


@pytest.mark.behaviour("X13")
async def test_a_server_that_hangs_in_its_list_keeps_nobody_from_theirs(tmp_path: Path) -> None:
    async with RawHttp.open() as http:
        far = f"[servers.far]\nurl = {http.url!r}\n"
        async with running(tmp_path, entry("near"), far) as hub:
            await until(hub, lambda: state(hub, "far") is Health.CONNECTED)
        http.server.list_gate.clear()
        async with running(tmp_path, entry("near"), far) as hub:
            await until(hub, lambda: state(hub, "near") is Health.CONNECTED)
            assert state(hub, "far") is Health.CONNECTING
            assert hub.proxy.public_name("near", Kind.TOOLS, "echo") == "near__echo"
            # From the last run.
            assert hub.proxy.public_name("far", Kind.TOOLS, "echo") == "far__echo"
            http.server.list_gate.set()


@pytest.mark.behaviour("X12")
async def test_three_thousand_tools_come_in_one_list_in_a_stable_order(tmp_path: Path) -> None:
    entries = [entry(name, "--tools", "1000", "--page-size", "100") for name in ("a", "b", "c")]
    async with running(tmp_path, *entries) as hub:
        await until(hub, lambda: {state(hub, name) for name in "abc"} == {Health.CONNECTED})
        names = []
        async with peer(f"{hub.proxy.url}", "2025-11-25", token="t") as client:
            for _ in range(2):
                result = await client.request("tools/list")
                assert "nextCursor" not in result
                names.append([tool["name"] for tool in result["tools"]])
        assert names[0] == names[1]
        assert [name for name in names[0] if "__t" in name and name[-4:].isdigit()] == [
            f"{server}__t{number:04}" for server in "abc" for number in range(1000)
        ]


async def test_names_and_addresses_that_two_servers_have_are_said_of_the_later_one(
    tmp_path: Path,
) -> None:
    bare = 'prefix = ""\n'
    async with running(tmp_path, entry("a") + bare, entry("b") + bare) as hub:
        await until(hub, lambda: {state(hub, name) for name in "ab"} == {Health.CONNECTED})
        first, second = hub.snapshot().servers
        assert first.warnings == ()
        (warning,) = second.warnings
        assert warning.endswith(
            "tools would have names that are taken: on /mcp they end with a hash."
        )
        assert hub.proxy.public_name("a", Kind.TOOLS, "echo") == "echo"
        assert hub.proxy.public_name("b", Kind.TOOLS, "echo").startswith("echo_")


async def test_a_change_of_the_proxy_that_waits_for_a_start_is_said_until_it_is_taken_back(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "[proxy]\npage_size = 5\n", entry("a")) as hub:
        config = hub.instance.config
        for table in ("page_size = 6", "page_size = 5\nsse = true", "page_size = 5\nport = 4200"):
            config.write_text(f"[proxy]\n{table}\n{entry('a')}", encoding="utf-8")
            await hub.reload()
            assert hub.snapshot().warnings == (
                "The change of [proxy] counts from the next start of mcpmux.",
            )
        config.write_text(f"{entry('a')}[proxy]\npage_size = 5\n", encoding="utf-8")
        await hub.reload()
        assert hub.snapshot().warnings == ()


async def test_a_choice_about_the_screen_is_written_and_told_and_moves_no_server(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "# mine\n", entry("a")) as hub:
        await hub.fleet.settled()
        pid = hub.fleet["a"].snapshot.pid
        await Doors(hub).handlers()["change_ui"]({"theme": "nord", "animations": False})
        assert hub.snapshot().ui == UiSettings(theme="nord", animations=False)
        written = hub.instance.config.read_text()
        assert written.startswith("# mine\n")
        assert written.endswith('[ui]\ntheme = "nord"\nanimations = false\n')
        assert hub.fleet["a"].snapshot.pid == pid


async def test_a_choice_never_makes_a_config_without_the_servers(tmp_path: Path) -> None:
    async with running(tmp_path, entry("a")) as hub:
        hub.instance.config.unlink()
        with pytest.raises(ConfigError, match="does not exist"):
            await Doors(hub).handlers()["change_ui"]({"theme": "nord"})
        assert not hub.instance.config.exists()
        assert [server.name for server in hub.snapshot().servers] == ["a"]


async def test_a_changed_file_tells_the_doors_what_the_screen_is_to_be(tmp_path: Path) -> None:
    async with running(tmp_path, entry("a")) as hub:
        hub.instance.config.write_text(entry("a") + '[keys]\n"server.restart" = "f5"\n')
        await until(hub, lambda: hub.snapshot().ui.keys == {"server.restart": ("f5",)})
