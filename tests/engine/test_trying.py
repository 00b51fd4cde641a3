"""A person's own call: its form, its result for people, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mcpmux_tui.control.protocol import ItemName, Items, TryItem
from mcpmux_tui.engine.doors import Doors
from mcpmux_tui.engine.person import Person
from mcpmux_tui.engine.trying import _outcome, item_named
from mcpmux_tui.model.channel import Item, Kind, Lists
from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.server import Health
from tests.engine.test_given import acted
from tests.engine.test_hub import entry, running, until
from tests.engine.test_sign_ins import comes, row
from tests.matrix.conftest import address

_ESC = "esc\x1b]52;c;YQ==\x07"
"""A name that `raw --hostile` lists."""


async def test_a_call_is_made_counted_and_can_be_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path, entry("raw")) as hub:
        trying = Person(hub).trying
        await comes(hub, Health.CONNECTED, "raw")
        form = trying.form(ItemName(server="raw", name="echo"))
        assert form.public == "raw__echo"
        done = await trying.run(TryItem(key="a", server="raw", name="echo", arguments={"x": 1}))
        assert (done.text, done.is_error) == ('{"x": 1}', False)
        await until(hub, lambda: row(hub, "raw").calls == 1)
        slow = asyncio.create_task(
            trying.run(TryItem(key="b", server="raw", name="slow", arguments={"seconds": 60}))
        )
        await acted()
        trying.cancel("b")
        with pytest.raises(ControlError, match="was cancelled"):
            await slow
        with pytest.raises(ControlError, match="no tool named x"):
            await trying.run(TryItem(key="c", server="raw", name="x"))
        assert (await trying.run(TryItem(key="d", server="raw", name="echo"))).text


async def test_a_call_to_a_server_that_is_away_says_so_and_one_on_its_way_is_waited_for(
    tmp_path: Path,
) -> None:
    missing = "[servers.missing]\ncommand = 'mcpmux-no-such-program'\n"
    off = entry("off") + "enabled = false\n"
    async with running(tmp_path, entry("raw"), missing, off) as hub:
        wish = TryItem(key="a", server="raw", name="echo", arguments={"x": 1})
        assert row(hub, "raw").state is Health.CONNECTING
        assert (await Person(hub).trying.run(wish)).text == '{"x": 1}'
        await comes(hub, Health.FAILED, "missing")
        with pytest.raises(ControlError, match=r"missing has failed \(command not found"):
            await Person(hub).trying.run(TryItem(key="b", server="missing", name="echo"))
        with pytest.raises(ControlError, match="off is disabled") as caught:
            await Person(hub).trying.run(TryItem(key="c", server="off", name="echo"))
        assert caught.value.hint == "Enable it: `mcpmux enable off`."


@pytest.mark.behaviour("P-14")
@pytest.mark.parametrize("era", ["2025", "2026"])
async def test_all_a_server_offers_can_be_tried_and_what_it_asks_waits_for_the_person(
    tmp_path: Path, era: str
) -> None:
    async with (
        address("http", "--only", era) as url,
        running(tmp_path, f"[servers.rich]\nurl = {url!r}\n") as hub,
    ):
        trying = Person(hub).trying
        await comes(hub, Health.CONNECTED, "rich")
        assert (row(hub, "rich").era or "").startswith(era)

        async def tried(kind: Kind, name: str, /, **typed: str) -> str:
            wish = TryItem(key="a", server="rich", kind=kind, name=name, typed=typed)
            return (await trying.run(wish)).text

        assert await tried(Kind.PROMPTS, "greet", name="Ada") == "user:\nGreet Ada."
        assert await tried(Kind.RESOURCES, "memo://note") == "touched 0"
        assert await tried(Kind.RESOURCES, "memo://blob") == ("[memo://blob: text/plain, 4 bytes]")
        assert await tried(Kind.TEMPLATES, "memo://{name}/page", name="a b") == "page of a b"
        with pytest.raises(ControlError, match="name is missing"):
            await tried(Kind.PROMPTS, "greet")
        asked = asyncio.create_task(tried(Kind.TOOLS, "ask"))
        await until(hub, lambda: bool(hub.snapshot().questions))
        (question,) = hub.snapshot().questions
        hub.proxy.questions.answer(question.id, "accept", {"city": "Oslo"})
        assert await asked == "accept Oslo"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (b'{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}', "a\n\nb"),
        (b'{"content":[{"type":"text","text":"[1]"}],"structuredContent":[1]}', "[1]"),
        (b'{"content":[],"structuredContent":[1]}', "[\n  1\n]"),
        (b'{"content":[{"type":"image","mimeType":"image/png","data":"AAAA"}]}',
         "[image: image/png, 3 bytes]"),
        (b'{"content":[{"type":"resource_link","uri":"file:///x"}]}', "[link: file:///x]"),
        (b'{"content":[{"type":"resource","resource":{"uri":"x","text":"t"}}]}', "t"),
        (b'{"content":[{"type":"odd"}, 7]}', '{"type": "odd"}'),
        (b'{"messages":[{"role":"user","content":{"type":"text","text":"a"}},7]}', "user:\na"),
        (b'{"contents":[{"uri":"x","text":"t"},{"uri":"y","mimeType":"a/b","blob":"AAAA"}]}',
         "t\n\n[y: a/b, 3 bytes]"),
        (b"not json", ""),
    ],
)  # fmt: skip
def test_a_result_for_people(result: bytes, text: str) -> None:
    assert _outcome(result, 0.1).text == text


@pytest.mark.behaviour("A1")
def test_a_result_is_clean() -> None:
    outcome = _outcome(b'{"content":[{"type":"text","text":"\\u001b[31mx"}],"isError":true}', 0.1)
    assert "\x1b" not in outcome.text + outcome.raw
    assert outcome.is_error


@pytest.mark.behaviour("A1")
async def test_an_item_is_found_by_what_doors_show_of_its_name(tmp_path: Path) -> None:
    async with running(tmp_path, entry("raw", "--hostile")) as hub:
        trying = Person(hub).trying
        await comes(hub, Health.CONNECTED, "raw")
        doors = Doors(hub)
        page = await doors.handlers()["items"]({"server": "raw"})
        assert isinstance(page, Items)
        shown = next(each for each in page.items if each.name.startswith("esc"))
        assert shown.name == "esc\ufffd]52;c;YQ==\ufffd"
        assert trying.form(ItemName(server="raw", name=shown.name)).public == shown.public
        assert hub.proxy.public_name("raw", Kind.TOOLS, _ESC)
        await doors.handlers()["offer"]({"server": "raw", "tool": shown.name, "offered": False})
        await until(hub, lambda: not hub.proxy.public_name("raw", Kind.TOOLS, _ESC))


def test_of_items_that_look_the_same_none_is_used() -> None:
    lists = Lists({Kind.TOOLS: tuple(Item(f"a{char}", b"{}", "") for char in "\x1b\x9b")})
    with pytest.raises(ControlError, match="several tools that look like a"):
        item_named("raw", lists, Kind.TOOLS, "a\ufffd")
    assert item_named("raw", lists, Kind.TOOLS, "a\x9b").name == "a\x9b"
