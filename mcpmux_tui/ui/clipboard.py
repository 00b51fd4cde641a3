"""Copying text: the system's own tool where this machine has the screen, else the terminal."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress

_PATIENCE = 2.0


def native_tool(environ: Mapping[str, str] = os.environ) -> tuple[str, ...] | None:
    """The command that fills the clipboard of the person's own desktop, or None."""
    if is_remote(environ):
        return None
    choices: list[tuple[str, ...]] = []
    if sys.platform == "darwin":
        choices.append(("pbcopy",))
    if environ.get("WAYLAND_DISPLAY"):
        choices.append(("wl-copy",))
    if environ.get("DISPLAY"):
        choices += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    return next((tool for tool in choices if shutil.which(tool[0], path=environ.get("PATH"))), None)


def is_remote(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the person sits at another machine."""
    return any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))


def in_tmux(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether tmux stands between mcpmux and the terminal; its own buffer is filled too then."""
    return bool(environ.get("TMUX"))


async def copy_natively(text: str) -> bool:
    """Copy with the system's own tool; False where there is none or it failed."""
    tool = await asyncio.to_thread(native_tool)
    if tool is None:
        return False
    try:
        # The tools stay alive to serve the clipboard: a session of their own, and no pipe to us.
        process = await asyncio.create_subprocess_exec(
            *tool,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(_PATIENCE):
            await process.communicate(text.encode())
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return False
    return process.returncode == 0
