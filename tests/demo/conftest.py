"""The demo's config, and its servers as an MCP client meets them."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from mcpmux_tui import demo

Mode = Literal["legacy", "auto"]
Open = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def entries(tmp_path: Path) -> dict[str, Any]:
    """The `servers` table that the demo writes."""
    path = demo.prepare(tmp_path, "http://127.0.0.1:1")
    servers: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))["servers"]
    return servers


@pytest.fixture(params=["legacy", "auto"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """How the client negotiates: the handshake of 2025, or discovery of 2026."""
    value: Mode = request.param
    return value


@pytest.fixture
def open_stdio(entries: dict[str, Any], tmp_path: Path) -> Open:
    """Start one entry of the demo's config and check that it prints nothing on stderr."""

    @asynccontextmanager
    async def start(name: str, mode: Mode, **env: str) -> AsyncIterator[Client]:
        entry = entries[name]
        launch = StdioServerParameters(
            command=entry["command"], args=entry["args"], cwd=entry["cwd"], env=env
        )
        stderr = tmp_path / f"{name}.stderr"
        with stderr.open("w", encoding="utf-8") as errors:
            async with Client(stdio_client(launch, errlog=errors), mode=mode) as client:
                yield client
        assert stderr.read_text("utf-8") == ""

    return start
