"""The clock server: time zones and sums with dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mcp.client import Client

from tests.demo.conftest import Mode, Open


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    structured: dict[str, Any] = result.structured_content
    return structured


async def test_both_eras_list_described_tools(open_stdio: Open, mode: Mode) -> None:
    async with open_stdio("clock", mode) as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == ["now", "convert", "difference", "add", "zones"]
    assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools)
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)


async def test_every_tool_answers(open_stdio: Open) -> None:
    async with open_stdio("clock", "auto") as clock:
        now = await call(clock, "now", timezone="Asia/Tokyo")
        assert now["utc_offset"] == "+09:00"
        assert abs(datetime.fromisoformat(now["time"]) - datetime.now(UTC)) < timedelta(minutes=1)

        assert await call(
            clock,
            "convert",
            time="2026-07-01T09:30",
            from_timezone="Europe/Berlin",
            to_timezone="America/New_York",
        ) == {
            "time": "2026-07-01T03:30:00-04:00",
            "timezone": "America/New_York",
            "weekday": "Wednesday",
            "utc_offset": "-04:00",
            "is_dst": True,
        }

        assert await call(clock, "difference", start="2026-03-01", end="2026-02-26T22:59:59") == {
            "seconds": -176401.0,
            "days": -2,
            "words": "minus 2 days, 1 hour, 1 second",
        }

        later = await call(clock, "add", start="2024-02-28T12:00+01:00", days=1.5, minutes=-30)
        assert (later["time"], later["weekday"]) == ("2024-02-29T22:30:00+00:00", "Thursday")

        assert await call(clock, "zones", search="new york") == {"result": ["America/New_York"]}


async def test_what_cannot_be_is_an_error_with_a_sentence(open_stdio: Open) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("now", {"timezone": "Mars/Olympus"}, "Unknown time zone: Mars/Olympus."),
        ("now", {"timezone": "../../etc/passwd"}, "Unknown time zone"),
        ("difference", {"start": "soon", "end": "2026-01-01"}, "Not an ISO 8601"),
        ("add", {"start": "9999-12-31", "weeks": 1}, "beyond the calendar"),
    ]
    async with open_stdio("clock", "auto") as clock:
        for tool, arguments, message in cases:
            result = await clock.call_tool(tool, arguments)
            assert result.is_error
            assert message in str(result.content)
