"""Where messages go: an address as given, or whatever knows a better one each time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from mcpmux_tui.bridge.http import Address
from mcpmux_tui.bridge.trouble import Trouble


class Target(Protocol):
    """Whom the client talks to."""

    moves: bool
    """Whether another one may answer after a restart, elsewhere."""

    async def find(self, *, start: bool) -> Address:
        """Its address now; one that does not run is started with `start`. Raises Trouble."""

    async def close(self) -> None:
        """Leave nothing running that was started for it alone."""


class Fixed:
    """A Streamable HTTP address. Raises Trouble for what is none."""

    moves = False

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._address = address_of(url, headers)

    async def find(self, *, start: bool) -> Address:
        return self._address

    async def close(self) -> None:
        return


def address_of(url: str, headers: Mapping[str, str]) -> Address:
    """The address of a URL. Raises Trouble, which does not repeat it: it may hold a secret."""
    wrong = Trouble("This is not an http or https address.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError:
        raise wrong from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or not all(
            text.isascii() and text.isprintable() and " " not in text for text in (path, host)
        )
    ):
        raise wrong
    tls = parts.scheme == "https"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return Address(host, port or (443 if tls else 80), path, tls, lines.encode("ascii"))
