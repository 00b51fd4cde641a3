"""A person's own call: its form, its result for people, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mcpmux_tui.control.protocol import TryTool
from mcpmux_tui.engine.trying import _outcome
from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.server import Health
from tests.engine.test_given import acted
from tests.engine.test_hub import entry, running, until
from tests.engine.test_sign_ins import comes, row


async def test_a_call_is_made_counted_and_can_be_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path, entry("raw")) as hub:
        await comes(hub, Health.CONNECTED, "raw")
        form = hub.trying.form("raw", "echo")
        assert form.public == "raw__echo"
        done = await hub.trying.call(
            TryTool(key="a", server="raw", tool="echo", arguments={"x": 1})
        )
        assert (done.text, done.is_error) == ('{"x": 1}', False)
        await until(hub, lambda: row(hub, "raw").calls == 1)
        slow = asyncio.create_task(
            hub.trying.call(TryTool(key="b", server="raw", tool="slow", arguments={"seconds": 60}))
        )
        await acted()
        hub.trying.cancel("b")
        with pytest.raises(ControlError, match="was cancelled"):
            await slow
        with pytest.raises(ControlError, match="no tool named x"):
            await hub.trying.call(TryTool(key="c", server="raw", tool="x"))
        assert (await hub.trying.call(TryTool(key="d", server="raw", tool="echo"))).text


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
        (b'{"resultType":"input_required"}',
         "The server asks for more input, which a try cannot give yet."),
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
