"""The notes server: what is written can be found, read and removed."""

from __future__ import annotations

from typing import Any

from mcp.client import Client

from tests.demo.conftest import Mode, Open


async def call(client: Client, tool: str, **arguments: object) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def test_notes_are_kept_in_both_eras(open_stdio: Open, mode: Mode) -> None:
    async with open_stdio("notes", mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [
            "add",
            "list",
            "search",
            "read",
            "remove",
        ]
        milk = await call(client, "add", text="Buy milk", tags=["home", "shop", "home"])
        assert (milk["number"], milk["tags"]) == (1, ["home", "shop"])
        tea = await call(client, "add", text="Buy green tea")

        assert await call(client, "list") == {"result": [tea, milk]}
        assert await call(client, "list", tag="shop") == {"result": [milk]}
        assert await call(client, "list", limit=1) == {"result": [tea]}
        assert await call(client, "search", query="SHOP buy") == {"result": [milk]}
        assert await call(client, "read", number=2) == tea

        assert await call(client, "remove", number=1) == milk
        gone = await client.call_tool("read", {"number": 1})
        assert gone.is_error
        assert "There is no note 1." in str(gone.content)
        assert (await call(client, "add", text="again"))["number"] == 3


async def test_notes_are_resources_and_can_be_asked_about(open_stdio: Open, mode: Mode) -> None:
    async with open_stdio("notes", mode) as client:
        await call(client, "add", text="Buy milk")
        listed = [str(each.uri) for each in (await client.list_resources()).resources]
        assert listed == ["note://all"]
        assert "1  Buy milk" in str(await client.read_resource("note://all"))
        assert "Buy milk" in str(await client.read_resource("note://1"))
        prompt = await client.get_prompt("summary", {"tag": "home"})
        assert "tagged home" in str(prompt.messages)


async def test_a_disabled_copy_works_once_it_is_enabled(open_stdio: Open) -> None:
    async with open_stdio("scratchpad", "auto") as client:
        assert await call(client, "list") == {"result": []}
