"""How a server's state looks: a shape, a word and a colour, each enough alone."""

from __future__ import annotations

import locale
import os
from dataclasses import dataclass, fields

from mcpmux_tui.model.server import Health

URGENCY = (
    Health.NEEDS_INPUT,
    Health.NEEDS_SIGN_IN,
    Health.SIGNING_IN,
    Health.FAILED,
    Health.RECONNECTING,
    Health.DEGRADED,
    Health.CONNECTING,
    Health.STOPPING,
    Health.CONNECTED,
    Health.IDLE,
    Health.DISABLED,
)
"""What wants a person's attention first."""

RANK = {health: rank for rank, health in enumerate(URGENCY)}
# A row on its way out stays where it was: else the cursor goes to the top with it.
RANK[Health.STOPPING] = RANK[Health.CONNECTED]

STYLES = {
    Health.NEEDS_INPUT: "bold $warning",
    Health.NEEDS_SIGN_IN: "bold $warning",
    Health.SIGNING_IN: "$warning",
    Health.FAILED: "bold $error",
    Health.RECONNECTING: "$warning",
    Health.DEGRADED: "$warning",
    Health.CONNECTING: "$primary",
    Health.STOPPING: "$muted",
    Health.CONNECTED: "$success",
    Health.IDLE: "$muted",
    Health.DISABLED: "$muted",
}

UNKNOWN = "unknown"
"""The word for every state once nobody tells it any more."""

_UNICODE = {
    Health.NEEDS_INPUT: "\u25b2",
    Health.NEEDS_SIGN_IN: "\u25c6",
    Health.SIGNING_IN: "\u25c7",
    Health.FAILED: "\u2716",
    Health.RECONNECTING: "\u21bb",
    Health.DEGRADED: "\u25d1",
    Health.CONNECTING: "\u25d0",
    Health.STOPPING: "\u25cd",
    Health.CONNECTED: "\u25cf",
    Health.IDLE: "\u25cc",
    Health.DISABLED: "\u25cb",
}
_ASCII = {
    Health.NEEDS_INPUT: "#",
    Health.NEEDS_SIGN_IN: "!",
    Health.SIGNING_IN: "?",
    Health.FAILED: "X",
    Health.RECONNECTING: "^",
    Health.DEGRADED: "%",
    Health.CONNECTING: "~",
    Health.STOPPING: ",",
    Health.CONNECTED: "*",
    Health.IDLE: ".",
    Health.DISABLED: "-",
}


@dataclass(slots=True)
class Glyphs:
    """The signs to draw with; each is one cell wide. Who draws holds one, which may `become`."""

    states: dict[Health, str]
    spinner: tuple[str, ...]
    cursor: str
    none: str
    dot: str
    ellipsis: str
    hidden: str
    yes: str
    no: str
    ascii: bool

    def state(self, health: Health, frame: int = 0) -> str:
        """The sign of a state; `frame` turns the one of a server on its way."""
        if health is Health.CONNECTING:
            return self.spinner[frame % len(self.spinner)]
        return self.states[health]

    def become(self, other: Glyphs) -> None:
        """Draw as `other` from now on."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))


UNICODE = Glyphs(
    states=_UNICODE,
    spinner=("\u25d0", "\u25d3", "\u25d1", "\u25d2"),
    cursor="\u258c",
    none="\u2013",
    dot="\u00b7",
    ellipsis="\u2026",
    hidden="\u2022" * 4,
    yes="\u2714",
    no="\u2718",
    ascii=False,
)
ASCII = Glyphs(
    states=_ASCII,
    spinner=("~",),
    cursor=">",
    none="-",
    dot="-",
    ellipsis="~",
    hidden="****",
    yes="+",
    no="-",
    ascii=True,
)


def glyphs_for_terminal() -> Glyphs:
    """The signs that this terminal can draw."""
    encoding = locale.getencoding().replace("-", "").lower()
    if encoding != "utf8" or os.environ.get("TERM") == "linux":
        return ASCII
    return UNICODE
