"""What clients get through mcpmux is what the server sent, and each gets its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.end_to_end.program import RAW_HTTP, Home, Served, eventually, home_at
from tests.end_to_end.wire import Era, RequestId, compact, http_wire, pipe_wire
from tests.fixtures.raw_server import HARD, HARD_MODERN

ERAS: tuple[Era, Era] = ("legacy", "modern")
EXPECTED = {"legacy": HARD.encode(), "modern": HARD_MODERN.encode()}


@dataclass(frozen=True)
class Engine:
    """A running `mcpmux serve` with one raw server per transport and era."""

    url: str
    token: str
    direct: dict[str, str]
    """The addresses of the HTTP servers behind it, by name."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    for home in home_at(tmp_path_factory.mktemp("home")):
        with raw_http("--legacy-only") as old, raw_http("--modern-only", "--sse") as new:
            yield from serving(home, {"web-legacy": old, "web-modern": new})


def serving(home: Home, direct: dict[str, str]) -> Iterator[Engine]:
    """Serve the raw servers until the tests are done."""
    home.write(
        home.stdio("pipe-legacy", "--legacy-only"),
        home.stdio("pipe-modern", "--modern-only"),
        home.stdio("both"),
        *(f"[servers.{name}]\nurl = '{url}'\n" for name, url in direct.items()),
    )
    config = ("--config", str(home.config))
    with Served(home, "--port", "0") as served:
        eventually(home.all_connected, 20, "all connected")
        yield Engine(served.url, home.run("token", *config).out.strip(), direct)


@contextmanager
def raw_http(*flags: str) -> Iterator[str]:
    """Run a raw HTTP server; its address."""
    command = (sys.executable, str(RAW_HTTP), *flags)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.mark.parametrize("era", ERAS)
async def test_bytes_of_a_stdio_servers_result_are_those_of_a_direct_connection(
    engine: Engine, era: Era
) -> None:
    async with (
        pipe_wire(era) as direct,
        http_wire(era, engine.url, engine.token) as all_servers,
        http_wire(era, f"{engine.url}/pipe-{era}", engine.token) as one_server,
    ):
        expected = await direct.call("hard")
        assert expected == EXPECTED[era]
        assert await all_servers.call(f"pipe-{era}__hard") == expected
        assert await one_server.call("hard") == expected


@pytest.mark.parametrize("era", ERAS)
async def test_bytes_of_an_http_servers_result_are_those_of_a_direct_connection(
    engine: Engine, era: Era
) -> None:
    async with (
        http_wire(era, engine.direct[f"web-{era}"]) as direct,
        http_wire(era, engine.url, engine.token) as all_servers,
        http_wire(era, f"{engine.url}/web-{era}", engine.token) as one_server,
    ):
        expected = await direct.call("hard")
        assert expected == EXPECTED[era]
        assert await all_servers.call(f"web-{era}__hard") == expected
        assert await one_server.call("hard") == expected


@pytest.mark.parametrize("transport", ["pipe", "web"])
@pytest.mark.parametrize(("client", "server"), [ERAS, ERAS[::-1]])
async def test_across_the_eras_only_the_result_type_is_added_or_taken_out(
    engine: Engine, transport: str, client: Era, server: Era
) -> None:
    async with http_wire(client, engine.url, engine.token) as wire:
        assert await wire.call(f"{transport}-{server}__hard") == EXPECTED[client]


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_of_both_eras_gives_each_client_the_bytes_of_its_own_era(
    engine: Engine, era: Era
) -> None:
    async with (
        pipe_wire(era) as direct,
        http_wire(era, engine.url, engine.token) as wire,
    ):
        assert await wire.call("both__hard") == await direct.call("hard")


@pytest.mark.parametrize("era", ERAS)
async def test_arguments_arrive_as_they_were_sent(engine: Engine, era: Era) -> None:
    arguments = {"n": 2**70, "half": "\ud83d", "name": "é\u0000", "deep": [[1e22, -0.0]]}
    async with http_wire(era, engine.url, engine.token) as wire:
        result = json.loads(await wire.call(f"pipe-{era}__echo", arguments))
    assert result["content"][0]["text"] == compact(arguments).decode()


@pytest.mark.parametrize(("first", "second"), [ERAS, ERAS[::-1]])
async def test_two_clients_of_different_eras_get_their_own_answers_under_the_same_ids(
    engine: Engine, first: Era, second: Era
) -> None:
    async with (
        http_wire(first, engine.url, engine.token) as one,
        http_wire(second, engine.url, engine.token) as two,
    ):
        ids: tuple[RequestId, ...] = (7, "7")
        for number, id in enumerate(ids):
            key = f"{first}-{number}"
            waiting = asyncio.create_task(one.call("both__slow", {"key": key}, id=id))
            assert b"from two" in await two.call("both__echo", {"says": "from two"}, id=id)
            assert not waiting.done()
            await two.call("both__tell", {"key": key}, id=id)
            assert b'"done"' in await waiting

        answers = await asyncio.gather(
            *(
                wire.call("both__echo", {"says": f"{name}-{id}."}, id=id)
                for id in range(50)
                for name, wire in (("one", one), ("two", two))
            )
        )
        said = [f"{name}-{id}.".encode() for id in range(50) for name in ("one", "two")]
        assert all(word in answer for word, answer in zip(said, answers, strict=True))
