"""An MCP server that costs next to nothing: `echo` and more tools, N in all, over stdio.

python -I -S echo.py 50     2025; a call of `touch` says that the resource x://1 has changed

It imports nothing that Python itself does not need to start: twenty of it are started at once to
measure what starts them.
"""

import sys

ID = b'"id":'
TEXT = b'"text":"'
TOUCH = b'"name":"touch"'
TOUCHED = b'{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x://1"}}\n'
VERSION = b'"protocolVersion":"'
METHOD = b'"method":"'
TOOL = (
    b'{"name":"%b","description":"The %b tool","inputSchema":{"type":"object","properties":'
    b'{"text":{"type":"string","description":"' + b"x" * 300 + b'"}}}}'
)


def tools(count: int) -> bytes:
    """The definitions, about 500 bytes each."""
    names = [b"echo", b"touch", *(b"tool-%03d" % number for number in range(2, count))]
    return b"[%b]" % b",".join(TOOL % (name, name) for name in names)


def after(key: bytes, message: bytes) -> bytes:
    """What stands between a key and the next quote; the benchmark's texts need no escapes."""
    start = message.find(key) + len(key)
    return message[start : message.find(b'"', start)] if start >= len(key) else b""


class Answers:
    """The answer to each message, as bytes; b"" where there is none."""

    def __init__(self, count: int) -> None:
        self._tools = tools(count)

    def to(self, message: bytes) -> bytes:
        start = message.find(ID) + len(ID)
        if start < len(ID):
            return b""
        # The first of what may follow an id.
        number = message[start : start + 64].partition(b",")[0].partition(b"}")[0]
        match after(METHOD, message):
            case b"tools/call":
                result = b'{"content":[{"type":"text","text":"%b"}]}' % after(TEXT, message)
            case b"tools/list":
                result = b'{"tools":%b}' % self._tools
            case b"initialize":
                result = (
                    b'{"protocolVersion":"%b","capabilities":{"tools":{},"resources":'
                    b'{"subscribe":true}},"serverInfo":{"name":"echo","version":"1"}}'
                ) % (after(VERSION, message) or b"2025-11-25")
            case b"resources/list":
                result = b'{"resources":[{"uri":"x://1","name":"one"}]}'
            case b"resources/templates/list":
                result = b'{"resourceTemplates":[]}'
            case b"ping" | b"resources/subscribe" | b"resources/unsubscribe":
                result = b"{}"
            case _:
                return b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32601,"message":"no"}}' % number
        return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (number, result)


def main() -> None:
    """Serve until stdin ends."""
    answers = Answers(int(sys.argv[1]))
    for line in sys.stdin.buffer:
        if answer := answers.to(line):
            notice = TOUCHED if TOUCH in line else b""
            sys.stdout.buffer.write(notice + answer + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
