"""The engine of an instance: asked over its socket where it listens, started where none runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import IO, Final

from mcpmux_tui import paths
from mcpmux_tui.bridge.http import Address
from mcpmux_tui.bridge.target import address_of
from mcpmux_tui.bridge.trouble import Trouble, say
from mcpmux_tui.control.address import read_address

START_LIMIT: Final = 30.0
_STOP_LIMIT: Final = 10.0
_HELLO_LIMIT: Final = 10.0
_LINE_LIMIT: Final = 8 * 1024 * 1024
_LISTENING: Final = "mcpmux listening on "
_SENTENCE: Final = "mcpmux: "
_ALREADY_RUNS: Final = 4
_PAUSE: Final = 0.1


class Engine:
    """Implements Target for the engine of a config file, or of the default one."""

    moves = True

    def __init__(self, config: str | None, *, may_start: bool) -> None:
        self._config = config
        path = Path(config) if config is not None else paths.default_config()
        path = path.expanduser().absolute()
        self._folder = paths.instance_dir(path)
        self._may_start = may_start
        self._own: subprocess.Popen[bytes] | None = None
        self._log: asyncio.Task[str] | None = None

    async def find(self, *, start: bool) -> Address:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_LIMIT
        while (proxy := await self._hello()) is None:
            if not (start and self._may_start):
                raise Trouble("mcpmux does not run for this config. Start it with `mcpmux`.")
            if loop.time() > deadline:
                raise Trouble("mcpmux was on its way up or down for long. Try again.")
            if not await self._start():
                # Another one holds the lock: it is on its way up or down.
                await asyncio.sleep(_PAUSE)
        url = proxy.get("url")
        if not isinstance(url, str):
            raise Trouble(f"mcpmux runs, but cannot listen: {proxy.get('error')}")
        token = self._token() if proxy.get("auth") else ""
        return address_of(url, {"authorization": f"Bearer {token}"} if token else {})

    async def close(self) -> None:
        """End the engine that was started from here, and wait for that."""
        own, self._own = self._own, None
        if own is not None:
            if own.stdin is not None:
                own.stdin.close()
            await asyncio.to_thread(_wait, own, _STOP_LIMIT)
        if self._log is not None:
            self._log.cancel()

    async def _hello(self) -> Mapping[str, object] | None:
        """What the engine says of its proxy; None where none runs."""
        where = read_address(self._folder)
        if where is None:
            return None
        try:
            async with asyncio.timeout(_HELLO_LIMIT):
                reader, writer = await asyncio.open_unix_connection(where, limit=_LINE_LIMIT)
                try:
                    writer.write(b'{"id":1,"method":"hello"}\n')
                    reply = json.loads(await reader.readline())
                finally:
                    writer.close()
            proxy = reply["result"]["snapshot"]["proxy"]
        except (OSError, ValueError, KeyError, TypeError):
            # Gone, or just going: whether it is gone, its lock tells who wants to start another.
            return None
        return proxy if isinstance(proxy, dict) else None

    def _token(self) -> str:
        if given := os.environ.get("MCPMUX_TOKEN"):
            return given
        try:
            return paths.token_file(self._folder).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Trouble(f"mcpmux's token cannot be read ({type(error).__name__}).") from None

    async def _start(self) -> bool:
        """Start an engine that ends with this process; false where another one has the lock.

        Raises Trouble.
        """
        await self.close()
        engine = _spawn(self._config)
        self._own = engine
        self._log = asyncio.create_task(_last_words(engine.stderr), name="engine-log")
        try:
            async with asyncio.timeout(START_LIMIT), aclosing(_lines(engine.stdout)) as lines:
                if (await anext(lines, "")).startswith(_LISTENING):
                    return True
        except TimeoutError:
            await self.close()
            raise Trouble(f"mcpmux did not start within {START_LIMIT:g} s.") from None
        words = await self._log
        code = await asyncio.to_thread(_wait, engine, _STOP_LIMIT)
        self._own = None
        if code == _ALREADY_RUNS:
            return False
        raise Trouble(f"mcpmux could not be started. {words}".rstrip())


def _spawn(config: str | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "mcpmux_tui", "serve", "--owned"),
            *([] if config is None else ["--config", config]),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    with suppress(subprocess.TimeoutExpired):
        return process.wait(limit)
    return None


async def _lines(pipe: IO[bytes] | None) -> AsyncGenerator[str]:
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while line := await reader.readline():
            yield line.decode("utf-8", "replace").rstrip()
    finally:
        transport.close()


async def _last_words(stderr: IO[bytes] | None) -> str:
    """Hand an engine's log on to the client's; why it ended: a sentence and a hint."""
    last: list[str] = []
    async with aclosing(_lines(stderr)) as lines:
        async for line in lines:
            say(line)
            if line.startswith(_SENTENCE):
                last = [line.removeprefix(_SENTENCE)]
            elif last and not line[:4].isdigit():
                # The log goes on in a thread of its own; its lines begin with the date.
                last.append(line)
    return " ".join(last)
