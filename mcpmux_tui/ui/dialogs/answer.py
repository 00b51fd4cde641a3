"""`a`: what a server asks the person, as a form or an address to open."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from mcpmux_tui import browser
from mcpmux_tui.model.errors import McpmuxError, UsageError
from mcpmux_tui.model.question import Question, Verdict
from mcpmux_tui.ui.content import line, plain, whole
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.door import Copy
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.field_row import FieldRow
from mcpmux_tui.ui.widgets.scrolled import Scrolled


class AnswerDialog(Dialog[None]):
    """Answers one question; nothing is opened, sent or filled in by itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "accept", "Answer", id="answer.accept", priority=True),
        Binding("ctrl+d", "decline", "Decline", id="answer.decline", priority=True),
        Binding("enter", "next", "Next", show=False, priority=True),
        Binding("b", "browser", "Open", id="answer.browser"),
        Binding("y", "copy", "Copy", id="answer.copy"),
    ]

    def __init__(self, engine: Engine, question: Question, copy: Copy) -> None:
        super().__init__()
        self._engine = engine
        self._question = question
        self._copy = copy

    def compose(self) -> ComposeResult:
        question = self._question
        with Vertical(classes="box") as box:
            box.border_title = line(f"{question.server} asks")
            keys = "y Copy  b Open  " if question.url else ""
            box.border_subtitle = self.pressed(f"{keys}ctrl+s Answer  ctrl+d Decline  esc Later")
            yield Static("", id="said", markup=False)
            with Scrolled(id="fields", can_focus=bool(question.url)):
                yield Static(plain(question.message), markup=False)
                if question.url:
                    yield Static(whole(question.url, "$primary"), id="address", markup=False)
                    yield Static(
                        plain("Open it only if you trust it; answer when you are done.", "$muted"),
                        markup=False,
                    )
                for field in question.fields:
                    yield FieldRow(field)

    def on_mount(self) -> None:
        """Begin where something is to be typed."""
        self.query_one("#said").display = False
        if rows := self._rows:
            self.begin_in(rows[0], rows[0].input)
        else:
            self.query_one("#fields").focus()

    @property
    def _rows(self) -> list[FieldRow]:
        return list(self.query(FieldRow))

    def action_next(self) -> None:
        """Go on to the next field; on the last, answer."""
        rows = self._rows
        at = next((n + 1 for n, row in enumerate(rows) if row.input is self.focused), 0)
        if at < len(rows):
            self.set_focus(rows[at].input)
        elif rows:
            self.action_accept()

    def action_accept(self) -> None:
        """Send what was typed, if it fits."""
        wrong = [row for row in self._rows if not row.check()]
        if wrong:
            wrong[0].input.focus()
            return
        typed = {row.field.key: row.input.value for row in self._rows if row.input.value}
        self.tasks.start(self._send("accept", typed))

    def action_decline(self) -> None:
        """Say no."""
        self.tasks.start(self._send("decline", {}))

    async def _send(self, verdict: Verdict, typed: dict[str, str]) -> None:
        try:
            await self._engine.answer(self._question.id, verdict, typed)
        except McpmuxError as error:
            said = self.query_one("#said", Static)
            said.update(plain(str(error), "$error"))
            said.display = True
            return
        toast(self, "Answered." if verdict == "accept" else "Declined.")
        self.dismiss(None)

    def action_browser(self) -> None:
        """Open the address, which was shown whole."""
        if self._question.url:
            try:
                browser.open_in_browser(self._question.url)
            except UsageError as error:
                toast(self, str(error), "warning")

    def action_copy(self) -> None:
        """Copy the address."""
        if self._question.url:
            self.tasks.start(self._copy_address())

    async def _copy_address(self) -> None:
        toast(self, f"The address is {await self._copy(self._question.url)}.")
