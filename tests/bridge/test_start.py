from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from tests.bridge.scripted import json_response, scripted
from tests.fixtures.pipe_peer import ROOT

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
PONG = b'{"jsonrpc":"2.0","id":1,"result":{}}'


@pytest.mark.parametrize("trusted", [True, False])
async def test_an_https_address_is_reached_where_it_can_be_trusted(
    trusted: bool, tmp_path: Path
) -> None:
    async def answer(_: bytes) -> list[bytes]:
        return [json_response(PONG)]

    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    env = os.environ | ({"SSL_CERT_FILE": str(tmp_path / "ca.pem")} if trusted else {})
    async with scripted(answer, context) as server:
        bridge = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mcpmux_tui", "stdio"),
            *("--url", server.url.replace("http:", "https:")),
            cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        said, _ = await bridge.communicate(PING)
    assert bridge.returncode == 0
    if trusted:
        assert said == PONG + b"\n"
    else:
        assert b"cannot be trusted: certificate_verify_failed" in said.lower()
