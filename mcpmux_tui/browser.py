"""Opening an address in the person's browser: one argument, no shell, nothing shared with it.

Whoever sends an address may be an attacker (SECURITY C1, C2): only https is opened, or http on this
machine, and only as it is written anew here.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from mcpmux_tui.model.errors import UsageError
from mcpmux_tui.model.hosts import is_loopback

_LINUX: Final = ("xdg-open", "wslview", "gio", "x-www-browser", "firefox", "chromium")


def safe(address: str) -> str:
    """The address as it may be opened. Raises UsageError."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    written = urlunsplit(parts)
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    plain = address.isascii() and address.isprintable() and " " not in address
    if not secure or not host or not plain or "@" in parts.netloc:
        raise UsageError(
            "This sign-in leads to an unsafe address, so no browser is opened.",
            "Only https is opened, or http on this machine.",
        )
    return written


def open_in_browser(address: str, environ: Mapping[str, str] = os.environ) -> None:
    """Open an address; returns at once. Raises UsageError where nothing can."""
    command = [*_command(environ), safe(address)]
    try:
        program = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _none(f"{command[0]} cannot be started ({error.strerror})") from error
    # Nobody waits for a browser, but who has ended must not stay as a zombie.
    threading.Thread(target=program.wait, name="browser", daemon=True).start()


def _command(environ: Mapping[str, str]) -> list[str]:
    """`BROWSER` (a list with colons; a command may have arguments), else the system's opener."""
    for wish in environ.get("BROWSER", "").split(os.pathsep):
        words = [word for word in shlex.split(wish) if word != "%s"]
        if words and shutil.which(words[0], path=environ.get("PATH")):
            return words
    if sys.platform == "darwin":
        return ["open"]
    if not (
        environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY") or "WSL_DISTRO_NAME" in environ
    ):
        raise _none("there is no display here")
    for program in _LINUX:
        if shutil.which(program, path=environ.get("PATH")):
            return [program, "open"] if program == "gio" else [program]
    raise _none("no program for that was found")


def _none(why: str) -> UsageError:
    return UsageError(
        f"No browser can be opened: {why}.",
        "Open the address yourself, on any machine; `BROWSER` names a program for it.",
    )
