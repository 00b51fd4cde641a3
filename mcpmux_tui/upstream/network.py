"""Failures of the network in words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus

import httpx2

from mcpmux_tui.model.errors import ConnectionLost, UpstreamError
from mcpmux_tui.text import one_line
from mcpmux_tui.upstream.troubles import Unreachable

_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)


def explain(error: httpx2.HTTPError, host: str, connect: float) -> UpstreamError:
    """The error for a request that met `error`: Unreachable if nothing was sent."""
    if isinstance(error, _NOT_SENT):
        return _unreachable(error, host, connect)
    if isinstance(error, httpx2.DecodingError):
        return ConnectionLost("the answer's compression is broken", "Try again.")
    return ConnectionLost(
        f"the connection to {host} broke ({_kind(error)})",
        "Whether the call was carried out is not known.",
    )


def _unreachable(error: httpx2.HTTPError, host: str, connect: float) -> Unreachable:
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
                return Unreachable(
                    f"certificate not trusted for {host} ({one_line(cause.verify_message, 120)})",
                    "If its authority is your own, name its file in SSL_CERT_FILE.",
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
                    f"connection refused by {host}", "Look whether the server runs there."
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
