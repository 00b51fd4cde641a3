"""Every feature between clients of three revisions and servers of both eras over each transport."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable

import pytest

from mcpmux_tui.engine.hub import Hub
from tests.fixtures.http_peer import MODERN, Json, Peer, Refused, peer
from tests.matrix.conftest import SERVERS

pytestmark = pytest.mark.asyncio(loop_scope="package")

VERSIONS = ("2025-06-18", "2025-11-25", MODERN)
ANSWERS: dict[str, Json] = {
    "elicitation/create": {"action": "accept", "content": {"city": "Ulm"}},
    "sampling/createMessage": {
        "role": "assistant", "content": {"type": "text", "text": "Roses"}, "model": "m",
    },
    "roots/list": {"roots": [{"uri": "file:///home/ada"}]},
}  # fmt: skip


class Server:
    """One server as one client sees it: on `/mcp` under public names."""

    def __init__(self, client: Peer, name: str) -> None:
        self.client, self.name = client, name

    def tool(self, name: str) -> str:
        return f"{self.name}__{name}"

    async def text(self, tool: str, meta: Json | None = None, **arguments: object) -> str:
        return await self.client.text(self.tool(tool), meta, **arguments)

    async def listed(self, kind: str) -> list[Json]:
        """What is listed of one kind: of all servers together."""
        method = "resources/templates/list" if kind == "resourceTemplates" else f"{kind}/list"
        found: list[Json] = (await self.client.request(method))[kind]
        return found

    async def own_tool(self, name: str) -> Json:
        """The definition of one of its tools."""
        tools = await self.listed("tools")
        return next(each for each in tools if each["name"] == self.tool(name))


LIST_CHANGED = "notifications/tools/list_changed"
Feature = Callable[[Server], Awaitable[None]]
FEATURES: dict[str, Feature] = {}


def feature(function: Feature) -> Feature:
    FEATURES[function.__name__] = function
    return function


@feature
async def tools(server: Server) -> None:
    definition = await server.own_tool("echo")
    assert definition["inputSchema"]["required"] == ["text"]
    assert await server.text("echo", text="grüß dich") == "grüß dich"


@feature
async def structured_content(server: Server) -> None:
    assert "outputSchema" in await server.own_tool("weather")
    result = await server.client.call(server.tool("weather"))
    assert result["structuredContent"] == {"degrees": 21.5}
    assert ("resultType" in result) == server.client.modern


@feature
async def errors(server: Server) -> None:
    result = await server.client.call(server.tool("fail"))
    assert result["isError"] is True
    assert result["content"][0]["text"].startswith("Error executing tool")
    with pytest.raises(Refused) as met:
        await server.client.call(server.tool("no_such"))
    assert met.value.error["code"] == -32602


@feature
async def prompts(server: Server) -> None:
    listed = {each["name"]: each for each in await server.listed("prompts")}
    assert listed[server.tool("greet")]["arguments"][0]["name"] == "name"
    params = {"name": server.tool("greet"), "arguments": {"name": "Ada"}}
    result = await server.client.request("prompts/get", params)
    assert result["messages"][0]["content"]["text"] == "Greet Ada."


@feature
async def completion(server: Server) -> None:
    ref = {"type": "ref/prompt", "name": server.tool("greet")}
    params = {"ref": ref, "argument": {"name": "name", "value": "A"}}
    result = await server.client.request("completion/complete", params)
    assert result["completion"]["values"] == ["A1 prompt", "A2 prompt", "A3 prompt"]


@feature
async def progress(server: Server) -> None:
    token = f"mine-{server.name}"
    assert await server.text("steps", {"progressToken": token}) == "done"
    heard = [
        each["params"] for each in server.client.heard if each["method"] == "notifications/progress"
    ]
    assert [each["progress"] for each in heard] == [1, 2]
    assert {each["progressToken"] for each in heard} == {token}


@feature
async def log_messages(server: Server) -> None:
    client = server.client
    if client.modern:
        client.log_level = "info"
    else:
        await client.request("logging/setLevel", {"level": "info"})
    assert await server.text("log") == "logged"
    heard = [each["params"] for each in client.heard if each["method"] == "notifications/message"]
    assert [each["level"] for each in heard] == ["info", "error"]
    assert heard[0]["data"] == "info line"


@feature
async def cancellation(server: Server) -> None:
    async def until(index: int, count: int) -> None:
        async with asyncio.timeout(10):
            while int((await server.text("waits")).split()[index]) != count:
                pass

    waiting, cancelled = map(int, (await server.text("waits")).split())
    async with server.client.cancelling(server.tool("wait")):
        await until(0, waiting + 1)
    await until(1, cancelled + 1)


async def _hears_more(client: Peer, than: int) -> None:
    await client.until(lambda _: len(client.heard) > than)


@feature
async def changed_lists(server: Server) -> None:
    client = server.client
    await client.listen()
    grown = await server.text("grow")
    while True:
        # Of several servers, each may have told of a change.
        told = len(client.heard)
        if any(each["name"] == server.tool(grown) for each in await server.listed("tools")):
            break
        await _hears_more(client, told)
    await client.until(lambda each: each["method"] == LIST_CHANGED)
    assert await server.text(grown) == "grown"


@feature
async def elicitation(server: Server) -> None:
    assert await server.text("ask") == "accept Ulm"
    (question,) = server.client.questions
    assert question["params"]["message"] == "Which city?"
    assert question["params"]["requestedSchema"]["required"] == ["city"]


@feature
async def elicitation_of_an_address(server: Server) -> None:
    assert await server.text("ask_url") == "accept"
    (question,) = server.client.questions
    assert question["params"]["url"] == "https://example.com/sign"


@feature
async def sampling(server: Server) -> None:
    assert await server.text("sample") == "Roses"
    (question,) = server.client.questions
    assert question["params"]["messages"][0]["content"]["text"] == "A poem, please"


@feature
async def roots(server: Server) -> None:
    assert await server.text("roots") == "file:///home/ada"


@feature
async def apps(server: Server) -> None:
    meta = (await server.own_tool("app"))["_meta"]
    assert meta["ui"] == {"resourceUri": "ui://app"}
    assert meta["vendor/x"] == 1


OWN: dict[str, Feature] = {}
"""Features about addresses, which several servers here share: on an endpoint of its own."""


def own(function: Feature) -> Feature:
    OWN[function.__name__] = function
    return function


@own
async def resources(server: Server) -> None:
    uris = [each["uri"] for each in await server.listed("resources")]
    assert {"memo://note", "memo://blob", "ui://app"} <= set(uris)
    read = await server.client.request("resources/read", {"uri": "memo://blob"})
    assert base64.b64decode(read["contents"][0]["blob"]) == b"\0\1\2\xff"
    page = await server.client.request("resources/read", {"uri": "ui://app"})
    assert page["contents"][0]["text"] == "<p>hello</p>"
    with pytest.raises(Refused) as met:
        await server.client.request("resources/read", {"uri": "file:///etc/passwd"})
    assert met.value.error["code"] == -32002


@own
async def templates(server: Server) -> None:
    (template,) = await server.listed("resourceTemplates")
    assert template["uriTemplate"] == "memo://{name}/page"
    read = await server.client.request("resources/read", {"uri": "memo://ada/page"})
    assert read["contents"][0]["text"] == "page of ada"
    ref = {"type": "ref/resource", "uri": "memo://{name}/page"}
    params = {"ref": ref, "argument": {"name": "name", "value": "A"}}
    result = await server.client.request("completion/complete", params)
    assert result["completion"]["values"][0] == "A1 template"


@own
async def subscriptions(server: Server) -> None:
    await server.client.listen("memo://note")
    method = "notifications/resources/updated"

    def updated(each: Json) -> bool:
        return (each["method"], each["params"].get("uri")) == (method, "memo://note")

    async with asyncio.timeout(10):
        # The server hears of the wish in its own time.
        while not any(updated(each) for each in server.client.heard):
            await server.client.text("touch")
    read = await server.client.request("resources/read", {"uri": "memo://note"})
    assert read["contents"][0]["text"].startswith("touched ")


@pytest.mark.behaviour("P-14")
@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_all_servers_together(hub: Hub, version: str, server: str, name: str) -> None:
    assert hub.proxy.url is not None
    async with peer(hub.proxy.url, version, answers=ANSWERS) as client:
        await FEATURES[name](Server(client, server))


@pytest.mark.behaviour("P-14")
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_one_server_alone(hub: Hub, version: str, server: str, name: str) -> None:
    async with peer(f"{hub.proxy.url}/{server}", version, answers=ANSWERS) as client:
        await OWN[name](Server(client, server))
