"""What must hold of a launch, both as written and with its placeholders filled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from mcpmux_tui.config.placeholders import stand_in
from mcpmux_tui.model.hosts import is_loopback
from mcpmux_tui.model.spec import HttpLaunch, Launch, StdioLaunch

_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# Bytes of the environment that are no UTF-8 arrive as U+DC80-U+DCFF and leave as they came.
_NOT_IN_PROCESS = re.compile(r"[\x00\ud800-\udc7f\udd00-\udfff]")
_NOT_IN_HEADER = re.compile(r"[\x00\r\n\ud800-\udfff]")
_SCOPES = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
"""RFC 6749, 3.3."""
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff\\]")


def name_problem(name: str) -> str | None:
    """Say why `name` cannot name a server, or None."""
    if name == "p":
        return "The name `p` is reserved; choose another."
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        return "A server's name has 1-40 letters, digits, `-`, `_` or `.`; choose another."
    return None


def launch_problem(launch: Launch) -> str | None:
    """Say why `launch` cannot be used, or None."""
    match launch:
        case StdioLaunch():
            return _stdio_problem(launch)
        case HttpLaunch(url, headers):
            for name, value in headers.items():
                if not _HEADER_NAME.fullmatch(name):
                    return "A name in `headers` is not a header's name."
                if _NOT_IN_HEADER.search(value):
                    return f"`headers.{name}` holds a line break or half a character."
            if not all(map(_SCOPES.fullmatch, launch.oauth.scopes)):
                return "`oauth.scopes` holds a character that no scope has."
            return None if url.startswith("${") else _url_problem(url)


def _stdio_problem(launch: StdioLaunch) -> str | None:
    if not launch.command.strip():
        return "`command` is empty."
    for name in launch.env:
        if not name or "=" in name:
            return "A name in `env` is empty or holds `=`."
    for key, text in _texts(launch):
        if _NOT_IN_PROCESS.search(text):
            return f"`{key}` holds a NUL or half a character."
    return None


def _texts(launch: StdioLaunch) -> Iterator[tuple[str, str]]:
    yield "command", launch.command
    yield "cwd", launch.cwd or ""
    for text in launch.args:
        yield "args", text
    for name, text in launch.env.items():
        yield "env", name + text


def _url_problem(url: str) -> str | None:
    """Say why `url` cannot be a server's address, or None; it may hold placeholders."""
    if not url:
        return "`url` is empty."
    bare = stand_in(url)
    if _NOT_IN_URL.search(bare):
        return "`url` holds a space, a backslash or a control character."
    try:
        parts = urlsplit(bare)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "`url` is not an address: check its host and port."
    if parts.scheme not in {"http", "https"}:
        return "`url` must begin with https:// or http://."
    if "@" in parts.netloc:
        return "`url` holds a user name or password; put it in `headers` instead."
    if not host:
        return "`url` names no host."
    return None


def plain_http_host(url: str) -> str | None:
    """Return the host of an unencrypted address that leaves this machine, or None."""
    if stand_in(url) != url:
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    return None if parts.scheme != "http" or is_loopback(host) else host
