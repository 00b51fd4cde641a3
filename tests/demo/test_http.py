"""The child behind the demo's HTTP row: it starts fast, says why it cannot, and never lingers."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest
from mcp.client import Client

from mcpmux_tui.demo import HttpServer, http
from mcpmux_tui.model.errors import StartFailed

PARENT = """
import asyncio, sys
from mcpmux_tui.demo import HttpServer

async def main():
    server = HttpServer()
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def gone(pid: int) -> bool:
    """Whether the process ends within 5 s; init may take longer to collect what is left of it."""
    for _ in range(250):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_stop_leaves_no_process_and_may_be_repeated() -> None:
    server = HttpServer()
    url = await server.start()
    pid = server.pid
    assert url == server.origin
    assert url.startswith("http://127.0.0.1:")
    assert pid is not None
    assert psutil.pid_exists(pid)
    await server.stop()
    await server.stop()
    assert server.pid is None
    assert not psutil.pid_exists(pid)


async def test_stop_does_not_wait_for_an_open_stream() -> None:
    async with HttpServer() as server:
        pid = server.pid
        assert pid is not None
        async with Client(f"{server.origin}/mcp", mode="auto") as client:
            await client.list_tools()
        loop = asyncio.get_running_loop()
        before = loop.time()
        await server.stop()
        assert loop.time() - before < 1.0
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
async def test_the_child_ends_with_its_parent(ending: signal.Signals) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert psutil.pid_exists(child)
    parent.send_signal(ending)
    await parent.wait()
    assert await gone(child)


async def test_a_child_that_ignores_the_end_of_stdin_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('http://127.0.0.1:1/mcp', flush=True)\n"
        "print('still here', flush=True)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(http, "program", lambda name: (sys.executable, "-c", script))
    monkeypatch.setattr(http, "_STEP_SECONDS", 0.2)
    async with HttpServer() as server:
        pid = server.pid
        assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_a_child_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (sys.executable, "-c", "raise SystemExit('port table is full')")
    monkeypatch.setattr(http, "program", lambda name: program)
    with pytest.raises(StartFailed, match="did not start: port table is full") as caught:
        await HttpServer().start()
    assert caught.value.hint


async def test_a_missing_python_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(http, "program", lambda name: (str(tmp_path / "python"),))
    with pytest.raises(StartFailed, match="No such file"):
        await HttpServer().start()


async def test_a_child_that_names_no_address_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (sys.executable, "-c", "import sys; sys.stdin.read()")
    monkeypatch.setattr(http, "program", lambda name: program)
    monkeypatch.setattr(http, "_START_SECONDS", 0.2)
    server = HttpServer()
    with pytest.raises(StartFailed, match=r"no address within 0\.2 seconds"):
        await server.start()
    assert server.pid is None


async def test_the_parent_never_imports_the_sdk() -> None:
    script = "import sys, mcpmux_tui.demo; sys.exit('mcp' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == 0
