"""What the dialogs for adding and for editing share: read while one types, test, keep.

Nothing is started or written before it stood on the screen whole and a key said yes.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from mcpmux_tui.control.protocol import (
    Draft,
    DraftKept,
    DraftOutcome,
    DraftServer,
    Reading,
    Wrong,
)
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.server import SERVING, Health
from mcpmux_tui.ui.content import counted, hanging, line, plain
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.keyboard import NotTaken
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.plain_input import PlainArea, PlainInput
from mcpmux_tui.ui.widgets.scrolled import Scrolled

_INDENT: Final = 2


class DraftField(Widget):
    """One field: its label, where it is typed, what is wrong with it. `id` is its name."""

    def __init__(self, name: str, label: str, editor: PlainInput | PlainArea) -> None:
        super().__init__(id=f"field-{name}")
        self.field = name
        self.editor = editor
        self._label = label

    def compose(self) -> ComposeResult:
        yield Static(line(self._label, "bold"), markup=False)
        yield self.editor
        wrong = Static("", classes="wrong", markup=False)
        wrong.display = False
        yield wrong

    @property
    def value(self) -> str:
        """What is typed."""
        return self.editor.text if isinstance(self.editor, TextArea) else self.editor.value

    def say_wrong(self, why: str) -> None:
        """Say what is wrong under the field; nothing for an empty text."""
        wrong = self.query_one(".wrong", Static)
        wrong.update(plain(why, "$error"))
        wrong.display = bool(why)


class DraftDialog(Dialog[DraftKept]):
    """Servers not yet in the config."""

    # Before the fields: there some of these keys edit the text.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "test", "Test", id="draft.test", priority=True),
        Binding("ctrl+s", "keep", "Save", id="form.save", priority=True),
        Binding("enter", "next", "Next", show=False, priority=True),
    ]
    TITLE_TEXT = ""
    VERB = "saves"
    KEYS = "ctrl+t Test  ctrl+s Save  esc Back"
    TO_ITS_END = True
    """Whether a yes counts only once all of it was in view."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self._reading: asyncio.Task[None] | None = None
        self._testing: asyncio.Task[None] | None = None
        self._asked: Draft | None = None
        """The draft that was read last."""
        self._shown = ""
        """What would be run by the draft that stands on the screen; empty where none does."""
        self._to_its_end = ""
        """The same, once all of it was in view."""
        self._servers: tuple[DraftServer, ...] = ()
        self._passing = ""
        self._keeping = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = line(self.TITLE_TEXT)
            box.border_subtitle = self.pressed(self.KEYS)
            with Scrolled(id="fields"):
                yield from self.fields()
                yield Static("", id="seen", markup=False)
            yield Static("", id="outcome", markup=False)

    def fields(self) -> Iterator[Widget]:
        """What is typed, in order."""
        raise NotImplementedError

    @property
    def draft(self) -> Draft | None:
        """What the fields say now; None where they say nothing yet."""
        raise NotImplementedError

    def runs(self, draft: Draft) -> str:
        """What must have stood on the screen before a yes; a name may change after it."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Begin with the keyboard in the first field."""
        self.query_one("#seen").display = False
        self.say(Content())
        self.query(DraftField).first().editor.focus(scroll_visible=False)
        self.look()

    def on_resize(self) -> None:
        """Wrap to the new width."""
        self.once_laid_out(self._draw)

    def field(self, name: str) -> DraftField | None:
        """A field by its name."""
        return next((each for each in self.query(DraftField) if each.field == name), None)

    def value(self, name: str) -> str:
        """What is typed in a field."""
        found = self.field(name)
        return "" if found is None else found.value

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _typed(self, event: Input.Changed | TextArea.Changed) -> None:
        event.stop()
        self.look()

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted beside the fields, or before they have the keyboard, is for the first."""
        event.stop()
        editor = self.query(DraftField).first().editor
        self.set_focus(editor)
        editor.post_message(events.Paste(event.text))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In a field of several lines enter makes one."""
        focused = self.focused
        return action != "next" or not isinstance(focused, PlainArea) or focused.once

    def action_next(self) -> None:
        """Go on to the next field."""
        editors = [each.editor for each in self.query(DraftField) if each.display]
        at = next((n + 1 for n, each in enumerate(editors) if each is self.focused), 0)
        if at < len(editors):
            self.set_focus(editors[at])
        else:
            # Enter alone never says yes: a paste may end with one.
            toast(self, f"ctrl+t tests it, ctrl+s {self.VERB} it.")

    @on(NotTaken)
    def _not_taken(self, event: NotTaken) -> None:
        event.stop()
        fields = self.query(DraftField)
        focused = (each for each in fields if each.has_focus_within)
        next(focused, fields.first()).say_wrong(event.why)

    def look(self) -> None:
        """Have the draft read, if it is another one by now."""
        draft = self.draft
        if draft == self._asked:
            return
        self._asked = draft
        if draft is None or self.runs(draft) != self._shown:
            self._shown = ""
        self.say(Content())
        for task in (self._reading, self._testing):
            if task is not None:
                task.cancel()
        if draft is None:
            self._show(None, Reading())
        else:
            self._reading = self.tasks.start(self._read(draft))

    async def _read(self, draft: Draft) -> None:
        try:
            reading = await self.engine.draft_read(draft)
        except McpmuxError as error:
            self.say(plain(str(error), "$error"))
            return
        self._show(draft, reading)

    def _show(self, draft: Draft | None, reading: Reading) -> None:
        self._servers, self._passing = reading.servers, reading.passing
        self.say_wrong(reading.wrong)
        self._draw()
        self.read(reading)
        if draft is not None and reading.servers and not reading.wrong:
            self.call_after_refresh(self._is_shown, draft)

    def _is_shown(self, draft: Draft) -> None:
        if draft == self._asked:
            self._shown = self.runs(draft)

    def read(self, reading: Reading) -> None:
        """Something else to show of a reading."""

    def say_wrong(self, wrong: tuple[Wrong, ...]) -> None:
        """Say under each field what is wrong with it."""
        told = {each.name: each.why for each in wrong}
        for field in self.query(DraftField):
            field.say_wrong(told.pop(field.field, ""))
        if told:
            self.say(plain("\n".join(told.values()), "$error"))

    def say(self, content: Content) -> None:
        """Say what came of a key."""
        outcome = self.query_one("#outcome", Static)
        outcome.update(content)
        outcome.display = bool(content)

    def _draw(self) -> None:
        seen = self.query_one("#seen", Static)
        seen.display = bool(self._servers)
        width = self.query_one("#fields").scrollable_content_region.width
        rows = [
            row
            for server in self._servers
            for row in _rows(server, width, named=len(self._servers) > 1)
        ]
        if self._passing:
            rows.append(
                plain(
                    f"Secrets are not kept ({self._passing}): they last until mcpmux ends, then you"
                    " are asked again.",
                    "$warning",
                )
            )
        seen.update(Content("\n").join(rows))

    def _ready(self, what: str) -> Draft | None:
        """The draft that stands on the screen; None, and why, where that is not what is typed."""
        draft = self.draft
        if draft is not None and self._shown and self.runs(draft) == self._shown:
            fields = self.query_one("#fields", Scrolled)
            if fields.scroll_offset.y >= fields.max_scroll_y:
                self._to_its_end = self._shown
            if not self.TO_ITS_END or self._to_its_end == self._shown:
                return draft
            fields.action_page_down()
            toast(self, f"It goes on: look at all of it; then {what}.", "warning")
            return None
        wrong = [each for each in self.query(DraftField) if each.query_one(".wrong").display]
        if wrong:
            wrong[0].editor.focus()
        elif draft is None:
            toast(self, "There is nothing in it yet.", "warning")
        else:
            toast(self, f"Look at what it says first; then {what}.", "warning")
        return None

    def action_test(self) -> None:
        """Connect to it, apart from everything else."""
        if self._testing is not None and not self._testing.done():
            return
        if (draft := self._ready("ctrl+t tests it")) is not None:
            self.say(plain("Testing: it is started, unseen by your clients\u2026", "$muted"))
            self._testing = self.tasks.start(self._test(draft))

    async def _test(self, draft: Draft) -> None:
        key = uuid.uuid4().hex
        try:
            tested = await self.engine.draft_test(key, draft)
        except asyncio.CancelledError:
            with suppress(McpmuxError):
                await self.engine.draft_cancel(key)
            raise
        except McpmuxError as error:
            self.say(plain(str(error), "$error"))
            return
        self.say_wrong(tested.wrong)
        if tested.servers:
            self.say(Content("\n").join(_outcome(each, self.VERB) for each in tested.servers))

    def action_keep(self) -> None:
        """Put it into the config."""
        if not self._keeping and (draft := self._ready(f"ctrl+s {self.VERB} it")) is not None:
            self._keeping = True
            self.tasks.start(self._keep(draft))

    async def _keep(self, draft: Draft) -> None:
        try:
            kept = await self.engine.draft_keep(draft)
        except McpmuxError as error:
            self.say(plain(str(error), "$error"))
            return
        finally:
            self._keeping = False
        if kept.wrong:
            self.say_wrong(kept.wrong)
            return
        self.dismiss(kept)


def _rows(server: DraftServer, width: int, *, named: bool) -> Iterator[Content]:
    """All of a server, nothing cut."""
    if named:
        yield line(server.name, "bold")
    yield Content.assemble(("Looks like: ", "$muted"), line(server.kind))
    for about, text in (
        ("", server.target),
        *(("sets ", pair) for pair in server.pairs),
        *(("in ", cwd) for cwd in [server.cwd] if cwd),
    ):
        fact = Content.assemble((about, "$muted"), Content.styled(text, "$primary"))
        yield Content(" " * _INDENT) + hanging(fact, width - _INDENT, _INDENT)
    for name in server.moves:
        yield plain(
            f"{name} is a secret: it goes to the keyring, the config says ${{secret:{name}}}."
        )
    for note in server.notes:
        yield Content.assemble(("! ", "bold $warning"), plain(note))


def _outcome(tested: DraftOutcome, verb: str) -> Content:
    took = f"{tested.seconds:.1f} s"
    if tested.state in SERVING:
        counts = ", ".join(
            counted(count, noun)
            for count, noun in (
                (tested.tools, "tool"),
                (tested.prompts, "prompt"),
                (tested.resources, "resource"),
            )
            if count
        )
        who = f" It is {tested.server_info}." if tested.server_info else ""
        said = f"{tested.name} connected in {took}: {counts or 'it offers nothing'}.{who}"
        return plain(f"{said} ctrl+s {verb} it.", "$success")
    match tested.state:
        case Health.NEEDS_SIGN_IN:
            said = f"{tested.name} answers and wants a sign-in ({took}). ctrl+s {verb} it, then c"
            return plain(f"{said} signs in.", "$success")
        case Health.NEEDS_INPUT if tested.missing:
            said = f"{tested.name} needs {', '.join(tested.missing)}. ctrl+s {verb} it, then c"
            return plain(f"{said} asks for what is missing.", "$success")
    why = "\n".join(filter(None, (tested.summary, tested.detail)))
    return plain(f"{tested.name} does not work ({took}): {why}", "$error")
