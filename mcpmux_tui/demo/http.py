"""The demo's HTTP servers in a child process that cannot outlive its parent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import TracebackType
from typing import cast

from mcpmux_tui.demo.program import program
from mcpmux_tui.model.errors import StartFailed
from mcpmux_tui.text import clean, one_line

_START_SECONDS = 10.0
_STEP_SECONDS = 1.5
_REASON_BYTES = 8_192

_log = logging.getLogger(__name__)


class HttpServer:
    """`text` and `journal` on a free loopback port, from `start` to `stop`."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._origin = ""

    @property
    def origin(self) -> str:
        """Where they listen; empty before `start` has returned."""
        return self._origin

    @property
    def pid(self) -> int | None:
        """The child's process id; None while none runs."""
        return self._process.pid if self._process else None

    async def start(self) -> str:
        """Start the child and return its origin.

        Raises StartFailed when the child cannot be started or names no address in time.
        """
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *program("serve"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # A Ctrl-C in the terminal is the parent's to handle.
                start_new_session=True,
            )
            output = cast(asyncio.StreamReader, process.stdout)
            async with asyncio.timeout(_START_SECONDS):
                self._origin = await _address(output)
        except TimeoutError:
            raise _failure(f"no address within {_START_SECONDS:g} seconds") from None
        except OSError as error:
            raise _failure(str(error)) from error
        finally:
            if not self._origin:
                await self.stop()
        self._reader = asyncio.create_task(_drain(output), name="demo-http-output")
        return self._origin

    async def stop(self) -> None:
        """End the child, gently at first, within 6 seconds; may be called again."""
        process, self._process = self._process, None
        if process is None:
            return
        close = cast(asyncio.StreamWriter, process.stdin).close
        for step in (close, process.terminate, process.kill):
            with contextlib.suppress(TimeoutError, ProcessLookupError):
                step()
                async with asyncio.timeout(_STEP_SECONDS):
                    await process.wait()
                    break
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=_STEP_SECONDS)
            self._reader.cancel()

    async def __aenter__(self) -> HttpServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


async def _address(output: asyncio.StreamReader) -> str:
    """The child's first line, which is its address."""
    first = (await output.readline()).decode("utf-8", "replace").strip()
    if first.startswith("http://"):
        return first
    rest = (await output.read(_REASON_BYTES)).decode("utf-8", "replace")
    lines = f"{first}\n{rest}".strip().splitlines()
    raise _failure(one_line(lines[-1]) if lines else "it ended without a word")


def _failure(reason: str) -> StartFailed:
    return StartFailed(
        f"The demo's HTTP server did not start: {reason}.",
        "Reinstall mcpmux, then start the demo again.",
        permanent=True,
    )


async def _drain(output: asyncio.StreamReader) -> None:
    """Log what the child prints, so that a full pipe never holds it up."""
    while chunk := await output.read(4_096):
        _log.warning("demo server: %s", clean(chunk.decode("utf-8", "replace")))
