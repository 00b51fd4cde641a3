"""An MCP server that costs next to nothing: `echo` and more tools, N in all, over stdio or HTTP.

python echo.py stdio --tools 50     2025; a call of `touch` says that the resource x://1 has changed
python echo.py http --tools 50      2025; prints its address as one line
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

ID = re.compile(rb'"id":("[^"]*"|\d+)')
TEXT = b'"text":"'
TOUCH = b'"name":"touch"'
TOUCHED = b'{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x://1"}}\n'
VERSION = re.compile(rb'"protocolVersion":"([^"]*)"')
METHOD = re.compile(rb'"method":"([^"]*)"')
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def tools(count: int) -> bytes:
    """The definitions, about 500 bytes each."""
    schema = {
        "type": "object",
        "properties": {"text": {"type": "string", "description": "x" * 300}},
    }
    names = ["echo", "touch", *(f"tool-{number:03}" for number in range(2, count))]
    return json.dumps(
        [{"name": name, "description": f"The {name} tool", "inputSchema": schema} for name in names]
    ).encode()


class Answers:
    """The answer to each message, as bytes; b"" where there is none."""

    def __init__(self, count: int) -> None:
        self._tools = tools(count)

    def to(self, message: bytes) -> bytes:
        found = ID.search(message)
        if found is None:
            return b""
        method = METHOD.search(message)
        match method[1] if method else b"":
            case b"tools/call":
                # The benchmark's texts need no escapes.
                start = message.find(TEXT) + len(TEXT)
                text = message[start : message.find(b'"', start)]
                result = b'{"content":[{"type":"text","text":"%b"}]}' % text
            case b"tools/list":
                result = b'{"tools":%b}' % self._tools
            case b"initialize":
                asked = VERSION.search(message)
                result = (
                    b'{"protocolVersion":"%b","capabilities":{"tools":{},"resources":'
                    b'{"subscribe":true}},"serverInfo":{"name":"echo","version":"1"}}'
                ) % (asked[1] if asked else b"2025-11-25")
            case b"resources/list":
                result = b'{"resources":[{"uri":"x://1","name":"one"}]}'
            case b"resources/templates/list":
                result = b'{"resourceTemplates":[]}'
            case b"ping" | b"resources/subscribe" | b"resources/unsubscribe":
                result = b"{}"
            case _:
                return (
                    b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32601,"message":"no"}}' % found[1]
                )
        return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (found[1], result)


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
    """Serve over HTTP for ever."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Http(answers), "127.0.0.1", 0, backlog=1024
    )
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Serve until stdin ends, or for ever."""
    answers = Answers(int(sys.argv[-1]))
    if sys.argv[1] == "http":
        asyncio.run(serve(answers))
        return
    for line in sys.stdin.buffer:
        if answer := answers.to(line):
            notice = TOUCHED if TOUCH in line else b""
            sys.stdout.buffer.write(notice + answer + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
