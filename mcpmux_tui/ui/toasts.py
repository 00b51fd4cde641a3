"""Short messages about the result of a key."""

from __future__ import annotations

from typing import Literal

from textual.app import App
from textual.dom import DOMNode
from textual.notifications import Notify

from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.text import clean
from mcpmux_tui.ui.keymap import with_keys

_MOST = 3
_SECONDS = {"information": 4.0, "warning": 6.0, "error": 60.0}


def toast(
    node: DOMNode, text: str, severity: Literal["information", "warning", "error"] = "information"
) -> None:
    """Show `text` as it stands; errors stay a minute or until esc."""
    node.app.notify(
        with_keys(node, clean(text)), severity=severity, timeout=_SECONDS[severity], markup=False
    )


def toast_error(node: DOMNode, error: McpmuxError) -> None:
    """Show what went wrong and what to do about it."""
    toast(node, "\n".join(filter(None, (error.message, error.hint))), "error")


def make_room(app: App[int], event: Notify) -> None:
    """Drop a new toast where its like is still shown; else the oldest where there are too many."""
    shown = list(app._notifications)
    if any(old.message == event.notification.message for old in shown):
        event.prevent_default()
        return
    for old in shown[: 1 - _MOST]:
        app._unnotify(old)
