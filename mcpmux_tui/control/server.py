"""The engine's end of the control socket: one connection a door, each checked to be this user's."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, JsonValue, ValidationError

from mcpmux_tui.control import protocol
from mcpmux_tui.control.address import choose_address, forget_address
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


class ControlServer:
    """Serves the control protocol to doors.

    `handlers` answer requests by method; `snapshot` is asked for whenever a door is to be told
    what changed.
    """

    def __init__(
        self, *, handlers: Mapping[str, Handler], snapshot: Callable[[], EngineSnapshot]
    ) -> None:
        self._handlers = handlers
        self._snapshot = snapshot
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._address: Path | None = None
        self._instance: Path | None = None

    async def start(self, instance: Path) -> None:
        """Listen on the instance's socket; its folder exists and is this user's alone."""
        address = await asyncio.to_thread(choose_address, instance)
        # Between bind and chmod nobody else may connect, whatever the folder's mode.
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._accept, str(address), limit=protocol.LINE_LIMIT
            )
        finally:
            os.umask(mask)
        self._instance, self._address = instance, address

    def publish(self) -> None:
        """Something a door shows has changed."""
        for connection in self._connections:
            connection.changed.set()

    async def stop(self) -> None:
        """Close every door's connection and the socket."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        await asyncio.gather(
            *(connection.ended for connection in self._connections), return_exceptions=True
        )
        await self._server.wait_closed()
        if self._instance is not None and self._address is not None:
            await asyncio.to_thread(forget_address, self._instance, self._address)
        self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("socket")
        if (uid := _peer_uid(peer)) is not None and uid != os.getuid():
            _log.warning("refused a control connection of user %d", uid)
            writer.close()
            return
        connection = _Connection(reader, writer, self._handlers, self._snapshot)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)


class _Connection:
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


def _peer_uid(peer: socket.socket) -> int | None:
    """The user at the other end, where the system tells; the socket's mode guards it anyway."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("3i")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[1])
