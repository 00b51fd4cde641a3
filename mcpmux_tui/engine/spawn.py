"""Starting an engine process owned through a pipe: when the owner goes, the engine ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

from pydantic import ValidationError

from mcpmux_tui.control.protocol import Started
from mcpmux_tui.engine.instance import Options
from mcpmux_tui.model.errors import ControlError, McpmuxError

START_LIMIT = 30.0
STOP_LIMIT = 10.0


class EngineProcess:
    """An engine this process owns."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        # Not asyncio's: that kills what outlives its owner, and this may be left to go on.
        self._process = process
        # An engine that ended is to be gone, whether or not anybody asks how.
        threading.Thread(target=process.wait, name="engine-reaper", daemon=True).start()

    @classmethod
    async def start(cls, options: Options) -> EngineProcess:
        """Start an engine and wait until it serves.

        Raises the engine's own reason as ControlError, with the exit code that belongs to it.
        """
        # -P: a file named like a module in the current folder must not be imported.
        command = [sys.executable, "-P", "-m", "mcpmux_tui.engine", options.model_dump_json()]
        process = await asyncio.to_thread(
            subprocess.Popen,
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        engine = cls(process)
        try:
            async with asyncio.timeout(START_LIMIT):
                started = Started.model_validate_json(await engine._first_line())
        except (TimeoutError, ValidationError) as error:
            await engine.stop()
            raise ControlError(
                "The engine did not start.",
                f"Its log is {options.log}.",
            ) from error
        if started.error is not None:
            await engine.stop()
            raise started.error.error()
        return engine

    async def _first_line(self) -> bytes:
        out = self._process.stdout
        return b"" if out is None else await asyncio.to_thread(out.readline)

    async def stop(self) -> int:
        """Close the owner's pipe and wait for the engine's orderly end; return its exit code.

        Raises McpmuxError if it has to be killed.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            return await asyncio.to_thread(self._process.wait, STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            raise McpmuxError(
                f"The engine did not stop within {STOP_LIMIT:g} seconds and was killed.",
                "Servers it started may still run.",
            ) from None
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()
