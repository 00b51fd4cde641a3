"""Asks before something that a person may not have meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from mcpmux_tui.ui.content import line
from mcpmux_tui.ui.dialogs.dialog import Leaving, key_line


class ConfirmDialog(Leaving[bool]):
    """True: do it. The key that asked for it says yes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "answer(False)", "No")]

    def __init__(
        self,
        title: str,
        text: str,
        *,
        key: str,
        yes: str,
        no: str,
        also: tuple[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._choices = [(key, yes), *([also] if also else []), ("esc", no)]
        self._bindings.bind(key, "answer(True)", yes)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = line(self._title)
            box.border_subtitle = key_line(
                "  ".join(f"{key} {does}" for key, does in self._choices)
            )
            yield Static(line(self._text), markup=False)

    def action_answer(self, yes: bool) -> None:
        """Close with an answer."""
        self.dismiss(yes)


class QuitDialog(ConfirmDialog):
    """Asks before clients lose their servers; `d` leaves the engine to go on."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("d", "detach", "Keep the proxy running")]

    def __init__(self, clients: int, detach: Callable[[], None] | None) -> None:
        lose = "1 client is connected. It loses"
        if clients != 1:
            lose = f"{clients} clients are connected. They lose"
        also = ("d", "Keep the proxy running") if detach is not None else None
        super().__init__(
            "Quit mcpmux?", f"{lose} all servers.", key="q", yes="Quit now", no="Stay", also=also
        )
        self._leave_running = detach

    def action_detach(self) -> None:
        """Leave, and let the engine go on."""
        if self._leave_running is not None:
            self.dismiss(False)
            self._leave_running()


class LogOutDialog(ConfirmDialog):
    """Asks before a server's tokens are gone."""

    def __init__(self, server: str, account: str) -> None:
        who = f"{account} is signed in. " if account else ""
        super().__init__(
            f"Log out of {server}?",
            f"{who}The tokens are revoked and deleted.",
            key="o",
            yes="Log out",
            no="Stay signed in",
        )
