"""What discovery and registration read, from addresses that a server named.

Such an address may point inside (SECURITY C10): every address a name stands for is looked at, and
the connection goes to one that was. No redirect is followed, and no body of a failure is told.
This module imports httpx2.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx2

from mcpmux_tui.auth.exchange import Clients, is_protected, new_client
from mcpmux_tui.auth.failed import SignInFailed
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.model.hosts import is_loopback
from mcpmux_tui.text import one_line

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host and port."""
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and the JSON object that came with it; empty for anything else."""

    status: int
    body: dict[str, object]


def shown(url: str) -> str:
    """An address for people and logs: without its query, which may hold a secret."""
    return one_line(url.partition("?")[0], 200)


async def resolve(host: str, port: int) -> Sequence[str]:
    """The system's answer. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


def is_inside(address: str) -> bool:
    """Whether an IP address is this machine's or a private network's, in whatever form."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return not ip.is_global or ip.is_multicast


async def is_within(host: str) -> bool:
    """Whether a host is this machine, or in a private network by any of its addresses."""
    if is_loopback(host):
        return True
    try:
        return any(map(is_inside, await resolve(host, _PORTS["https"])))
    except OSError:
        return False


class Fetcher:
    """Asks for one sign-in. `inside`: the MCP server itself is in a private network or here, so
    that what belongs to it may be as well."""

    def __init__(
        self,
        *,
        inside: bool,
        clients: Clients | None = None,
        resolve: Resolve = resolve,
        limits: Limits | None = None,
    ) -> None:
        self._inside = inside
        self._clients = clients or new_client
        self._resolve = resolve
        self._limits = limits or Limits()

    async def get(self, url: str) -> Answer:
        """What is at an address. Raises SignInFailed where it may not or cannot be asked."""
        return await self._ask("GET", url, None)

    async def post(self, url: str, body: dict[str, object]) -> Answer:
        """The answer to a JSON object. Raises SignInFailed."""
        return await self._ask("POST", url, json.dumps(body).encode())

    async def check(self, url: str) -> str:
        """One of the addresses behind `url`, all of which may be asked. Raises SignInFailed."""
        if not is_protected(url):
            raise SignInFailed(
                f"This sign-in leads to an unsafe address: {shown(url)}.",
                "Only https is used, or http on this machine. Ask the server's operator.",
            )
        parsed = httpx2.URL(url)
        try:
            addresses = await self._resolve(parsed.host, parsed.port or _PORTS[parsed.scheme])
        except OSError:
            addresses = ()
        if not addresses:
            raise SignInFailed(f"{shown(url)} cannot be found.", "Try again later.")
        if not self._inside and any(map(is_inside, addresses)):
            raise SignInFailed(
                f"This sign-in leads into your own network: {shown(url)}.",
                "A server on the internet has no business there; nothing was sent.",
            )
        return addresses[0]

    async def _ask(self, method: str, url: str, content: bytes | None) -> Answer:
        try:
            async with asyncio.timeout(self._limits.answer):
                return await self._sent(method, url, content)
        except TimeoutError:
            why = f"did not answer within {self._limits.answer:g} s"
        except (httpx2.HTTPError, OSError) as error:
            why = f"could not be asked ({type(error).__name__})"
        raise SignInFailed(f"{shown(url)} {why}.", "Try again later.")

    @asynccontextmanager
    async def client(self, url: str) -> AsyncIterator[httpx2.AsyncClient]:
        """A client that connects to an address behind `url` that was checked. Raises SignInFailed.

        A name may stand for another address a moment later.
        """
        address = await self.check(url)

        async def connect_there(request: httpx2.Request) -> None:
            request.extensions["sni_hostname"] = request.url.host
            request.url = request.url.copy_with(host=address)

        async with self._clients(url) as client:
            client.event_hooks["request"].append(connect_there)
            yield client

    async def _sent(self, method: str, url: str, content: bytes | None) -> Answer:
        headers = {"accept": "application/json"}
        if content is not None:
            headers["content-type"] = "application/json"
        async with (
            self.client(url) as client,
            client.stream(
                method, url, headers=headers, content=content, timeout=None, follow_redirects=False
            ) as response,
        ):
            return Answer(response.status_code, await self._object(response))

    async def _object(self, response: httpx2.Response) -> dict[str, object]:
        body = b""
        async with aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > self._limits.body:
                    return {}
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
