"""The engine's end of the control socket: one connection a door, each checked to be this user's."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mcpmux_tui.control.address import LINE_LIMIT, choose_address, forget_address
from mcpmux_tui.model.server import EngineSnapshot

if TYPE_CHECKING:
    from mcpmux_tui.control.connection import Connection, Handler

    _Connects = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Connection]

_log = logging.getLogger(__name__)


class ControlServer:
    """Serves the control protocol to doors.

    `handlers` makes what answers requests, by method, in a thread when the first door comes: what
    it imports and the protocol itself are not needed before. `snapshot` is asked for whenever a
    door is to be told what changed.
    """

    def __init__(
        self,
        *,
        handlers: Callable[[], Mapping[str, Handler]],
        snapshot: Callable[[], EngineSnapshot],
    ) -> None:
        self._handlers = handlers
        self._snapshot = snapshot
        self._loading: asyncio.Future[_Connects] | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._address: Path | None = None
        self._instance: Path | None = None

    async def start(self, instance: Path) -> None:
        """Listen on the instance's socket; its folder exists and is this user's alone."""
        address = await asyncio.to_thread(choose_address, instance)
        # Between bind and chmod nobody else may connect, whatever the folder's mode.
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._accept, str(address), limit=LINE_LIMIT
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
        # As in the proxy's listener: asyncio would forget a connection accepted in this turn.
        await asyncio.sleep(0)
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
        if self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, self._load)
        # Who stops waiting stops no other door.
        connect = await asyncio.shield(self._loading)
        if self._server is None or not self._server.is_serving():
            writer.close()
            return
        connection = connect(reader, writer)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)

    def _load(self) -> _Connects:
        from mcpmux_tui.control.connection import Connection

        return partial(Connection, handlers=self._handlers(), snapshot=self._snapshot)


def _peer_uid(peer: socket.socket) -> int | None:
    """The user at the other end, where the system tells; the socket's mode guards it anyway."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("3i")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[1])
