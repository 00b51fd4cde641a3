from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.lists import fetch_tools


def pages(*raw: str) -> tuple[Callable[[bytes], Awaitable[bytes]], list[bytes]]:
    """A peer with these pages, over and over; and what it was asked."""
    asked: list[bytes] = []

    async def ask(params: bytes) -> bytes:
        asked.append(params)
        return raw[(len(asked) - 1) % len(raw)].encode()

    return ask, asked


def page(*names: str, more: str | None = None) -> str:
    tools = ",".join(f'{{"name":{json.dumps(name)}}}' for name in names)
    cursor = "" if more is None else f',"nextCursor":{json.dumps(more)}'
    return f'{{"tools":[{tools}]{cursor}}}'


async def test_all_pages_are_fetched_with_the_cursor_as_received() -> None:
    ask, asked = pages('{"tools":[{"name":"a"}],"nextCursor":"x\\u00fc\\""}', page("b"))
    lists = await fetch_tools(ask, Limits())
    assert [tool.name for tool in lists.tools] == ["a", "b"]
    assert asked == [b"{}", b'{"cursor":"x\\u00fc\\""}']
    assert lists.skipped == ()


async def test_definitions_stay_as_received() -> None:
    definition = '{ "name" : "a", "inputSchema": {"n":1.0, "big":1180591620717411303424} }'
    ask, _ = pages(f'{{"tools": [ {definition} , {{"name":"b","description":"x\\u001b[2J"}}]}}')
    first, second = (await fetch_tools(ask, Limits())).tools
    assert first.definition == definition.encode()
    assert "\x1b" not in second.description


@pytest.mark.behaviour("A2")
async def test_what_is_no_tool_is_skipped_with_a_sentence() -> None:
    tools = '"x",{},{"name":7},{"name":""},{"name":"\\ud83d"},{"name":"a"},{"name":"a"}'
    ask, _ = pages(f'{{"tools":[{tools}]}}')
    lists = await fetch_tools(ask, Limits())
    assert [tool.name for tool in lists.tools] == ["a"]
    assert len(lists.skipped) == 6
    assert lists.skipped[-1] == "Tool a is listed twice; the first one is used."


@pytest.mark.behaviour("H29")
async def test_a_list_without_end_is_cut() -> None:
    ask, asked = pages(page("a", more="0"))
    lists = await fetch_tools(ask, Limits())
    assert len(asked) == 2
    assert "repeats" in lists.skipped[-1]

    endless = 0

    async def more(params: bytes) -> bytes:
        nonlocal endless
        endless += 1
        return page(f"t{endless}", more=str(endless)).encode()

    lists = await fetch_tools(more, Limits(pages=7))
    assert len(lists.tools) == 7
    assert "more than 7 pages" in lists.skipped[-1]
    lists = await fetch_tools(more, Limits(tools=5))
    assert len(lists.tools) == 5
    assert "longer than 5 tools" in lists.skipped[-1]


async def test_sentences_about_skipped_tools_are_bounded() -> None:
    ask, _ = pages(f'{{"tools":[{",".join(["1"] * 500)}]}}')
    lists = await fetch_tools(ask, Limits(skipped=3))
    assert len(lists.skipped) == 4
    assert lists.skipped[-1] == "497 more definitions could not be used."


async def test_a_large_page_is_read_too() -> None:
    ask, _ = pages(page(*(f"tool-{n:04}{'x' * 100}" for n in range(4000))))
    assert len((await fetch_tools(ask, Limits())).tools) == 4000


@pytest.mark.parametrize("raw", ["{}", '{"tools":{}}', '{"tools":[1,]}'])
async def test_a_page_that_is_no_list_is_an_error(raw: str) -> None:
    ask, _ = pages(raw)
    with pytest.raises(ConnectionLost, match="tool list"):
        await fetch_tools(ask, Limits())
