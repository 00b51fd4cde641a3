"""Who may come in, decided before the body is read.

DNS rebinding, web pages, other users of the machine and other programs all reach a loopback port
(SECURITY B1-B10): only the exact Host, no foreign Origin, and the token get past this door.
There are no CORS headers, so no page of another origin reads an answer.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcpmux_tui.proxy.http import Exchange, Head
from mcpmux_tui.proxy.limits import Limits
from mcpmux_tui.text import one_line

HEALTH_PATH = "/healthz"
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_ABSOLUTE = re.compile(rb"http://([^/?#]*)", re.IGNORECASE)
_BEARER = re.compile(rb"bearer +(\S+)", re.IGNORECASE)
_PROGRAM = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,30}(/[0-9A-Za-z.+-]{1,20})?(?= |$)")
_KNOCKS = 10
_KNOCK_MEMORY = 600.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further: for the client `message`, for the person `knock`."""

    status: int
    message: str
    knock: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Knocks:
    """Sentences about what was refused lately: each once, newest last."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._heard: dict[str, float] = {}

    def add(self, sentence: str) -> None:
        """Remember one refusal."""
        known = sentence in self.recent
        self._heard.pop(sentence, None)
        self._heard[sentence] = time.monotonic()
        if len(self._heard) > _KNOCKS:
            del self._heard[next(iter(self._heard))]
        if not known:
            self._changed()

    @property
    def recent(self) -> tuple[str, ...]:
        """At most ten sentences, none older than ten minutes."""
        since = time.monotonic() - _KNOCK_MEMORY
        return tuple(sentence for sentence, at in self._heard.items() if at >= since)


class Guard:
    """Checks one request's header against the rules of this port."""

    def __init__(
        self, port: int, token: str | None, allowed_origins: Sequence[str], limits: Limits
    ) -> None:
        own = [f"{host}:{port}" for host in _HOSTS]
        if port == 80:
            own += _HOSTS
        self._hosts = frozenset(host.encode("ascii") for host in own)
        self._origins = frozenset(
            origin.rstrip("/").lower().encode()
            for origin in (*(f"http://{host}" for host in own), *allowed_origins)
        )
        self._token = None if token is None else token.strip().encode()
        self._limits = limits

    def refusal(self, exchange: Exchange) -> Refusal | None:
        """Why this request is refused, or None to let it in."""
        head = exchange.head
        if not head.let_in:
            if (refusal := self._judged(head)) is not None:
                return refusal
            # The same header again: only the body may be another one.
            head.let_in = True
        return self._body(exchange.length)

    def _judged(self, head: Head) -> Refusal | None:
        return (
            self._size(head)
            or self._host(head)
            or self._origin(head)
            or (None if is_health_check(head) else self._credential(head))
            or _upgrade(head)
        )

    def _size(self, head: Head) -> Refusal | None:
        if len(head.lines) <= self._limits.header_count:
            size = sum([len(name) + len(value) for name, value in head.lines])
            if size <= self._limits.header_bytes:
                return None
        return Refusal(431, "The request header is too large.")

    def _host(self, head: Head) -> Refusal | None:
        if "host" not in head.repeated:
            host = head.headers.get(b"host", b"").lower()
            if host in self._hosts:
                if head.target.startswith(b"/"):
                    return None
                # An absolute target stands above the Host header (RFC 9112, 3.2.2).
                found = _ABSOLUTE.match(head.target)
                host = b"" if found is None else found[1].lower()
                if host in self._hosts:
                    return None
            shown = _shown(host)
        else:
            shown = "two hosts"
        return Refusal(
            421,
            "This address is not served here.",
            f"A request meant for {shown or 'no host'} reached the proxy and was refused: a web"
            " page may be trying to get in.",
        )

    def _origin(self, head: Head) -> Refusal | None:
        origin = head.headers.get(b"origin")
        if origin is None:
            return None
        if "origin" not in head.repeated and origin.lower() in self._origins:
            return None
        return Refusal(
            403,
            "Web pages may not use this server.",
            f"A web page of {_shown(origin)} was refused: `allowed_origins` in [proxy] lets one"
            " in from the next start.",
        )

    def _credential(self, head: Head) -> Refusal | None:
        if self._token is None:
            return None
        given = head.headers.get(b"authorization")
        if given is not None and "authorization" not in head.repeated:
            found = _BEARER.fullmatch(given.strip())
            if found is not None and hmac.compare_digest(found[1], self._token):
                return None
        how = "without the token" if given is None else "with a wrong token"
        return Refusal(
            401,
            "This server needs mcpmux's token as `Authorization: Bearer ...`: `Copy entry` on its"
            " screen copies a client's entry with it.",
            f"{program(head)} came {how}: `Copy entry` on the screen copies a client's entry with"
            " it.",
            # No resource metadata: that would send clients into a sign-in that is not there.
            ((b"www-authenticate", b"Bearer"),),
        )

    def _body(self, length: bytes | None) -> Refusal | None:
        # The parser lets only digits pass, and blanks behind them.
        if length is None or (len(length) < 32 and int(length) <= self._limits.body_bytes):
            return None
        return too_large(self._limits)


def too_large(limits: Limits) -> Refusal:
    """The answer to a body beyond the limit."""
    return Refusal(413, f"A request may have at most {limits.body_bytes} bytes.")


def is_health_check(head: Head) -> bool:
    """Whether this is the one request that needs no token."""
    return head.path == HEALTH_PATH and head.method in {"GET", "HEAD"}


def _upgrade(head: Head) -> Refusal | None:
    # The parser hands the rest of the connection over after such a request, body included.
    if b"upgrade" not in head.headers:
        return None
    return Refusal(426, "This server speaks HTTP/1.1 alone.", headers=((b"upgrade", b"HTTP/1.1"),))


def program(head: Head) -> str:
    """What a client calls itself, as far as that is harmless to show."""
    agent = head.headers.get(b"user-agent", b"").decode("latin-1")
    found = _PROGRAM.match(agent)
    return found[0] if found else "A program"


def _shown(value: bytes) -> str:
    return one_line(value.decode("utf-8", "replace"), 60)
