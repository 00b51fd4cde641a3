"""Text for the screen. Whatever came from elsewhere is drawn through `plain`, never as markup."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import accumulate

from rich.cells import cell_len, chop_cells, set_cell_size
from textual.content import Content
from textual.style import Style

from mcpmux_tui.text import LINE_LIMIT, TEXT_LIMIT, clean, one_line

# A token may hold anything: all is hidden up to what closes the line.
_BEARER = re.compile(r"(Bearer\s+)\S.*?(?=[\"']?[ \t,}\])]*$)", re.IGNORECASE | re.MULTILINE)

_ON_ONE_LINE = str.maketrans("\n\t", "  ")


def plain(text: str, style: str | Style = "", *, limit: int = TEXT_LIMIT) -> Content:
    """Return `text` to be drawn as it stands: clean, its brackets no markup."""
    return Content.styled(clean(text, limit).expandtabs(4), style)


def line(text: str, style: str | Style = "") -> Content:
    """`plain`, as one line."""
    return Content.styled(one_line(text), style)


def whole(text: str, style: str | Style = "") -> Content:
    """`plain`, never shortened: for what a person says yes to."""
    return plain(text, style, limit=4 * len(text) + 1)


def hanging(content: Content, width: int, indent: int) -> Content:
    """Return one line of `content` in lines of `width` cells, those after the first indented.

    No space is lost: it is cut where it is full, not between words.
    """
    pieces = chop_cells(content.plain, max(width, 20))
    cuts = list(accumulate(map(len, pieces[:-1])))
    return Content("\n" + " " * indent).join(content.divide(cuts))


def fit(text: str, width: int, *, right: bool = False, ellipsis: str = "\u2026") -> str:
    """Return `text`, as one clean line, in exactly `width` cells: shortened, or filled up."""
    if width <= 0:
        return ""
    text = clean(text, LINE_LIMIT).translate(_ON_ONE_LINE)
    if (cells := cell_len(text)) > width:
        return set_cell_size(text, width - cell_len(ellipsis)) + ellipsis
    space = " " * (width - cells)
    return space + text if right else text + space


def mask(text: str, hidden: str = "\u2022\u2022\u2022\u2022") -> str:
    """Return `text` with bearer tokens hidden."""
    return _BEARER.sub(lambda match: match[1] + hidden, text)


def short_time(seconds: float) -> str:
    """A span of time in one or two units, such as "9s", "3m" or "2h 14m"."""
    whole_seconds = max(0, int(seconds))
    minutes, hours, days = whole_seconds // 60, whole_seconds // 3600, whole_seconds // 86_400
    if minutes == 0:
        return f"{whole_seconds}s"
    if hours == 0:
        return f"{minutes}m"
    if days == 0:
        return f"{hours}h {minutes % 60}m"
    return f"{days}d {hours % 24}h"


def stopwatch(seconds: float) -> str:
    """A span of time that a person watches, such as "0:42"."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes}:{rest:02d}"


def short_count(count: int) -> str:
    """A count in at most five cells, such as "140", "1.2k" or "3.4M"."""
    if count < 1_000:
        return str(count)
    if count < 999_950:
        return f"{count / 1_000:.1f}k" if count < 99_950 else f"{count // 1_000}k"
    return f"{count / 1_000_000:.1f}M"


def clock_time(at: float) -> str:
    """The local time of day of a Unix time."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")


def counted(count: int, noun: str) -> str:
    """A count with its noun, such as "1 tool" or "2 tools"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
