"""Demo server over stdio: dates, times and time zones, which models are bad at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from mcpmux_tui import __version__

server = MCPServer(
    "clock",
    title="Clock",
    instructions="Ask here for the time, time zones and sums with dates instead of guessing.",
    version=__version__,
    log_level="WARNING",
)
READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ZONE_LIMIT = 50

Zone = Annotated[str, Field(description="IANA time zone, such as Europe/Berlin or UTC")]
Instant = Annotated[
    str, Field(description="ISO 8601 date or time, such as 2026-03-01T09:30; UTC where no offset")
]


@dataclass(frozen=True)
class Moment:
    """One point in time, as a zone's clocks show it."""

    time: str
    timezone: str
    weekday: str
    utc_offset: str
    is_dst: bool


@dataclass(frozen=True)
class Span:
    """The time from one point to another; negative when it runs backwards."""

    seconds: float
    days: int
    words: str


@server.tool(annotations=READ_ONLY)
def now(timezone: Zone = "UTC") -> Moment:
    """Tell the current date and time in a time zone."""
    return _moment(datetime.now(_zone(timezone)), timezone)


@server.tool(annotations=READ_ONLY)
def convert(
    time: Annotated[str, Field(description="ISO 8601 time in the first zone: 2026-03-01T09:30")],
    from_timezone: Zone,
    to_timezone: Zone,
) -> Moment:
    """Convert a date and time from one time zone to another, with daylight saving time."""
    moment = _parse(time)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(from_timezone))
    return _moment(moment.astimezone(_zone(to_timezone)), to_timezone)


@server.tool(annotations=READ_ONLY)
def difference(start: Instant, end: Instant) -> Span:
    """Measure the time between two dates or times."""
    delta = _utc(end) - _utc(start)
    size = abs(delta)
    hours, rest = divmod(size.seconds, 3600)
    parts = ((size.days, "day"), (hours, "hour"), (rest // 60, "minute"), (rest % 60, "second"))
    words = ", ".join(f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in parts if n)
    sign = "minus " if delta < timedelta(0) else ""
    return Span(delta.total_seconds(), int(delta / timedelta(days=1)), sign + (words or "no time"))


@server.tool(annotations=READ_ONLY)
def add(
    start: Instant, weeks: float = 0, days: float = 0, hours: float = 0, minutes: float = 0
) -> Moment:
    """Add a span to a date or time; negative numbers go back. The answer is in UTC."""
    try:
        end = _utc(start) + timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
    except (OverflowError, ValueError) as error:
        raise ToolError(f"That is beyond the calendar: {error}.") from error
    return _moment(end, "UTC")


@server.tool(annotations=READ_ONLY)
def zones(
    search: Annotated[str, Field(description="Part of a name, such as york; empty for any")] = "",
) -> list[str]:
    """Find names of time zones, at most 50, in alphabetical order."""
    wanted = search.strip().replace(" ", "_").casefold()
    return sorted(name for name in available_timezones() if wanted in name.casefold())[:_ZONE_LIMIT]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ToolError(
            f"Unknown time zone: {name}. Use a name such as Europe/Berlin; `zones` finds them."
        ) from error


def _parse(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ToolError(f"Not an ISO 8601 date or time: {text}.") from error


def _utc(text: str) -> datetime:
    moment = _parse(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _moment(moment: datetime, zone: str) -> Moment:
    return Moment(
        time=moment.isoformat(timespec="seconds"),
        timezone=zone,
        weekday=moment.strftime("%A"),
        utc_offset=_offset(moment),
        is_dst=bool(moment.dst()),
    )


def _offset(moment: datetime) -> str:
    digits = moment.strftime("%z")
    return f"{digits[:3]}:{digits[3:5]}"


if __name__ == "__main__":
    server.run()
