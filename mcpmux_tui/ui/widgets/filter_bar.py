"""`/`: where one types what to show."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static


class FilterBar(Horizontal):
    """Hidden until it is used; shown as long as it holds a text."""

    @dataclass
    class Changed(Message):
        """Show what matches this text."""

        text: str

    class Left(Message):
        """The keyboard is free again."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(id="filter-bar")
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        yield Static("/", markup=False)
        yield Input(placeholder=self._placeholder, id="filter")

    @property
    def text(self) -> str:
        """What is looked for."""
        return self.query_one(Input).value.strip()

    def open(self) -> None:
        """Take the keyboard."""
        self._show(True)
        self.screen.set_focus(self.query_one(Input))

    def keep(self) -> None:
        """Leave the filter as it is, and give the keyboard back."""
        self._show(bool(self.text))
        self.post_message(self.Left())

    def clear(self) -> None:
        """Show everything again."""
        self.query_one(Input).value = ""
        self._show(False)

    def _show(self, shown: bool) -> None:
        # On the bar itself: a class of the screen would have every row styled anew.
        self.set_class(shown, "-shown")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.keep()


def matches(text: str, query: str) -> bool:
    """Whether a text is shown under a filter: it holds the words of the query.

    `!` in front turns the filter round.
    """
    query = query.strip().casefold()
    wanted = query.removeprefix("!").strip()
    if not wanted:
        return True
    return (wanted in text.casefold()) is not query.startswith("!")
