"""The bridge's first steps: a client waits for them, and each client has a bridge of its own."""

from __future__ import annotations

import gc
import sys

from mcpmux_tui.bridge.options import Options


def main(options: Options) -> int:
    """Load what these options need, and run; return the exit code."""
    # What is loaded stays: looking through it for garbage takes time, and finds none.
    gc.disable()
    if options.url is None or options.url.startswith("http://"):
        _do_without_ssl()
    from mcpmux_tui.bridge import run

    gc.freeze()
    gc.enable()
    _keep_what_is_freed()
    return run.main(options)


def _do_without_ssl() -> None:
    """Have asyncio take this Python for one that was built without ssl, which it is made for.

    It loads ssl wherever it can: a tenth of the start and a fifth of the memory, for nothing where
    no connection is https.
    """
    # Documented with `sys.modules`: importing it is a ModuleNotFoundError from here on.
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]


def _keep_what_is_freed() -> None:
    """Have glibc keep twice this much of freed memory for the next long message.

    Else it hands all of it back, and the kernel clears it page by page for every message: more than
    half of what 1 MB there and back takes here. The limit follows the largest block that was freed
    (mallopt(3), M_MMAP_THRESHOLD); nothing is written to this one, so it takes no memory itself.
    """
    bytes(3 * 1024 * 1024)
