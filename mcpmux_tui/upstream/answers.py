"""Answers that come on a stream shared by all requests, matched by id."""

from __future__ import annotations

import asyncio

from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.model.jsonrpc import Message


class Answers:
    """What requests under way wait for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[bytes, asyncio.Future[Message | ConnectionLost]] = {}

    def __len__(self) -> int:
        """How many are waited for."""
        return len(self._waiting)

    def expect(self, raw_id: bytes) -> asyncio.Future[Message | ConnectionLost]:
        """The answer to one request, or why there is none; `forget` must follow."""
        future: asyncio.Future[Message | ConnectionLost]
        future = self._waiting[raw_id] = self._loop.create_future()
        return future

    def forget(self, raw_id: bytes) -> None:
        """Nobody waits for it any more."""
        self._waiting.pop(raw_id, None)

    def settle(self, raw_id: bytes, answer: Message | ConnectionLost) -> bool:
        """Hand an answer to the request it belongs to; False if none waits for it."""
        future = self._waiting.pop(raw_id, None)
        if future is None or future.done():
            return False
        future.set_result(answer)
        return True

    def fail_all(self, error: ConnectionLost) -> None:
        """There will be no more answers."""
        for raw_id in list(self._waiting):
            self.settle(raw_id, error)


def received(answer: Message | ConnectionLost) -> Message:
    """The answer itself. Raises ConnectionLost where there is none."""
    if isinstance(answer, ConnectionLost):
        raise answer
    return answer
