from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.errors import ConnectionLost
from mcpmux_tui.upstream.limits import KIB, MIB, Limits
from mcpmux_tui.upstream.lists import fetch


def pages(*raw: str) -> tuple[Callable[[str, bytes], Awaitable[bytes]], list[bytes]]:
    """A peer with these pages, over and over; and what it was asked."""
    asked: list[bytes] = []

    async def ask(method: str, params: bytes) -> bytes:
        asked.append(params)
        return raw[(len(asked) - 1) % len(raw)].encode()

    return ask, asked


def page(*names: str, more: str | None = None) -> str:
    tools = ",".join(f'{{"name":{json.dumps(name)}}}' for name in names)
    cursor = "" if more is None else f',"nextCursor":{json.dumps(more)}'
    return f'{{"tools":[{tools}]{cursor}}}'


async def test_all_pages_are_fetched_with_the_cursor_as_received() -> None:
    ask, asked = pages('{"tools":[{"name":"a"}],"nextCursor":"x\\u00fc\\""}', page("b"))
    lists = await fetch((Kind.TOOLS,), ask, Limits())
    assert [tool.name for tool in lists.tools] == ["a", "b"]
    assert asked == [b"{}", b'{"cursor":"x\\u00fc\\""}']
    assert lists.skipped == ()


async def test_definitions_stay_as_received() -> None:
    definition = '{ "name" : "a", "inputSchema": {"n":1.0, "big":1180591620717411303424} }'
    ask, _ = pages(f'{{"tools": [ {definition} , {{"name":"b","description":"x\\u001b[2J"}}]}}')
    first, second = (await fetch((Kind.TOOLS,), ask, Limits())).tools
    assert first.definition == definition.encode()
    assert "\x1b" not in second.description


@pytest.mark.behaviour("A2")
async def test_what_is_no_tool_is_skipped_with_a_sentence() -> None:
    tools = '"x",{},{"name":7},{"name":""},{"name":"\\ud83d"},{"name":"a"},{"name":"a"}'
    ask, _ = pages(f'{{"tools":[{tools}]}}')
    lists = await fetch((Kind.TOOLS,), ask, Limits())
    assert [tool.name for tool in lists.tools] == ["a"]
    assert len(lists.skipped) == 6
    assert lists.skipped[-1] == "Tool a is listed twice; the first one is used."


@pytest.mark.behaviour("H29")
async def test_a_list_without_end_is_cut() -> None:
    ask, asked = pages(page("a", more="0"))
    lists = await fetch((Kind.TOOLS,), ask, Limits())
    assert len(asked) == 2
    assert "repeats" in lists.skipped[-1]

    endless = 0

    async def more(method: str, params: bytes) -> bytes:
        nonlocal endless
        endless += 1
        return page(f"t{endless}", more=str(endless)).encode()

    lists = await fetch((Kind.TOOLS,), more, Limits(pages=7))
    assert len(lists.tools) == 7
    assert "more than 7 pages" in lists.skipped[-1]
    lists = await fetch((Kind.TOOLS,), more, Limits(items=5))
    assert len(lists.tools) == 5
    assert "(5 tools, " in lists.skipped[-1]


async def test_sentences_about_skipped_tools_are_bounded() -> None:
    ask, _ = pages(f'{{"tools":[{",".join(["1"] * 500)}]}}')
    lists = await fetch((Kind.TOOLS,), ask, Limits(skipped=3))
    assert len(lists.skipped) == 4
    assert lists.skipped[-1] == "497 more definitions could not be used."


async def test_a_large_page_is_read_too() -> None:
    ask, _ = pages(page(*(f"tool-{n:04}{'x' * 100}" for n in range(4000))))
    assert len((await fetch((Kind.TOOLS,), ask, Limits())).tools) == 4000


@pytest.mark.parametrize("raw", ["{}", '{"tools":{}}', '{"tools":[1,]}'])
async def test_a_page_that_is_no_list_is_an_error(raw: str) -> None:
    ask, _ = pages(raw)
    with pytest.raises(ConnectionLost, match="tool list"):
        await fetch((Kind.TOOLS,), ask, Limits())


async def test_a_list_cut_within_one_page_says_how_many_are_left_out() -> None:
    ask, _ = pages(page("a", "b", "c", "d"))
    lists = await fetch((Kind.TOOLS,), ask, Limits(items=3))
    assert [tool.name for tool in lists.tools] == ["a", "b", "c"]
    assert lists.skipped == (
        "The list is longer than mcpmux takes (3 tools, 16 MiB, 500000 values):"
        " 1 tool and any later page are left out.",
    )


async def test_a_definition_with_a_key_twice_costs_that_tool_alone() -> None:
    ask, _ = pages('{"tools":[{"name":"a","title":"x","title":"y"},{"name":"b"}]}')
    lists = await fetch((Kind.TOOLS,), ask, Limits())
    assert [tool.name for tool in lists.tools] == ["b"]
    assert lists.skipped == ("The definition of tool a cannot be used: a key appears twice.",)


def sized(name: str, size: int) -> str:
    """A definition of so many bytes."""
    frame = f'{{"name":"{name}","x":""}}'
    return frame[:-2] + "x" * (size - len(frame)) + '"}'


async def test_a_definition_has_a_largest_size() -> None:
    ask, _ = pages(f'{{"tools":[{sized("a", 256 * KIB)},{sized("b", 256 * KIB + 1)}]}}')
    lists = await fetch((Kind.TOOLS,), ask, Limits())
    assert [tool.name for tool in lists.tools] == ["a"]
    assert lists.skipped == ("The definition of tool b is larger than 256 KiB.",)


async def test_all_definitions_together_have_a_largest_size() -> None:
    asked = 0

    async def ask(method: str, params: bytes) -> bytes:
        nonlocal asked
        asked += 1
        tools = ",".join(sized(f"{asked}-{n}", 200 * KIB) for n in range(4))
        return f'{{"tools":[{tools}],"nextCursor":"{asked}"}}'.encode()

    lists = await fetch((Kind.TOOLS,), ask, Limits(definitions=MIB))
    assert [tool.name for tool in lists.tools] == ["1-0", "1-1", "1-2", "1-3", "2-0"]
    assert asked == 2
    (sentence,) = lists.skipped
    assert "(10000 tools, 1 MiB, 500000 values): 3 tools" in sentence


async def test_all_definitions_together_have_a_most_of_values() -> None:
    many = ",".join(f'{{"name":"{n}","x":[{"1," * 90}1]}}' for n in range(9))
    ask, _ = pages(f'{{"tools":[{many}]}}')
    lists = await fetch((Kind.TOOLS,), ask, Limits(values=500))
    assert len(lists.tools) == 5
    assert "4 tools" in lists.skipped[-1]
