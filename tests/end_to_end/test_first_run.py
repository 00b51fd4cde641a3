from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
from pathlib import Path

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from tests.end_to_end.program import RAW_STDIO, Home, Terminal, eventually

_COPIED = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)(?:\x07|\x1b\\)")


def cursor_config(home: Home) -> Path:
    """A Cursor config with three servers, as its user wrote it."""
    servers = {
        name: {
            "command": sys.executable,
            "args": [str(RAW_STDIO), *flags, "--mark", home.mark],
        }
        for name, flags in (("one", ()), ("two", ("--legacy-only",)), ("three", ("--modern-only",)))
    }
    path = home.folder / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(
        "// mine\n" + json.dumps({"mcpServers": servers}, indent=2) + "\n", encoding="utf-8"
    )
    return path


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_five_keys_lead_from_cursors_config_to_a_client_that_lists_the_tools(
    home: Home, mode: str
) -> None:
    source = cursor_config(home)
    before = source.read_bytes()
    with Terminal(home, "--port", "0") as terminal:
        terminal.wait_for("Import")
        terminal.press("i")
        terminal.wait_for(".cursor/mcp.json")
        terminal.press("\r")
        terminal.wait_for("Add 3 servers?")
        terminal.press("\r")
        terminal.wait_for("Added ")
        eventually(home.all_connected, 20, "all connected")
        terminal.press("y")
        terminal.wait_for("Cursor")
        terminal.press("\r")
        terminal.wait_for("]52;c;")
        terminal.read_until(lambda: bool(_COPIED.search(terminal.output)), 5, "the whole copy")
        copied = _COPIED.search(terminal.output)
        assert copied is not None
        entry = json.loads(base64.b64decode(copied[1]))["mcpServers"]["mcpmux"]
        assert listed(entry, mode) == {"one", "two", "three"}
        terminal.process.terminate()
        terminal.finish()
    assert source.read_bytes() == before
    assert home.survivors() == []


def listed(entry: dict[str, object], mode: str) -> set[str]:
    """The servers whose tools a client sees when it is set up with `entry`."""

    async def names() -> set[str]:
        headers = entry["headers"]
        assert isinstance(headers, dict)
        async with httpx2.AsyncClient(headers=headers) as http:
            transport = streamable_http_client(str(entry["url"]), http_client=http)
            async with Client(transport, mode=mode) as client:
                return {tool.name.partition("__")[0] for tool in (await client.list_tools()).tools}

    return asyncio.run(names())
