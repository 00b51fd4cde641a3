"""One door's connection: its requests answered, and what changes told to it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from pydantic import BaseModel, JsonValue, ValidationError

from mcpmux_tui.control import protocol
from mcpmux_tui.model.errors import ControlError, McpmuxError
from mcpmux_tui.model.server import EngineSnapshot

_log = logging.getLogger(__name__)

UPDATE_INTERVAL = 0.1
"""Seconds between two updates to a door."""

LOOK_INTERVAL = 1.0
"""Seconds after which a door is told what time alone has changed, such as a client that left."""
REQUESTS = 32
"""Requests of one door under way at once; what comes then waits in its socket."""

Handler = Callable[[Mapping[str, JsonValue]], Awaitable[BaseModel | None]]


class Connection:
    """Serves one door until it goes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handlers: Mapping[str, Handler],
        snapshot: Callable[[], EngineSnapshot],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._snapshot = snapshot
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(REQUESTS)
        self.changed = asyncio.Event()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        self._writer.close()
        self._reader.feed_eof()

    async def serve(self) -> None:
        try:
            while line := await self._reader.readline():
                try:
                    request = protocol.Request.model_validate_json(line)
                except ValidationError:
                    _log.warning("a door sent a line that is not a request")
                    return
                await self._room.acquire()
                self._spawn(self._answer(request))
        except (OSError, ValueError):
            # The door went away in the middle of a line, or the line is beyond the limit.
            return
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._writer.close()
            if not self.ended.done():
                self.ended.set_result(None)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _answer(self, request: protocol.Request) -> None:
        if request.method == "watch":
            await self._watch(request)
            return
        handler = self._handlers.get(request.method)
        try:
            if handler is None:
                raise ControlError(
                    f"This engine does not know the request {request.method!r}.",
                    "It runs another version: end it with `mcpmux stop` and start again.",
                )
            answer = await handler(request.params)
        except McpmuxError as error:
            await self._send(protocol.Reply(id=request.id, error=protocol.Failure.of(error)))
        except ValidationError as error:
            failure = protocol.Failure(
                message=f"The request {request.method!r} has {error.error_count()} wrong values."
            )
            await self._send(protocol.Reply(id=request.id, error=failure))
        else:
            result = None if answer is None else answer.model_dump(mode="json")
            await self._send(protocol.Reply(id=request.id, result=result))

    async def _watch(self, request: protocol.Request) -> None:
        told = self._snapshot()
        hello = protocol.Hello(pid=os.getpid(), snapshot=told)
        await self._send(protocol.Reply(id=request.id, result=hello.model_dump(mode="json")))
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL):
                    await self.changed.wait()
            self.changed.clear()
            now = self._snapshot()
            if (update := protocol.Update.between(told, now)) is not None:
                told = now
                await self._send(update)
            await asyncio.sleep(UPDATE_INTERVAL)

    async def _send(self, line: BaseModel) -> None:
        self._writer.write(line.model_dump_json().encode() + b"\n")
        try:
            await self._writer.drain()
        except ConnectionError:
            self.close()
