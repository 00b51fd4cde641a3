"""The text server: exact counts, diffs, hashes and encodings over HTTP, in both eras."""

from __future__ import annotations

from mcp.client import Client

from mcpmux_tui.demo import HttpServer
from tests.demo.conftest import Mode


async def test_every_tool_answers_in_both_eras(mode: Mode) -> None:
    async with HttpServer() as server, Client(f"{server.origin}/mcp", mode=mode) as text:
        assert text.protocol_version == {"legacy": "2025-11-25", "auto": "2026-07-28"}[mode]
        tools = (await text.list_tools()).tools
        assert [tool.name for tool in tools] == ["count", "diff", "hash", "encode", "decode"]
        assert all(tool.description for tool in tools)

        async def call(tool: str, **arguments: object) -> object:
            result = await text.call_tool(tool, arguments)
            assert not result.is_error, result.content
            return result.structured_content

        assert await call("count", text="naïve  café\nend") == {
            "characters": 15,
            "words": 3,
            "lines": 2,
            "bytes": 17,
        }
        assert await call("diff", before="a\nb", after="a\nc", context=0) == {
            "result": "--- before\n+++ after\n@@ -2 +2 @@\n-b\n+c"
        }
        assert await call("hash", text="abc") == {
            "result": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        }
        assert await call("hash", text="", algorithm="md5") == {
            "result": "d41d8cd98f00b204e9800998ecf8427e"
        }
        for form, encoded in {
            "base64": "wr8/Pg==",
            "base64url": "wr8_Pg==",
            "hex": "c2bf3f3e",
            "url": "%C2%BF%3F%3E",
        }.items():
            assert await call("encode", text="¿?>", format=form) == {"result": encoded}
            assert await call("decode", text=encoded, format=form) == {"result": "¿?>"}

        wrong = await text.call_tool("decode", {"text": "%%%"})
        assert wrong.is_error
        assert "This is not UTF-8 text in base64" in str(wrong.content)
