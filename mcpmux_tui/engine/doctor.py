"""Why a server is red: checks in the order in which things must hold, up to the first that fails.

Nothing is started, signed in to or changed; an address is asked once, without any secret.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from mcpmux_tui.config.resolve import Resolver
from mcpmux_tui.control.protocol import Check
from mcpmux_tui.model.errors import ConfigError, InputMissing, McpmuxError
from mcpmux_tui.model.server import SERVING, Health, ServerSnapshot
from mcpmux_tui.model.spec import HttpLaunch, ServerSpec, StdioLaunch
from mcpmux_tui.text import clean, one_line
from mcpmux_tui.upstream.environment import child_environment, working_folder

_CONNECT: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443}
_HELLO: Final = (
    b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
    b'"capabilities":{},"clientInfo":{"name":"mcpmux doctor","version":"1"}}}'
)


class _Failed(Exception):
    """A check did not hold; the text says how, `fix` what to do."""

    def __init__(self, said: str, fix: str = "") -> None:
        super().__init__(said)
        self.fix = fix


async def examine(
    spec: ServerSpec,
    resolver: Resolver,
    state: Callable[[], ServerSnapshot | None],
    redact: Callable[[str], str] = str,
) -> AsyncIterator[Check]:
    """Check one server. `state` is what a running engine says of it; None where none runs."""
    checks = _checks(spec, resolver, state)
    while True:
        try:
            name, said = await anext(checks)
        except StopAsyncIteration:
            return
        except _Named as failed:
            yield Check(
                name=failed.name,
                ok=False,
                said=clean(redact(str(failed.reason))),
                fix=one_line(failed.reason.fix, 400),
            )
            return
        yield Check(name=name, ok=True, said=one_line(redact(said), 400))


class _Named(Exception):
    """A failure, with the check's name."""

    def __init__(self, name: str, reason: _Failed) -> None:
        super().__init__(name)
        self.name = name
        self.reason = reason


async def _checks(
    spec: ServerSpec, resolver: Resolver, state: Callable[[], ServerSnapshot | None]
) -> AsyncIterator[tuple[str, str]]:
    if spec.problem is not None or spec.launch is None:
        line = f" (line {spec.problem.line})" if spec.problem and spec.problem.line else ""
        reason = spec.problem.reason if spec.problem else "It cannot be used."
        raise _Named("config", _Failed(f"{reason}{line}", "Correct it in the config."))
    yield "config", "the entry can be used" if spec.enabled else "the entry can be used; disabled"
    try:
        launch = await resolver.resolve(spec.launch)
    except InputMissing as error:
        raise _Named("values", _Failed(error.message, error.hint)) from error
    except ConfigError as error:
        raise _Named("values", _Failed(error.message, error.hint)) from error
    yield "values", "every placeholder has a value"
    if isinstance(launch, StdioLaunch):
        configured = spec.launch if isinstance(spec.launch, StdioLaunch) else launch
        environ = child_environment(launch, resolver.environment())
        yield "command", await _held("command", _command(launch, environ))
        yield "folder", await _held("folder", _folder(launch, configured))
    else:
        async for check in _remote(launch):
            yield check
    if (now := state()) is None:
        return
    yield "server", await _held("server", _server(now))


async def _held(name: str, check: Callable[[], str]) -> str:
    try:
        return await asyncio.to_thread(check)
    except _Failed as failed:
        raise _Named(name, failed) from failed


def _command(launch: StdioLaunch, environ: Mapping[str, str]) -> Callable[[], str]:
    def look() -> str:
        path = environ.get("PATH", os.defpath)
        found = shutil.which(launch.command, path=path)
        if found is None:
            folders = "\n".join(path.split(os.pathsep))
            raise _Failed(
                f"{launch.command} is in none of these folders:\n{folders}",
                "Install it, write its whole path as `command`, or give the entry an"
                " `env = { PATH = ... }`.",
            )
        return f"{launch.command} is {found}"

    return look


def _folder(launch: StdioLaunch, configured: StdioLaunch) -> Callable[[], str]:
    def look() -> str:
        try:
            folder = working_folder(launch, configured)
        except McpmuxError as error:
            raise _Failed(error.message, error.hint) from error
        if not folder.is_dir():
            raise _Failed(f"{folder} is no folder.", "Correct `cwd` in the config.")
        return f"it starts in {folder}"

    return look


async def _remote(launch: HttpLaunch) -> AsyncIterator[tuple[str, str]]:
    parts = urlsplit(launch.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError) as error:
        fix = "Look at the address in the config, and at the network."
        raise _Named("name", _Failed(f"{host} cannot be found.", fix)) from error
    yield "name", f"{host} is {found[0][4][0]}"
    try:
        async with asyncio.timeout(_CONNECT):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        why = getattr(error, "strerror", None) or f"no answer within {_CONNECT:g} s"
        fix = "Look whether the server runs there, and at firewalls between."
        raise _Named("connection", _Failed(f"{host}:{port}: {why}.", fix)) from error
    writer.close()
    yield "connection", f"{host}:{port} takes connections"
    async for check in _answer(launch, host):
        yield check


async def _answer(launch: HttpLaunch, host: str) -> AsyncIterator[tuple[str, str]]:
    import httpx2

    headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    try:
        async with (
            httpx2.AsyncClient(
                verify=await asyncio.to_thread(httpx2.create_ssl_context), timeout=_CONNECT
            ) as client,
            client.stream("POST", launch.url, content=_HELLO, headers=headers) as response,
        ):
            status, challenge = response.status_code, "www-authenticate" in response.headers
    except httpx2.HTTPError as error:
        cause = error.__cause__ or error
        if isinstance(cause, ssl.SSLError) or "certificate" in str(error).lower():
            fix = "If its authority is your own, name its file in SSL_CERT_FILE."
            raise _Named("TLS", _Failed(f"{host}: {one_line(str(error), 200)}", fix)) from error
        fix = "Look at the server's own log."
        raise _Named("answer", _Failed(f"{host}: {type(error).__name__}.", fix)) from error
    if urlsplit(launch.url).scheme == "https":
        yield "TLS", f"the certificate of {host} is trusted"
    if status in {404, 410}:
        fix = "Look at the path of `url`: many servers want /mcp or /sse."
        raise _Named("answer", _Failed(f"nothing is at this address (HTTP {status}).", fix))
    if status >= 500:
        raise _Named("answer", _Failed(f"HTTP {status}.", "Look at the server's own log."))
    asks = " and asks who calls" if status == 401 and challenge else ""
    yield "answer", f"it answers HTTP {status}{asks}"


def _server(now: ServerSnapshot) -> Callable[[], str]:
    def look() -> str:
        if now.state in SERVING:
            return f"{now.state.word}, MCP {now.era}, {now.tools} tools"
        fix = {
            Health.DISABLED: f"`mcpmux enable {now.name}` enables it.",
            Health.NEEDS_SIGN_IN: f"`mcpmux login {now.name}` signs in.",
            Health.IDLE: f"`mcpmux connect {now.name}` connects it.",
        }.get(now.state, "")
        raise _Failed(f"{now.state.word}: {now.detail or now.summary}", fix)

    return look
