"""Two cores, and the programs that are measured on one of them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil

from tests.benchmarks.client import HELLO, Lines, message
from tests.end_to_end.program import ROOT, Home, Served

ECHO = (sys.executable, "-I", "-S", str(Path(__file__).with_name("echo.py")))
"""The stdio server, but for how many tools it has: as little of Python as can be."""
TOKEN = "benchmark"
CLIENT_CORE, OTHER_CORE = 0, 1
ON_THE_OTHER = ("taskset", "-c", str(OTHER_CORE))
MB = 1e6


def serve(home: Home) -> Served:
    """An engine."""
    return Served(home, "--port", "0", before=ON_THE_OTHER)


def entry(number: int, tools: int = 50) -> str:
    """TOML of an echo server over stdio."""
    command, *args = (*ECHO, str(tools))
    return f"[servers.s{number:03}]\ncommand = {command!r}\nargs = {args!r}\n"


@asynccontextmanager
async def echo_over_http(tools: int = 50) -> AsyncIterator[str]:
    """The address of an echo server."""
    process = await asyncio.create_subprocess_exec(
        *(*ON_THE_OTHER, sys.executable, "-m", "tests.benchmarks.echo_http", str(tools)),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


@contextmanager
def hub(program: str, folder: Path, urls: Sequence[str], count: int) -> Iterator[tuple[str, int]]:
    """mcp-hub on as many echo servers over stdio, and those at addresses; its URL and pid."""
    command, *args = (*ECHO, "50")
    server = {"command": command, "args": args}
    servers: dict[str, object] = {f"s{number:03}": server for number in range(count)}
    servers |= {f"far{number}": {"url": url} for number, url in enumerate(urls)}
    config = folder / "hub.json"
    config.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [*ON_THE_OTHER, program, "--port", str(port), "--config", str(config)],
        cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            yield f"http://127.0.0.1:{port}/mcp", process.pid
        finally:
            # It may go on for long after a SIGTERM; its servers end with their pipes.
            process.kill()


def _started(args: Sequence[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
    script = str(Path(sys.executable).with_name("mcpmux"))
    return subprocess.Popen(
        [*ON_THE_OTHER, script, "stdio", *args],
        cwd=ROOT, env=env, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


@asynccontextmanager
async def bridge(*args: str, env: dict[str, str]) -> AsyncIterator[tuple[Lines, int, float]]:
    """A bridge on its way: its connection, its pid, and the seconds to the answer of initialize."""
    began = time.perf_counter()
    with _started(args, env) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = Lines()
        await lines.open(process.stdin, process.stdout)
        try:
            await lines.ask(message("initialize", HELLO))
            took = time.perf_counter() - began
            lines.tell(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
            yield lines, process.pid, took
        finally:
            lines.close()
            process.terminate()


def memory(pid: int) -> float:
    """Megabytes a process holds."""
    return float(psutil.Process(pid).memory_info().rss / MB)


def cpu(pid: int) -> float:
    """CPU seconds a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
