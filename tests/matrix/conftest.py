"""All kinds of servers behind one proxy, for the tests of this folder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from mcpmux_tui.config import file
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.model.server import Health

RICH = Path(__file__).resolve().parents[1] / "fixtures" / "rich_server.py"
SERVERS = {
    "stdio": None,
    "http": ("http",),
    "http-2025": ("http", "--only", "2025"),
    "http-2026": ("http", "--only", "2026"),
    "sse": ("sse",),
}


@asynccontextmanager
async def address(*flags: str) -> AsyncIterator[str]:
    """A server over HTTP."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(RICH), *flags,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Hub]:
    """All servers behind one proxy."""
    async with AsyncExitStack() as stack:
        entries = []
        for name, flags in SERVERS.items():
            launch = f"command = {sys.executable!r}\nargs = {[str(RICH), 'stdio']!r}"
            if flags is not None:
                launch = f"url = {await stack.enter_async_context(address(*flags))!r}"
            entries.append(f"[servers.{name}]\n{launch}\n")
        path = folder / "config.toml"
        path.write_text("\n".join(entries), encoding="utf-8")
        instance = Instance(path, True, folder / "state")
        instance.prepare()
        hub = Hub(instance, file.load(path, required=True), token=None)
        await hub.start(0, port_required=True)
        try:
            await hub.fleet.settled()
            states = {each.name: each.state for each in hub.snapshot().servers}
            assert states == dict.fromkeys(SERVERS, Health.CONNECTED)
            yield hub
        finally:
            await hub.stop()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hub]:
    async with running(tmp_path_factory.mktemp("matrix")) as hub:
        yield hub
