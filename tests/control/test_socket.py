from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel, JsonValue

from mcpmux_tui.control import connection, protocol
from mcpmux_tui.control.address import choose_address, read_address
from mcpmux_tui.control.client import Client
from mcpmux_tui.control.server import ControlServer
from mcpmux_tui.model.errors import ControlError, NoEngine
from mcpmux_tui.model.server import Action, EngineSnapshot, Health, ProxySnapshot, ServerSnapshot
from mcpmux_tui.model.settings import UiSettings
from tests.fixtures import accepting


class Engine:
    """A control server over a snapshot that a test changes."""

    def __init__(self) -> None:
        self.snapshot = EngineSnapshot(
            proxy=ProxySnapshot(pid=1),
            servers=tuple(
                ServerSnapshot(name=name, state=Health.CONNECTED) for name in ("a", "b", "c")
            ),
        )
        self.acts: list[protocol.Act] = []
        self.hold = asyncio.Event()
        self.server = ControlServer(
            handlers=lambda: {"hello": self._hello, "act": self._act, "items": self._tools},
            snapshot=lambda: self.snapshot,
        )

    async def _hello(self, _: Mapping[str, JsonValue]) -> BaseModel:
        return protocol.Hello(pid=1, snapshot=self.snapshot)

    async def _act(self, params: Mapping[str, JsonValue]) -> None:
        act = protocol.Act.model_validate(params)
        if act.server == "no":
            raise ControlError("No such server.", "Look again.")
        self.acts.append(act)

    async def _tools(self, params: Mapping[str, JsonValue]) -> BaseModel:
        if params["server"] == "slow":
            await self.hold.wait()
        return protocol.Items(items=(protocol.ItemLine(server="", name=str(params["server"])),))

    def set(self, name: str, state: Health) -> None:
        servers = tuple(
            each.model_copy(update={"state": state}) if each.name == name else each
            for each in self.snapshot.servers
        )
        self.snapshot = self.snapshot.model_copy(update={"servers": servers})
        self.server.publish()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Engine, Client]]:
    engine = Engine()
    await engine.server.start(folder)
    try:
        async with await Client.connect(folder) as client:
            yield engine, client
    finally:
        await engine.server.stop()


async def test_a_door_is_told_everything_and_then_what_changed(tmp_path: Path) -> None:
    async with running(tmp_path) as (engine, client):
        seen = client.watch()
        first = await anext(seen)
        assert [each.state for each in first.servers] == [Health.CONNECTED] * 3
        engine.set("b", Health.FAILED)
        second = await anext(seen)
        assert second.servers[1].state is Health.FAILED
        assert second.servers[0] is first.servers[0]


async def test_what_time_alone_changes_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LOOK_INTERVAL", 0.05)
    async with running(tmp_path) as (engine, client):
        seen = client.watch()
        await anext(seen)
        engine.snapshot = engine.snapshot.model_copy(update={"warnings": ("later",)})
        assert (await anext(seen)).warnings == ("later",)


async def test_updates_keep_the_order_and_drop_removed_servers(tmp_path: Path) -> None:
    async with running(tmp_path) as (engine, client):
        seen = client.watch()
        await anext(seen)
        a, _, c = engine.snapshot.servers
        new = ServerSnapshot(name="d", state=Health.IDLE)
        engine.snapshot = engine.snapshot.model_copy(update={"servers": (c, new, a)})
        engine.server.publish()
        assert [each.name for each in (await anext(seen)).servers] == ["c", "d", "a"]


async def test_requests_overlap_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as (engine, client):
        slow = asyncio.create_task(client.items(protocol.ItemPage(server="slow")))
        assert (await client.items(protocol.ItemPage(server="quick"))).items[0].name == "quick"
        assert not slow.done()
        engine.hold.set()
        assert (await slow).items[0].name == "slow"


async def test_a_refusal_arrives_as_its_sentence_and_hint(tmp_path: Path) -> None:
    async with running(tmp_path) as (engine, client):
        with pytest.raises(ControlError) as refused:
            await client.act("no", Action.CONNECT)
        assert (refused.value.message, refused.value.hint) == ("No such server.", "Look again.")
        with pytest.raises(ControlError, match="does not know the request"):
            await client.logs(protocol.LogSearch(server="a"))
        await client.act("a", Action.RESTART)
        assert engine.acts == [protocol.Act(server="a", action=Action.RESTART)]


async def test_when_the_engine_ends_watchers_end_and_requests_fail(tmp_path: Path) -> None:
    async with running(tmp_path) as (engine, client):
        seen = client.watch()
        await anext(seen)
        slow = asyncio.create_task(client.items(protocol.ItemPage(server="slow")))
        await client.hello()
        await engine.server.stop()
        with pytest.raises(StopAsyncIteration):
            await anext(seen)
        with pytest.raises(NoEngine):
            await slow
        with pytest.raises(NoEngine):
            await client.hello()


async def test_without_an_engine_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoEngine):
        await Client.connect(tmp_path)
    async with running(tmp_path):
        pass
    with pytest.raises(NoEngine):
        await Client.connect(tmp_path / "missing")
    with pytest.raises(NoEngine):
        await Client.connect(tmp_path)


async def test_a_socket_left_by_a_killed_engine_is_no_engine_and_no_obstacle(
    tmp_path: Path,
) -> None:
    async with running(tmp_path):
        address = read_address(tmp_path)
        assert address is not None
        left = address.with_name("left")
        left.hardlink_to(address)
    left.rename(address)
    (tmp_path / "control.path").write_text(str(address), encoding="utf-8")
    with pytest.raises(NoEngine):
        await Client.connect(tmp_path)
    async with running(tmp_path) as (_, client):
        assert (await client.hello()).pid == 1


@pytest.mark.behaviour("B1")
async def test_only_this_user_may_open_the_socket(tmp_path: Path) -> None:
    async with running(tmp_path):
        address = read_address(tmp_path)
        assert address is not None
        assert stat.S_IMODE(address.stat().st_mode) == 0o600


async def test_a_state_folder_with_a_long_path_works(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    async with running(folder) as (_, client):
        address = read_address(folder)
        assert address is not None
        assert stat.S_IMODE(address.parent.stat().st_mode) == 0o700
        assert (await client.hello()).pid == 1
        # A cleaner of temporary files comes by.
        address.unlink()
        address.parent.rmdir()
    assert not address.parent.exists()


async def test_a_folder_that_a_killed_engine_left_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    left = choose_address(folder)
    left.touch()
    async with running(folder):
        assert not left.parent.exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"no/such/socket"])
async def test_a_broken_record_of_the_address_is_no_engine(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "control.path").write_bytes(content)
    with pytest.raises(NoEngine):
        await Client.connect(tmp_path)


async def test_a_door_that_asks_and_never_reads_costs_little(tmp_path: Path) -> None:
    async with running(tmp_path) as (engine, client):
        reader, writer = await asyncio.open_unix_connection(str(read_address(tmp_path)))
        writer.write(b'{"id":1,"method":"items","params":{"server":"slow"}}\n' * 1_000)
        await writer.drain()
        for _ in range(20):
            await client.hello()
        assert len(asyncio.all_tasks()) < 100
        engine.hold.set()
        for _ in range(1_000):
            await reader.readline()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("line", [b"hello\n", b"[]\n", b'{"id":"x"}\n', b"\xff\n"])
async def test_a_door_that_talks_nonsense_loses_only_its_own_connection(
    tmp_path: Path, line: bytes
) -> None:
    async with running(tmp_path) as (_, client):
        reader, writer = await asyncio.open_unix_connection(str(read_address(tmp_path)))
        writer.write(line)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert (await client.hello()).pid == 1


async def test_wrong_values_are_refused_in_words(tmp_path: Path) -> None:
    async with running(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(read_address(tmp_path)))
        writer.write(b'{"id":1,"method":"act","params":{"server":5,"action":"explode"}}\n')
        answer = json.loads(await reader.readline())
        assert answer["error"]["message"] == "The request 'act' has 2 wrong values."
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("proxy", ProxySnapshot(pid=2)),
        ("servers", (ServerSnapshot(name="a", state=Health.IDLE),)),
        ("warnings", ("w",)),
        ("config_error", "broken"),
        ("offline", 3),
        ("leftovers", ("node (pid 1)",)),
        ("ui", UiSettings(theme="nord", keys={"app.help": ("f1",)})),
    ],
)
def test_whatever_changes_in_a_snapshot_reaches_who_watches(field: str, value: object) -> None:
    old = EngineSnapshot(proxy=ProxySnapshot(pid=1))
    new = old.model_copy(update={field: value})
    for one, other in ((old, new), (new, old)):
        update = protocol.Update.between(one, other)
        assert update is not None
        crossed = protocol.Update.model_validate_json(update.model_dump_json())
        assert crossed.apply(one) == other
    assert protocol.Update.between(new, new) is None


async def test_a_door_that_comes_as_the_engine_stops_is_let_go(tmp_path: Path) -> None:
    async with running(tmp_path) as (engine, _):
        with accepting.client(str(read_address(tmp_path))) as sock:
            await accepting.accepted()
            await engine.server.stop()
            assert await asyncio.to_thread(sock.recv, 1) == b""
