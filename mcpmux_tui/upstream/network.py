"""Failures of the network in words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus

import httpx2

from mcpmux_tui.model.errors import ConnectionLost, UpstreamError
from mcpmux_tui.text import one_line
from mcpmux_tui.upstream.troubles import NotTrusted, Unreachable

_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
_CLOCK = "Look at the clock of this machine; if it is right,"
_ANOTHER_NAME = "It is made for another name: look at the address in the config; then retry."
_TRUST_HINTS = {
    9: f"{_CLOCK} the server's operator has to mend its certificate; then retry.",
    10: f"{_CLOCK} the server's operator has to renew its certificate; then retry.",
    62: _ANOTHER_NAME,
    64: _ANOTHER_NAME,
}
"""By OpenSSL's codes: not valid yet, expired, another host name, another IP address."""
_OWN_AUTHORITY = (
    "If you trust its authority, add that to the system's store and retry, or start mcpmux with"
    " SSL_CERT_FILE set to a file of authorities that has it."
)


def explain(
    error: httpx2.HTTPError,
    host: str,
    connect: float,
    *,
    address: str = "",
    never_answered: str | None = None,
) -> UpstreamError:
    """The error for a request that met `error`: Unreachable if nothing was sent.

    `address` is the host with its port; `never_answered` what to look at where nothing at this
    address ever answered: then there was no call yet.
    """
    if isinstance(error, _NOT_SENT):
        return _unreachable(error, host, address or host, connect)
    if isinstance(error, httpx2.DecodingError):
        return ConnectionLost("the answer's compression is broken", "Try again.")
    if never_answered is not None:
        return ConnectionLost(f"no HTTP answer from {address} ({_kind(error)})", never_answered)
    return ConnectionLost(
        f"the connection to {host} broke ({_kind(error)})",
        "Whether the call was carried out is not known.",
    )


def _unreachable(error: httpx2.HTTPError, host: str, address: str, connect: float) -> Unreachable:
    if isinstance(error, httpx2.ConnectTimeout):
        return Unreachable(
            f"{host} could not be reached within {connect:g} s",
            "Look at the network, the address, and proxies between.",
        )
    if isinstance(error, httpx2.ProxyError):
        return Unreachable(
            f"the network's proxy gave no way to {host} ({_kind(error)})",
            "Look at HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
        )
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return NotTrusted(
                    f"certificate not trusted for {host} ({one_line(cause.verify_message, 120)})",
                    _TRUST_HINTS.get(cause.verify_code, _OWN_AUTHORITY),
                )
            case ssl.SSLError():
                return Unreachable(
                    f"no TLS with {host} ({one_line(cause.reason or str(cause), 120)})",
                    "Look whether the address should begin with http instead of https.",
                )
            case socket.gaierror():
                return Unreachable(
                    f"no such host: {host}", "Look at the address, and at the network."
                )
            case ConnectionRefusedError():
                return Unreachable(
                    f"connection refused by {address}", "Look whether the server runs there."
                )
    return Unreachable(
        f"{host} could not be reached ({_kind(error)})", "Look at the network and the address."
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    todo: list[BaseException] = [error]
    for _ in range(20):
        if not todo:
            return
        cause = todo.pop()
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            todo.extend(cause.exceptions)
        todo.extend(each for each in (cause.__cause__, cause.__context__) if each is not None)


def _kind(error: httpx2.HTTPError) -> str:
    return one_line(str(error), 120) or type(error).__name__


def status_phrase(status: int) -> str:
    """ "answered HTTP 503 Service Unavailable"."""
    try:
        return f"answered HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"answered HTTP {status}"
