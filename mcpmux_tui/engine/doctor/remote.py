"""The checks of a server at an address. It is asked once, without any secret."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Final
from urllib.parse import urlsplit

from mcpmux_tui.engine.doctor import signing
from mcpmux_tui.engine.doctor.failed import Failed
from mcpmux_tui.engine.sign_ins import SignIns
from mcpmux_tui.model.errors import NotConnected
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.server import ServerSnapshot
from mcpmux_tui.model.spec import HttpLaunch

_CONNECT: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443}
_HELLO: Final = (
    b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
    b'"capabilities":{},"clientInfo":{"name":"mcpmux doctor","version":"1"}}}'
)


async def checks(
    name: str, launch: HttpLaunch, sign_ins: SignIns, state: Callable[[], ServerSnapshot | None]
) -> AsyncIterator[tuple[str, str]]:
    """The checks in order. Raises Failed."""
    parts = urlsplit(launch.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        fix = "Look at the address in the config, and at the network."
        raise Failed("name", f"{host} cannot be found.", fix, Mend.EDIT) from error
    yield "name", f"{host} is {found[0][4][0]}"
    try:
        async with asyncio.timeout(_CONNECT):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        why = getattr(error, "strerror", None) or f"no answer within {_CONNECT:g} s"
        fix = "Look whether the server runs there, and at firewalls between."
        raise Failed("connection", f"{host}:{port}: {why}.", fix) from error
    writer.close()
    yield "connection", f"{host}:{port} takes connections"
    status, challenges = await _answer(launch, host)
    if parts.scheme == "https":
        yield "TLS", f"the certificate of {host} is trusted"
    if status in {404, 410}:
        fix = "Look at the path of `url`: many servers want /mcp or /sse."
        raise Failed("answer", f"nothing is at this address (HTTP {status}).", fix, Mend.EDIT)
    if status >= 500:
        raise Failed("answer", f"HTTP {status}.", "Look at the server's own log.")
    yield "answer", f"it answers HTTP {status}"
    async for check in signing.checks(name, launch, status, challenges, sign_ins, state):
        yield check


async def _answer(launch: HttpLaunch, host: str) -> tuple[int, list[str]]:
    """The status, and the challenges that came with it. Raises Failed."""
    # It takes a while to import.
    await asyncio.to_thread(import_module, "mcpmux_tui.auth.exchange")
    import httpx2

    from mcpmux_tui.auth.exchange import new_client
    from mcpmux_tui.upstream.network import explain
    from mcpmux_tui.upstream.words import sentence

    headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    try:
        async with (
            new_client(launch.url) as client,
            client.stream(
                "POST", launch.url, content=_HELLO, headers=headers, timeout=_CONNECT
            ) as response,
        ):
            return response.status_code, response.headers.get_list("www-authenticate")
    except httpx2.HTTPError as error:
        trouble = explain(error, host, _CONNECT)
        said = sentence(trouble.message)
        if launch.url.startswith("https:") and isinstance(trouble, NotConnected):
            raise Failed("TLS", said, trouble.hint, Mend.EDIT) from error
        fix = "Look at the server's own log, and whether the address should begin with https."
        raise Failed("answer", said, fix) from error
