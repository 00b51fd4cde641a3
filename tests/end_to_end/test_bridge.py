"""`mcpmux stdio`: a client's whole life over the bridge, whatever becomes of the engine."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from tests.end_to_end.program import Home, Served, eventually
from tests.end_to_end.test_bytes import EXPECTED, raw_http
from tests.end_to_end.wire import Era, compact, pipe_wire
from tests.fixtures.http_peer import MODERN, Refused
from tests.fixtures.pipe_peer import PipePeer, bridge
from tests.fixtures.raw_server import LEGACY

ERAS = (LEGACY, MODERN)
CHANGED = "notifications/tools/list_changed"


@asynccontextmanager
async def bridged(
    home: Home, *args: str, version: str, stderr: int = subprocess.DEVNULL
) -> AsyncIterator[PipePeer]:
    """A client of a bridge to this home's engine."""
    own = ("--config", str(home.config), *args)
    async with bridge(*own, version=version, env=home.env, stderr=stderr) as client:
        yield client


async def until_served(client: PipePeer, tool: str) -> None:
    """Wait until a tool's server is there."""
    async with asyncio.timeout(20):
        while True:
            try:
                await client.call(tool)
            except Refused:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_bytes_cross_as_they_are_and_ids_keep_their_kind(home: Home, era: Era) -> None:
    home.write(home.stdio("raw"))
    command = (sys.executable, "-m", "mcpmux_tui", "--config", str(home.config), "stdio")
    with Served(home, "--port", "0"):
        home.wait_until_connected()
        async with pipe_wire(era, *command, env=home.env) as wire:
            assert await wire.call("raw__hard") == EXPECTED[era]
            arguments = {"n": 2**70, "half": "\ud83d", "name": "é\u0000", "deep": [[1e22, -0.0]]}
            for id in (2**70, "7"):
                result = json.loads(await wire.call("raw__echo", arguments, id=id))
                assert result["content"][0]["text"] == compact(arguments).decode()
            long = await wire.call("raw__echo", {"text": "x" * 3_000_000})
            assert len(long) > 3_000_000


@pytest.mark.parametrize("version", ERAS)
async def test_a_restart_of_the_engine_on_another_port_goes_unnoticed(
    home: Home, version: str
) -> None:
    home.write(home.stdio("raw"))
    with Served(home, "--port", "0") as first:
        home.wait_until_connected()
        async with bridged(home, version=version) as client:
            await client.listen()
            await client.call("raw__echo")
            if version == LEGACY:
                await client.request("logging/setLevel", {"level": "error"})
            url = first.url
            assert first.stop().code == 0
            with Served(home, "--port", "0") as second:
                assert second.url != url
                home.wait_until_connected()
                assert await client.text("raw__echo") == "{}"
                # The list may be another one now.
                await client.until(lambda each: each["method"] == CHANGED)
                client.heard.clear()
                await client.call("raw__grow")
                await client.until(lambda each: each["method"] == CHANGED)
                listed = (await client.request("tools/list"))["tools"]
                assert any(tool["name"].startswith("raw__grown") for tool in listed)


async def test_a_call_under_way_when_the_engine_is_killed_fails_once_and_is_not_sent_again(
    home: Home,
) -> None:
    home.write(home.stdio("raw"))
    with Served(home, "--port", "0") as first:
        home.wait_until_connected()
        async with bridged(home, version=LEGACY) as client:
            waiting = asyncio.create_task(client.call("raw__slow", key="k"))
            while '"tools/call": 1' not in await client.text("raw__seen"):
                pass
            first.stop(signal.SIGKILL)
            with pytest.raises(Refused, match="may have been carried out"):
                await waiting
            with Served(home, "--port", "0"):
                home.wait_until_connected()
                # The only call that the new server has seen is the one that asks.
                assert '"tools/call": 1' in await client.text("raw__seen")


@pytest.mark.parametrize("version", ERAS)
async def test_without_an_engine_the_bridge_starts_one_that_ends_with_it(
    home: Home, version: str
) -> None:
    home.write("[proxy]\nport = 0\n", home.stdio("raw"))
    async with bridged(home, version=version) as client, bridged(home, version=version) as other:
        await until_served(client, "raw__echo")
        engine = home.pid
        assert psutil.Process(engine).ppid() == client.process.pid
        await other.call("raw__echo")
        await client.close()
        assert await client.process.wait() == 0
        eventually(lambda: not psutil.pid_exists(engine), 10, "the engine's end")
        # Whoever needs one next starts the next one.
        await until_served(other, "raw__echo")


async def test_a_killed_bridge_takes_its_engine_along(home: Home) -> None:
    home.write("[proxy]\nport = 0\n", home.stdio("raw"))
    async with bridged(home, version=LEGACY) as client:
        await until_served(client, "raw__echo")
        client.process.kill()
        eventually(lambda: not home.survivors(), 12, "the end of all")


async def test_where_no_engine_may_be_started_the_client_is_told_what_to_do(home: Home) -> None:
    home.write(home.stdio("raw"))
    with pytest.raises(Refused, match="does not run for this config"):
        async with bridged(home, "--no-start", version=LEGACY):
            pass
    assert home.snapshot() is None


async def test_an_engine_that_cannot_start_says_why(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        home.write(f"[proxy]\nport = {taken.getsockname()[1]}\n")
        with pytest.raises(Refused, match=r"is in use.*choose another port"):
            async with bridged(home, version=LEGACY):
                pass


async def test_the_token_is_found_and_stands_nowhere_else(home: Home) -> None:
    home.write(home.stdio("raw"))
    with Served(home, "--port", "0") as served:
        home.wait_until_connected()
        token = home.run("token", "--config", str(home.config)).out.strip()
        async with bridged(home, version=LEGACY, stderr=subprocess.PIPE) as client:
            await client.call("raw__echo")
            arguments = psutil.Process(client.process.pid).cmdline()
            environment = psutil.Process(client.process.pid).environ()
            await client.close()
            assert client.process.stderr is not None
            written = (await client.process.stderr.read()).decode()
        log = served.stop().err
    for text in (*arguments, *environment.values(), written, log):
        assert token not in text


async def test_with_a_wrong_token_the_client_is_told_where_to_look(home: Home) -> None:
    home.write(home.stdio("raw"))
    with Served(home, "--port", "0"):
        home.env["MCPMUX_TOKEN"] = "another-one"
        with pytest.raises(Refused, match="MCPMUX_TOKEN"):
            async with bridged(home, version=LEGACY):
                pass


@pytest.mark.parametrize("version", ERAS)
async def test_any_address_will_do_and_variables_keep_secrets_out_of_the_arguments(
    home: Home, version: str
) -> None:
    home.write(home.stdio("raw"))
    with Served(home, "--port", "0") as served:
        home.wait_until_connected()
        env = home.env | {"KEY": home.run("token", "--config", str(home.config)).out.strip()}
        header = ("--header", "Authorization: Bearer ${KEY}")
        async with bridge("--url", served.url, *header, version=version, env=env) as client:
            assert await client.text("raw__echo") == "{}"
        with pytest.raises(Refused, match="wants credentials"):
            async with bridge("--url", served.url, version=LEGACY, env=home.env) as client:
                await client.call("raw__echo")


async def test_arguments_that_a_server_wants_as_headers_are_repeated_there() -> None:
    with raw_http("--modern-only", "--param-header") as url:
        async with bridge("--url", url, version=MODERN) as client:
            await client.request("tools/list")
            assert "north" in await client.text("region", region="north")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"not json", b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,'),
        (b'{"jsonrpc":"2.0","id":5,"method":"ping"}', b'{"jsonrpc":"2.0","id":5,"error":'),
    ],
)
def test_what_is_wrong_with_a_line_is_its_answer(home: Home, line: bytes, answer: bytes) -> None:
    home.write()
    with Served(home, "--port", "0"):
        done = subprocess.run(
            [sys.executable, "-m", "mcpmux_tui", "stdio", "--config", str(home.config)],
            env=home.env, input=line, capture_output=True, timeout=20, check=True,
        )  # fmt: skip
    assert done.stdout.startswith(answer)
    assert done.stdout.count(b"\n") == 1


def test_a_client_that_is_gone_ends_the_bridge_without_a_word(home: Home) -> None:
    home.write()
    command = [sys.executable, "-m", "mcpmux_tui", "stdio", "--config", str(home.config)]
    pipe = subprocess.PIPE
    with (
        Served(home, "--port", "0"),
        subprocess.Popen(command, env=home.env, stdin=pipe, stdout=pipe, stderr=pipe) as bridge,
    ):
        assert bridge.stdin is not None
        assert bridge.stdout is not None
        assert bridge.stderr is not None
        bridge.stdin.write(b"not json\n")
        bridge.stdin.flush()
        assert b"-32700" in bridge.stdout.readline()
        bridge.stdout.close()
        assert bridge.wait(10) == 0
        assert bridge.stderr.read() == b""


def test_the_bridge_loads_nothing_but_the_standard_library(home: Home) -> None:
    home.write()
    script = (
        "import sys, runpy; sys.argv[1:] = ['stdio', '--config', sys.argv[1]]\n"
        "try: runpy.run_module('mcpmux_tui', run_name='__main__')\n"
        "finally: print(*{name.partition('.')[0] for name, module in sys.modules.items()"
        " if module}, file=sys.stderr)"
    )
    with Served(home, "--port", "0"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(home.config)],
            env=home.env, input=b'{"jsonrpc":"2.0","id":5,"method":"ping"}\n',
            capture_output=True, timeout=20, check=True,
        )  # fmt: skip
    loaded = set(done.stderr.decode().splitlines()[-1].split())
    # What virtual environments and editable installs load by themselves begins with an underline.
    foreign = {each for each in loaded - sys.stdlib_module_names if not each.startswith("_")}
    assert foreign <= {"mcpmux_tui", "sitecustomize"}
    # Nor what takes long to load there, and is for https or for more arguments than it has.
    assert not loaded & {"argparse", "dataclasses", "getopt", "gettext", "ssl", "_hashlib"}
