"""Lists in pages for clients, and what servers have to say to the model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import httpx2
import pytest

from mcpmux_tui.model.channel import Lists
from mcpmux_tui.model.spec import ProxySpec, ServerSpec
from mcpmux_tui.proxy import Proxy
from tests.proxy.fakes import (
    FakeUpstream,
    http_client,
    modern,
    open_session,
    rpc,
    running,
    tool,
    url_of,
)

TOOLS = tuple(tool(f"t{n}") for n in range(7))
PAGES = ProxySpec(page_size=3)


class Client:
    """Asks in one era."""

    def __init__(self, proxy: Proxy, http: httpx2.AsyncClient, session: dict[str, str]) -> None:
        self.url, self.http, self.session = url_of(proxy), http, session

    async def page(self, cursor: str | None, era: str) -> dict[str, object]:
        params = {} if cursor is None else {"cursor": cursor}
        body, headers = rpc("tools/list", params), self.session
        if era == "modern":
            body, headers = modern("tools/list", dict(params))
        answer: dict[str, object] = (
            await self.http.post(self.url, json=body, headers=headers)
        ).json()
        return answer


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_with_a_page_size_a_list_comes_in_pages_and_a_cursor_is_of_one_list(era: str) -> None:
    server = FakeUpstream("s", TOOLS)
    async with running(server, spec=PAGES) as proxy, http_client() as http:
        client = Client(proxy, http, await open_session(http, url_of(proxy)))
        names: list[str] = []
        cursor: str | None = None
        cursors: list[str] = []
        while True:
            result = (await client.page(cursor, era))["result"]
            assert isinstance(result, dict)
            names += [each["name"] for each in result["tools"]]
            if (cursor := result.get("nextCursor")) is None:
                break
            cursors.append(cursor)
        assert names == [f"s__t{n}" for n in range(7)]
        assert len(cursors) == 2
        for wrong in ("3", "", "AAAA", cursors[0][:-4] + "____"):
            assert (await client.page(wrong, era))["error"]["code"] == -32602  # type: ignore[index]
        server.tools = TOOLS[1:]
        proxy.lists_changed("s")
        assert (await client.page(cursors[0], era))["error"]["code"] == -32602  # type: ignore[index]


@dataclass
class Talkative(FakeUpstream):
    """A server with something to say to the model."""

    offered: bool = True

    @property
    def spec(self) -> ServerSpec:
        return replace(super().spec, instructions=self.offered)

    @property
    def lists(self) -> Lists:
        return Lists(instructions=f"Use {self.name} well.")


async def instructions(proxy: Proxy, endpoint: str, http: httpx2.AsyncClient) -> list[object]:
    """What a client of each era is told."""
    greeting = rpc("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                  "clientInfo": {"name": "t", "version": "1"}})  # fmt: skip
    body, headers = modern("server/discover")
    url = url_of(proxy, endpoint)
    old = await http.post(url, json=greeting)
    new = await http.post(url, json=body, headers=headers)
    return [json.loads(each.content)["result"].get("instructions") for each in (old, new)]


async def test_instructions_are_told_only_of_servers_whose_entry_says_so() -> None:
    servers = (Talkative("a"), Talkative("b", offered=False), Talkative("c"))
    async with running(*servers) as proxy, http_client() as http:
        both = "# Server a\n\nUse a well.\n\n# Server c\n\nUse c well."
        assert await instructions(proxy, "", http) == [both, both]
        assert await instructions(proxy, "a", http) == ["Use a well."] * 2
        assert await instructions(proxy, "b", http) == [None, None]
