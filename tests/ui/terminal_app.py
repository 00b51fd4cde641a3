"""The UI over an engine within the process, for tests that need a real terminal.

Run as `python -m tests.ui.terminal_app FOLDER [crash]`.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path

from mcpmux_tui.model.server import EngineSnapshot
from mcpmux_tui.ui.app import run
from tests.ui.fake_engine import TOKEN, FakeEngine, every_state


class CrashingEngine(FakeEngine):
    """Gives the UI something that it cannot show."""

    async def watch(self) -> AsyncIterator[EngineSnapshot]:
        header = f"Bearer {TOKEN}"
        yield self.snapshot
        await asyncio.sleep(0.1)
        raise LookupError(header[:0] + "a bug")


async def main() -> int:
    if "stray" not in sys.argv:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    kind = CrashingEngine if "crash" in sys.argv else FakeEngine
    left = await run(kind(every_state()), owner=True, state=Path(sys.argv[1]))
    return left.code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
