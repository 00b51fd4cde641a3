"""The bridge's first steps: a client waits for them, and each client has a bridge of its own."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mcpmux_tui.bridge.options import Options


def main(options: Options) -> int:
    """Load what these options need, and run; return the exit code."""
    # What is loaded stays: looking through it for garbage takes time, and finds none.
    gc.disable()
    if options.url is None or options.url.startswith("http://"):
        with _without_tls():
            from mcpmux_tui.bridge import run
    else:
        from mcpmux_tui.bridge import run
    gc.freeze()
    gc.enable()
    return run.main(options)


@contextmanager
def _without_tls() -> Iterator[None]:
    """Have asyncio take Python for one that was built without ssl, which it is made for.

    It imports ssl where it can: a tenth of the start, and of the memory, for nothing where no
    connection is https.
    """
    if "ssl" in sys.modules:
        yield
        return
    # Documented with `sys.modules`: importing it is a ModuleNotFoundError from here on.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["ssl"]
