from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.spec import StdioLaunch
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.containers import labelled, program
from tests.end_to_end.program import eventually
from tests.fixtures import fake_docker
from tests.upstream.rig import FIXTURES, QUICK, running

MARK = "inst/run1/7/"
LABELS = (
    "--label=mcpmux.instance=inst/",
    "--label=mcpmux.run=inst/run1/",
    "--label=mcpmux.child=inst/run1/7/",
)
RAW = [sys.executable, str(FIXTURES / "raw_stdio.py")]
PATIENT = replace(QUICK, container_term=10.0)


@pytest.mark.parametrize(
    ("command", "args", "place"),
    [
        ("docker", ["run", "-i", "--rm", "mcp/time"], 1),
        ("/usr/bin/podman", ["run", "x"], 1),
        ("docker", ["container", "run", "x"], 2),
        ("docker", ["--context", "far", "-D", "run", "x"], 4),
        ("docker", ["--context=far", "run", "run"], 2),
    ],
)
def test_a_start_of_a_container_gets_labels(command: str, args: list[str], place: int) -> None:
    found = labelled(command, args, MARK)
    assert found == (*args[:place], *LABELS, *args[place:])


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("docker", ["exec", "-i", "run", "server"]),
        ("docker", ["compose", "run", "server"]),
        ("docker", ["start", "-ai", "run"]),
        ("docker", []),
        ("npx", ["run", "docker"]),
        ("dockerd", ["run"]),
    ],
)
def test_any_other_command_stays_as_it_is(command: str, args: list[str]) -> None:
    assert labelled(command, args, MARK) is None


def test_what_asks_for_containers_later_holds_no_secret() -> None:
    environment = {"PATH": "/bin", "DOCKER_HOST": "unix:///x", "API_KEY": "s3cret", "HOME": "/h"}
    command, kept, _ = program("docker", environment, Path("/"))
    assert command == "docker"
    assert kept == {"PATH": "/bin", "DOCKER_HOST": "unix:///x", "HOME": "/h"}


@pytest.fixture
def docker(tmp_path: Path) -> Callable[..., StdioLaunch]:
    """Launches of containers by a docker that is a fake, whose service is `tmp_path`."""
    env = fake_docker.install(tmp_path)

    def launch(*command: str) -> StdioLaunch:
        return StdioLaunch("docker", ("run", "-i", "--rm", "--", *command), env)

    return launch


def ended(process: psutil.Process) -> bool:
    """Whether nothing of a process runs; nobody may have reaped it yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def test_a_container_may_take_its_time_to_shut_down(
    docker: Callable[..., StdioLaunch], tmp_path: Path
) -> None:
    # It ignores the end of its input, and needs longer than any other child may.
    slow = (
        f"trap 'sleep 1; touch {tmp_path}/clean; exit 0' TERM;"
        f" exec 3<&0; {' '.join(RAW)} --stubborn <&3 & wait"
    )
    async with running(docker("sh", "-c", slow), limits=PATIENT) as rig:
        await rig.reach(Health.CONNECTED)
        running_one = fake_docker.newest(tmp_path)
        rig.supervisor.post(Action.DISCONNECT)
        await rig.reach(Health.IDLE)
        assert ended(running_one)
        assert (tmp_path / "clean").exists()


async def test_when_everything_ends_a_container_gets_no_longer_than_others(
    docker: Callable[..., StdioLaunch], tmp_path: Path
) -> None:
    async with running(docker(*RAW, "--stubborn"), limits=PATIENT) as rig:
        await rig.reach(Health.CONNECTED)
        client = rig.snapshot.pid
        rig.supervisor.post(Action.DISCONNECT)
        await rig.reach(Health.STOPPING)
        rig.children.hurried = True
        started = time.monotonic()
        await rig.reach(Health.IDLE)
        assert time.monotonic() - started < 5
        assert client is not None
        assert not psutil.pid_exists(client)
        # What the client could not end is the watchdog's.
        left = fake_docker.newest(tmp_path)
        await rig.children.close()
        eventually(lambda: ended(left), 10, "the container is stopped")


async def test_a_container_whose_client_was_killed_is_stopped_before_the_next_starts(
    docker: Callable[..., StdioLaunch], tmp_path: Path
) -> None:
    async with running(
        docker(*RAW, "--stubborn"), limits=replace(QUICK, container_term=0.3)
    ) as rig:
        client = (await rig.reach(Health.CONNECTED)).pid
        assert client is not None
        first = fake_docker.newest(tmp_path)
        os.kill(client, signal.SIGKILL)
        await rig.reach(Health.RECONNECTING)
        await rig.reach(Health.CONNECTED)
        assert ended(first)
        assert not ended(fake_docker.newest(tmp_path))


@pytest.mark.behaviour("P17")
def test_a_container_of_an_earlier_run_is_found_by_its_labels_and_stopped(tmp_path: Path) -> None:
    env = fake_docker.install(tmp_path)
    clients = []
    children = Children("inst")
    for mark in ("inst/earlier/1/", children.mark(), "other/earlier/1/"):
        args = labelled("docker", ["run", "--", "sleep", "600"], mark)
        assert args is not None
        docker = tmp_path / "bin" / "docker"
        clients.append(subprocess.Popen([docker, *args], env=env, stdout=subprocess.PIPE))
    try:
        eventually(lambda: len(list(tmp_path.glob("*.json"))) == 3, 10, "three containers")
        children.watchdog.watch_containers(program("docker", env, tmp_path))
        (found,) = children.leftovers()
        assert found.startswith("container c")
        children.end_leftovers()
        assert children.leftovers() == ()
        clients[0].wait(10)
        assert [client.poll() for client in clients[1:]] == [None, None]
    finally:
        for client in clients:
            client.terminate()
            with client:
                client.wait(10)
        asyncio.run(children.close())
