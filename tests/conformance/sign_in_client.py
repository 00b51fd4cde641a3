"""The client that the suite's sign-in scenarios start: mcpmux itself, with a person before it.

    python -m tests.conformance.sign_in_client URL

An engine serves the address; whenever its row asks for a sign-in, `mcpmux login` is run with a
browser that consents at once; then the tools are listed and one is called through the proxy.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2

from tests.end_to_end.program import ROOT, Home, Served, eventually
from tests.end_to_end.wire import http_wire

METADATA_URL = "https://conformance-test.local/client-metadata.json"
"""The client id of `auth/basic-cimd`: a person has it in the config."""
SIGN_INS = 3
"""More a person would not bother with."""
SETTLED = ("connected", "degraded", "needs_sign_in", "failed")


def main(url: str) -> int:
    """Sign in and call until it works or nobody would go on; 0 when a call was answered."""
    with tempfile.TemporaryDirectory(prefix="mcpmux-conformance-") as folder:
        home = Home(Path(folder))
        try:
            return _run(home, url)
        finally:
            home.clean_up()


def _run(home: Home, url: str) -> int:
    home.env |= {
        "BROWSER": f"{sys.executable} {ROOT / 'tests/fixtures/browser.py'}",
        "BROWSER_LOG": str(home.folder / "browser.log"),
    }
    given = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    oauth = {
        "client_metadata_url": METADATA_URL,
        **{name: given[name] for name in ("client_id", "client_secret") if name in given},
    }
    pairs = ", ".join(f"{name} = {json.dumps(value)}" for name, value in oauth.items())
    home.write(
        f"[vault]\nbackend = 'file'\n[servers.guarded]\nurl = {url!r}\noauth = {{ {pairs} }}\n"
    )
    with Served(home, "--port", "0", "--no-auth") as served:
        for _ in range(SIGN_INS):
            row = _settled(home)
            if row["state"] == "needs_sign_in":
                done = home.run("login", "guarded", "--timeout", "15", "--config", str(home.config))
                sys.stderr.write(f"{done}\n")
                if done.code:
                    return 1
                row = _settled(home, but=row)
            sys.stderr.write(f"{row['state']}: {row['summary']}. {row['detail']}\n")
            if row["state"] == "connected" and asyncio.run(_called(f"{served.url}/guarded")):
                return 0
        return 1


def _settled(home: Home, *, but: dict[str, Any] | None = None) -> dict[str, Any]:
    """The row, once the server is not on its way; another than `but`."""
    rows: list[dict[str, Any]] = []

    def look() -> bool:
        (row,) = json.loads(home.run("status", "--json", "--config", str(home.config)).out)[
            "servers"
        ]
        rows.append(row)
        new = but is None or row["since"] != but["since"]
        return new and row["state"] in SETTLED

    eventually(look, 20, "a server that is not on its way")
    return rows[-1]


async def _called(url: str) -> bool:
    modern = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "") >= "2026"
    async with http_wire("modern" if modern else "legacy", url, "") as wire:
        try:
            tools = json.loads(await wire.request("tools/list", {}, 1))["tools"]
            await wire.call(tools[0]["name"], {})
        except (AssertionError, httpx2.HTTPError) as error:
            sys.stderr.write(f"{error}\n")
            return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
