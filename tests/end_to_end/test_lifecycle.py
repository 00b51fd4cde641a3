from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.end_to_end.program import RAW_STDIO, Home, Served, Terminal, eventually
from tests.end_to_end.wire import http_wire
from tests.fixtures import fake_docker
from tests.fixtures.http_peer import Refused, peer
from tests.fixtures.raw_http import RawHttp


def stubborn_servers(home: Home) -> None:
    home.write(
        home.stdio("polite"),
        home.stdio("stubborn", "--stubborn"),
        "[servers.shell]\ncommand = 'sh'\nargs = ['-c', '"
        f"sleep 600 & {sys.executable} {RAW_STDIO} --grandchild --mark {home.mark}; true']\n",
    )


def all_up(home: Home) -> bool:
    return home.all_connected()


def descendants(pid: int) -> list[int]:
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if _lives(pid)]


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_zombie(process: psutil.Process) -> bool:
    return process.is_running() and process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.behaviour("P11", "P12", "P15")
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_serve_ends_cleanly_on_a_signal_and_leaves_nobody(
    home: Home, number: signal.Signals
) -> None:
    stubborn_servers(home)
    with Served(home, "--port", "0") as served:
        eventually(lambda: all_up(home), 20, "all connected")
        children = descendants(served.process.pid)
        assert len(children) >= 5
        done = served.stop(number, limit=9)
        assert (done.code, done.out) == (0, "")
        assert "Traceback" not in done.err
        assert alive(children) == []


@pytest.mark.behaviour("P14", "P15")
@pytest.mark.parametrize("how", ["q", signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_the_ui_ends_nobody_is_left(home: Home, how: str | signal.Signals) -> None:
    stubborn_servers(home)
    with Terminal(home, "--config", str(home.config), "--port", "0") as terminal:
        terminal.wait_for("stubborn")
        eventually(lambda: all_up(home), 20, "all connected")
        children = descendants(terminal.process.pid)
        assert len(children) >= 6
        if isinstance(how, str):
            terminal.press(how)
        else:
            terminal.process.send_signal(how)
        terminal.finish(limit=12)
        eventually(lambda: alive(children) == [], 8, "all gone")
        if how is not signal.SIGKILL:
            assert b"\x1b[?1049l" in terminal.output
            assert b"Traceback" not in terminal.output


@pytest.mark.behaviour("P12", "P13", "P14")
def test_a_killed_engine_leaves_none_of_its_children(home: Home) -> None:
    shell = f"exec {sys.executable} {RAW_STDIO} --mark {home.mark}"
    escape = f"setsid sh -c 'trap \"\" TERM; exec sleep 600' & {shell}"
    home.write(
        *(home.stdio(f"polite{n}") for n in range(5)),
        *(home.stdio(f"stubborn{n}", "--stubborn") for n in range(10)),
        *(home.stdio(f"tree{n}", "--stubborn", "--grandchild") for n in range(3)),
        *(
            f"[servers.escape{n}]\ncommand = 'sh'\nargs = ['-c', {json.dumps(escape)}]\n"
            for n in range(2)
        ),
    )
    with Served(home, "--port", "0") as served:
        eventually(lambda: all_up(home), 40, "all connected")
        children = descendants(served.process.pid)
        # 20 servers, 3 grandchildren, 2 that escaped, and the watchdog itself.
        assert len(children) == 26
        served.process.kill()
        eventually(lambda: alive(children) == [], 5, "all gone")


@pytest.mark.behaviour("P14")
def test_a_killed_engine_leaves_no_container(home: Home, tmp_path: Path) -> None:
    env = fake_docker.install(tmp_path)
    args = ["run", "-i", "--", sys.executable, str(RAW_STDIO), "--stubborn"]
    home.write(
        "[servers.boxed]\ncommand = 'docker'\n"
        f"args = {json.dumps(args)}\nenv = {{ PATH = '{env['PATH']}', "
        f"DOCKER_HOST = '{env['DOCKER_HOST']}' }}\n"
    )
    with Served(home, "--port", "0") as served:
        eventually(lambda: all_up(home), 20, "all connected")
        container = fake_docker.newest(tmp_path)
        served.process.kill()
        eventually(lambda: alive([container.pid]) == [], 10, "the container stopped")


@pytest.mark.slow
@pytest.mark.behaviour("P17")
def test_what_a_killed_run_left_behind_is_offered_and_ended_by_a_key(home: Home) -> None:
    home.write(home.stdio("stubborn", "--stubborn", "--grandchild"))
    with Served(home, "--port", "0") as served:
        eventually(lambda: all_up(home), 20, "all connected")
        family = psutil.Process(served.process.pid).children()
        (watchdog,) = (each for each in family if "reaper.py" in " ".join(each.cmdline()))
        left = [pid for pid in descendants(served.process.pid) if pid != watchdog.pid]
        watchdog.kill()
        served.process.kill()
    assert len(left) == 2
    with Terminal(home, "--config", str(home.config), "--port", "0") as terminal:
        terminal.wait_for("Left behind by an earlier run")
        terminal.wait_for(f"(pid {left[0]})")
        assert alive(left) == left
        eventually(lambda: all_up(home), 20, "all connected")
        now = descendants(terminal.process.pid)
        terminal.press("K")
        terminal.read_until(lambda: alive(left) == [], 10, "the end of what was left")
        status = ("status", "--config", str(home.config))
        terminal.read_until(lambda: "Left behind" not in home.run(*status).err, 10, "no banner")
        assert alive(now) == now
        terminal.press("q")
        assert terminal.finish() == 0


@pytest.mark.behaviour("P16")
def test_servers_are_served_while_the_screen_is_suspended(home: Home) -> None:
    home.write(home.stdio("alpha"))
    with Terminal(home, "--config", str(home.config), "--port", "0") as terminal:
        terminal.wait_for("alpha")
        eventually(lambda: all_up(home), 20, "connected")
        terminal.process.send_signal(signal.SIGTSTP)
        screen = psutil.Process(terminal.process.pid)
        terminal.read_until(lambda: screen.status() == psutil.STATUS_STOPPED, 5, "the suspension")
        status = json.loads(home.run("status", "--json", "--config", str(home.config)).out)
        assert [server["state"] for server in status["servers"]] == ["connected"]
        health = httpx2.get(status["proxy"]["url"].replace("/mcp", "/healthz"), trust_env=False)
        assert health.text.strip() == "ok"
        terminal.process.send_signal(signal.SIGCONT)
        terminal.press("q")
        assert terminal.finish() == 0


@pytest.mark.behaviour("P27")
def test_as_the_first_process_of_a_container_mcpmux_leaves_no_zombies(home: Home) -> None:
    namespace = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    possible = subprocess.run([*namespace, "true"], capture_output=True, check=False)
    if possible.returncode != 0:
        pytest.skip(f"no PID namespace here: {possible.stderr.decode().strip()}")
    # The shell leaves an orphan that ends at once.
    home.write(
        home.stdio("alpha"),
        f"[servers.shell]\ncommand = 'sh'\nargs = ['-c', '(sleep 0.1 &) ; "
        f"exec {sys.executable} {RAW_STDIO} --mark {home.mark}']\n",
    )
    with Served(home, "--port", "0", before=namespace) as served:
        eventually(lambda: all_up(home), 20, "all connected")
        (first,) = psutil.Process(served.process.pid).children()
        family: list[psutil.Process] = []

        def reaped() -> bool:
            family[:] = first.children(recursive=True)
            return len(family) == 3 and not any(map(is_zombie, family))

        eventually(reaped, 10, "two servers, the watchdog and no orphan")
        first.send_signal(signal.SIGTERM)
        served.finish()
        assert alive([each.pid for each in family]) == []


@pytest.mark.behaviour("P25")
def test_without_descriptors_for_all_some_servers_run_and_the_others_say_why(home: Home) -> None:
    home.write(*(home.stdio(f"s{n:02}") for n in range(12)))
    config = ("--config", str(home.config))
    limited = Served(home, "--port", "0", before=("sh", "-c", 'ulimit -n 72; exec "$@"', "sh"))

    def states() -> list[dict[str, str]]:
        servers = json.loads(home.run("status", "--json", *config).out)["servers"]
        assert isinstance(servers, list)
        return servers

    with limited:
        eventually(
            lambda: {"connected", "reconnecting"} == {each["state"] for each in states()},
            20, "some connected, the others waiting",
        )  # fmt: skip
        waiting = [each for each in states() if each["state"] == "reconnecting"]
        assert all("Too many open files" in each["detail"] for each in waiting)
        done = limited.stop()
    assert done.code == 0
    assert "Traceback" not in done.err


@pytest.mark.behaviour("X6")
def test_a_second_start_is_refused_in_a_sentence(home: Home) -> None:
    home.write(home.stdio("a"))
    with Served(home, "--port", "0") as served:
        second = home.run("serve", "--config", str(home.config), "--port", "0")
        assert second.code == 4
        assert second.out == ""
        assert f"already runs for this config (pid {served.process.pid})" in second.err
        assert "Traceback" not in second.err


@pytest.mark.behaviour("X5", "B11")
def test_a_taken_port_ends_serve_with_its_owner_named(home: Home) -> None:
    home.write(home.stdio("a"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = home.run("serve", "--config", str(home.config), "--port", str(port))
    assert done.code == 2
    assert f"Port {port} is in use by pid {os.getpid()}" in done.err
    assert "Traceback" not in done.err


def test_a_taken_port_under_the_ui_is_a_banner_and_the_servers_run(home: Home) -> None:
    home.write(home.stdio("alpha"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        args = ("--config", str(home.config), "--port", str(port))
        with Terminal(home, *args) as terminal:
            terminal.wait_for(f"Port {port} is in use")
            eventually(lambda: all_up(home), 20, "connected")
            terminal.press("q")
            assert terminal.finish() == 0


def test_a_killed_engine_is_a_sentence_in_the_ui_and_in_the_commands(home: Home) -> None:
    home.write(home.stdio("alpha"))
    config = ("--config", str(home.config))
    with Terminal(home, *config, "--port", "0") as terminal:
        terminal.wait_for("alpha")
        eventually(lambda: all_up(home), 20, "connected")
        status = json.loads(home.run("status", "--json", *config).out)
        os.kill(status["proxy"]["pid"], signal.SIGKILL)
        terminal.wait_for("engine has ended")
        assert home.run("status", *config).code == 3
        terminal.press("q")
        assert terminal.finish() == 1
        assert b"Traceback" not in terminal.output
        assert "The mcpmux engine was ended by signal 9 (Killed)" in terminal.text
        assert "engine.log" in terminal.text
        assert "Stopping the servers" not in terminal.text
    with Served(home, "--port", "0") as served:
        assert served.listening


@pytest.mark.behaviour("X6")
def test_a_second_mcpmux_attaches_and_its_quitting_stops_nothing(home: Home) -> None:
    home.write(home.stdio("alpha"))
    config = ("--config", str(home.config))
    with Terminal(home, *config, "--port", "0") as first:
        first.wait_for("alpha")
        eventually(lambda: all_up(home), 20, "connected")
        with Terminal(home, *config) as second:
            second.wait_for("alpha")
            second.press("q")
            assert second.finish() == 0
        assert home.run("status", *config).code == 0
        # As by ctrl+z: nobody reaps the engine that it started.
        os.kill(first.process.pid, signal.SIGSTOP)
        stopped = home.run("stop", *config)
        os.kill(first.process.pid, signal.SIGCONT)
        assert stopped.code == 0, stopped
        assert home.run("status", *config).code == 3
        first.wait_for("engine has ended")
        first.press("q")
        first.finish()
        assert "The mcpmux engine was stopped" in first.text
    assert home.survivors() == []


_BROKEN_SCREEN = """
from mcpmux_tui.ui.widgets.tab_strip import TabStrip
def broken(self):
    raise LookupError("Bearer tok-widget-canary")
TabStrip.on_click = broken
from mcpmux_tui.cli.main import main
main()
"""
_CLICK = "\x1b[<0;4;2M\x1b[<0;4;2m"


@pytest.mark.behaviour("T4")
def test_a_crash_of_a_widget_stops_an_engine_of_ones_own_and_leaves_anothers(home: Home) -> None:
    home.write(home.stdio("alpha"))
    config = ("--config", str(home.config))
    broken = ("-c", _BROKEN_SCREEN)
    with Terminal(home, *config, "--port", "0", program=broken) as own:
        own.wait_for("alpha")
        eventually(lambda: all_up(home), 20, "connected")
        own.press(_CLICK)
        assert own.finish() == 70
        assert "The screen of mcpmux failed (LookupError)" in own.text
        assert b"\x1b[?1049l" in own.output
        assert "canary" not in own.text
    assert home.run("status", *config).code == 3
    eventually(lambda: home.survivors() == [], 10, "all gone")
    with Served(home, "--port", "0") as served:
        assert served.listening
        with Terminal(home, *config, program=broken) as other:
            other.wait_for("alpha")
            other.press(_CLICK)
            assert other.finish() == 70
        assert home.run("status", *config).code == 0


async def test_an_engine_that_was_let_go_serves_on_until_it_is_told_to_stop(home: Home) -> None:
    home.write(home.stdio("alpha"))
    config = ("--config", str(home.config))
    with Terminal(home, *config, "--port", "0") as terminal:
        await asyncio.to_thread(terminal.wait_for, "alpha")
        await asyncio.to_thread(eventually, lambda: all_up(home), 20, "connected")
        url = json.loads(home.run("status", "--json", *config).out)["proxy"]["url"]
        token = home.run("token", *config).out.strip()
        async with http_wire("legacy", url, token) as agent:
            await asyncio.to_thread(terminal.wait_for, "1 client")
            terminal.press("q")
            await asyncio.to_thread(terminal.wait_for, "Keep the proxy running")
            terminal.press("d")
            assert await asyncio.to_thread(terminal.finish) == 0
            assert "goes on in the background" in terminal.text
            assert await agent.call("alpha__echo", {"text": "still here"})
    assert home.run("status", *config).code == 0
    with Terminal(home, *config) as again:
        await asyncio.to_thread(again.wait_for, "alpha")
        again.press("q")
        assert await asyncio.to_thread(again.finish) == 0
    assert home.run("stop", *config).code == 0
    await asyncio.to_thread(eventually, lambda: home.survivors() == [], 10, "all gone")


def test_without_a_terminal_nothing_starts_and_one_line_says_what_to_use(home: Home) -> None:
    home.write(home.stdio("a"))
    done = home.run("--config", str(home.config))
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "mcpmux serve" in done.err
    home.env["TERM"] = "dumb"
    with Terminal(home, "--config", str(home.config)) as terminal:
        assert terminal.finish() == 2


@pytest.mark.behaviour("F15")
async def test_the_addresses_of_requests_are_not_logged(home: Home) -> None:
    async with RawHttp.open() as http:
        home.write(f"[servers.far]\nurl = '{http.url}'\n")
        with Served(home, "--port", "0") as served:
            await asyncio.to_thread(home.wait_until_connected)
            ended = await asyncio.to_thread(served.stop)
    assert "started for" in ended.err
    assert "HTTP" not in ended.err


@pytest.mark.behaviour("X8")
async def test_after_a_crash_a_client_finds_the_same_port_and_token_and_begins_anew(
    home: Home,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    home.write(home.stdio("alpha"))
    token = home.run("token", "--config", str(home.config)).out.strip()
    with Served(home, "--port", port) as served:
        home.wait_until_connected()
        async with peer(served.url, "2025-11-25", token=token) as client:
            await client.text("alpha__echo")
            eventually(lambda: any(home.folder.glob("state/*/lists/*")), 10, "its list is kept")
            served.process.kill()
            served.process.wait(10)
            with Served(home, "--port", port) as again:
                assert again.url == served.url
                with pytest.raises(Refused, match="initialize again"):
                    await client.request("tools/list")
                await client.open()
                assert await client.text("alpha__echo", n=1) == '{"n": 1}'
                again.stop()
