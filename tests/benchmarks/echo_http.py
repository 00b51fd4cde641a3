"""The echo server over HTTP: `python -m tests.benchmarks.echo_http 50` prints its address."""

from __future__ import annotations

import asyncio
import re
import sys

from tests.benchmarks.echo import Answers

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Http(asyncio.Protocol):
    """Just enough HTTP/1.1."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            found = LENGTH.search(self._data, 0, end)
            stop = end + 4 + (int(found[1]) if found else 0)
            if len(self._data) < stop:
                return
            post = self._data.startswith(b"POST")
            body, self._data = self._data[end + 4 : stop], self._data[stop:]
            self._answer(post, body)

    def _answer(self, post: bool, body: bytes) -> None:
        assert self._transport is not None
        answer = self._answers.to(body) if post else b""
        status = (b"200 OK" if answer else b"202 Accepted") if post else b"405 No"
        self._transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nmcp-session-id: s\r\n"
            b"content-length: %d\r\n\r\n%b" % (status, len(answer), answer)
        )


async def serve(answers: Answers) -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Http(answers), "127.0.0.1", 0, backlog=1024
    )
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Answers(int(sys.argv[1]))))
