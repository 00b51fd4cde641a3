"""How a demo server is started as a program of its own."""

from __future__ import annotations

import sys


def program(name: str) -> tuple[str, ...]:
    """The command line of the demo server in module `name`."""
    # -P: whatever lies in the current folder must not stand in for a module.
    return (sys.executable, "-P", "-m", f"mcpmux_tui.demo.{name}")
