"""A form for what a tool, a prompt or a template asks for, the request, and its result."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import ClassVar

from pydantic import JsonValue
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from mcpmux_tui.control.protocol import ItemForm, ItemLine, ItemName, Outcome, TryItem
from mcpmux_tui.model import form
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.question import Field
from mcpmux_tui.ui.content import line, plain, stopwatch
from mcpmux_tui.ui.dialogs.answer import AnswerDialog
from mcpmux_tui.ui.dialogs.confirm import ConfirmDialog
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.door import Door
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.field_row import FieldRow
from mcpmux_tui.ui.widgets.scrolled import Scrolled

_INTERVAL = 0.5
_SHOWN = 20_000
_DONE = ("Done", "$success")
_CLAIMS = {
    "": "",
    "read": "It says that it only reads.",
    "write": "",
    "destroy": "It says that it may destroy something.",
}


class TryDialog(Dialog[None]):
    """Runs one item with what is typed; what may destroy something asks first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", id="try.run", priority=True),
        Binding("ctrl+t", "raw", "Raw", id="try.raw", priority=True),
        Binding("ctrl+e", "whole", "As JSON", id="try.json", priority=True),
        Binding("ctrl+y", "copy", "Copy", id="try.copy", priority=True),
        Binding("f2", "answer", "Answer", id="try.answer", priority=True),
        Binding("enter", "next", "Next", show=False, priority=True),
    ]

    def __init__(self, door: Door, item: ItemLine) -> None:
        super().__init__()
        self._door = door
        self._item = item
        self._form: ItemForm | None = None
        self._fields: tuple[Field, ...] = ()
        self._outcome: Outcome | None = None
        self._raw = False
        self._call: asyncio.Task[None] | None = None
        self._key = uuid.uuid4().hex
        self._began = 0.0

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = line(f"{self._item.server}: {self._item.name}")
            box.border_subtitle = self.pressed("esc Back")
            yield Scrolled(id="fields", can_focus=False)
            yield Static("", id="said", markup=False)
            with Scrolled(id="result"):
                yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        """Ask what the item asks for."""
        self.query_one("#result").display = False
        self.tasks.start(self._ask())

    async def _ask(self) -> None:
        item = self._item
        name = ItemName(server=item.server, kind=item.kind, name=item.name)
        try:
            self._form = found = await self._door.engine.item_form(name)
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
            return
        # On a line of its own: what the server writes is not to pass for a sentence of mcpmux.
        about = "\n".join(filter(None, (found.description.strip(), _CLAIMS[found.hint])))
        if about:
            await self.query_one("#fields").mount(Static(plain(about, "$muted"), markup=False))
        await self._show_fields(found.fields, {})
        if item.kind is Kind.RESOURCES:
            self._run()

    async def _show_fields(self, fields: tuple[Field, ...], typed: dict[str, str]) -> None:
        self._fields = fields
        await self.query(FieldRow).remove()
        rows = [FieldRow(each, typed.get(each.key, "")) for each in fields if each.kind != "fixed"]
        await self.query_one("#fields").mount_all(rows)
        self._show_asked()
        self._show_keys()
        if shown := self._asked:
            self.begin_in(shown[0], shown[0].input)

    @property
    def _rows(self) -> list[FieldRow]:
        return list(self.query(FieldRow))

    @property
    def _asked(self) -> list[FieldRow]:
        """Those that what is chosen has not put aside."""
        return [row for row in self._rows if row.display]

    @property
    def _typed(self) -> dict[str, str]:
        return {row.field.key: row.input.value for row in self._asked if row.input.value}

    @on(Input.Changed)
    def _show_asked(self) -> None:
        shown = form.shown(self._fields, self._typed)
        for row in self._rows:
            row.display = row.field.key in shown

    @property
    def _calling(self) -> bool:
        return self._call is not None and not self._call.done()

    @property
    def _questions(self) -> bool:
        """Whether the server waits for an answer of the person."""
        snapshot = self._door.snapshot
        asked = snapshot.questions if snapshot is not None else ()
        return any(each.server == self._item.server for each in asked)

    @property
    def _has_more_ways(self) -> bool:
        """Whether JSON can be written instead; a tool may take what it does not name."""
        named = bool(self._fields) or self._item.kind is Kind.TOOLS
        return named and self._fields != (form.WHOLE_FIELD,)

    def _show_keys(self) -> None:
        keys: list[str] = []
        if self._has_more_ways:
            keys.append("ctrl+e As JSON")
        if self._outcome is not None:
            keys += ["ctrl+t Pretty" if self._raw else "ctrl+t Raw", "ctrl+y Copy"]
        keys.append("ctrl+r Again" if self._item.kind is Kind.RESOURCES else "ctrl+r Run")
        if self._calling:
            keys = ["f2 Answer"] if self._questions else []
        leave = "esc Cancel" if self._calling else "esc Back"
        self.query_one(".box", Vertical).border_subtitle = self.pressed("  ".join([*keys, leave]))

    def _say(self, content: Content) -> None:
        self.query_one("#said", Static).update(content)

    def action_next(self) -> None:
        """Go on to the next field; on the last, run."""
        rows = self._asked
        at = next((n + 1 for n, row in enumerate(rows) if row.input is self.focused), len(rows))
        if at < len(rows):
            self.set_focus(rows[at].input)
        else:
            self.action_run()

    def action_run(self) -> None:
        """Use the item."""
        found = self._form
        if found is None or self._calling:
            return
        wrong = [row for row in self._asked if not row.check()]
        if wrong:
            wrong[0].input.focus()
            return
        if found.hint != "destroy":
            self._run()
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._run()

        self.app.push_screen(
            ConfirmDialog(
                f"Run {found.name}?", _CLAIMS["destroy"], key="y", yes="Run it", no="Do not"
            ),
            answered,
        )

    def _run(self) -> None:
        item = self._item
        wish = TryItem(
            key=self._key, server=item.server, kind=item.kind, name=item.name, typed=self._typed
        )
        if self._fields == (form.WHOLE_FIELD,):
            wish = wish.model_copy(update={"typed": {}, "arguments": self._whole()})
        self._began = self._door.clock()
        self._call = self.tasks.start(self._wait(wish))
        self.tasks.start(self._follow())

    def _whole(self) -> dict[str, JsonValue]:
        return form.values((form.WHOLE_FIELD,), self._typed)

    async def _follow(self) -> None:
        """Say how long it takes, and what the server says meanwhile."""
        while self._calling:
            try:
                said = (await self._door.engine.try_progress(self._key)).said
            except McpmuxError:
                return
            passed = stopwatch(self._door.clock() - self._began)
            asks = "  The server asks you; f2 answers." if self._questions else ""
            if self._calling:
                self._say(line(f"Running {passed}  {said}{asks}", "$warning"))
                self._show_keys()
            await asyncio.sleep(_INTERVAL)

    async def _wait(self, wish: TryItem) -> None:
        try:
            self._outcome = outcome = await self._door.engine.try_item(wish)
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
        else:
            ended, style = ("It ended with an error", "$error") if outcome.is_error else _DONE
            self._say(line(f"{ended} in {outcome.seconds:.2f} s.", style))
            self._draw()
        self._call = None
        self._show_keys()

    def action_raw(self) -> None:
        """Show the result as it came, or for people again."""
        self._raw = not self._raw
        self._draw()
        self._show_keys()

    def _draw(self) -> None:
        if (outcome := self._outcome) is None:
            return
        result = self.query_one("#result", Scrolled)
        result.display = True
        text = outcome.raw if self._raw else outcome.text
        self.query_one("#text", Static).update(plain(text or "It gave no content.", limit=_SHOWN))
        result.scroll_home(animate=False)

    def action_copy(self) -> None:
        """Copy the result as it is shown."""
        if (outcome := self._outcome) is not None:
            self.tasks.start(self._copy(outcome.raw if self._raw else outcome.text))

    async def _copy(self, text: str) -> None:
        toast(self, f"The result is {await self._door.copy(text)}.")

    def action_whole(self) -> None:
        """Write the arguments as JSON instead, beginning with what was typed."""
        if not self._has_more_ways:
            return
        try:
            begun = form.values(self._fields, self._typed)
        except ValueError:
            begun = {}
        text = json.dumps(begun, ensure_ascii=False)
        self.tasks.start(self._show_fields((form.WHOLE_FIELD,), {form.WHOLE: text}))

    def action_answer(self) -> None:
        """Answer what the server asks meanwhile."""
        snapshot = self._door.snapshot
        for question in snapshot.questions if snapshot is not None else ():
            if question.server == self._item.server:
                self.app.push_screen(AnswerDialog(self._door.engine, question, self._door.copy))
                return

    def action_back(self) -> None:
        """Cancel what runs, or leave."""
        if self._calling:
            self.tasks.start(self._cancel())
        else:
            super().action_back()

    async def _cancel(self) -> None:
        try:
            await self._door.engine.try_cancel(self._key)
        except McpmuxError as error:
            toast(self, str(error), "warning")
