"""The form for the values a server needs: `c` on a row that waits for them, `n` on any."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from mcpmux_tui.control.protocol import GiveValues, ValueField, ValueFields
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.ui.content import counted, line, plain
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.dialogs.entry import REVEAL
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.scrolled import Scrolled

_ASSIGNMENT: Final = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*?)\s*$")


class ValueInput(Input):
    """Where one value is typed; what is hidden is not copied, assignments fill the whole form."""

    @dataclass
    class Assigned(Message):
        """Lines of the form NAME=value were pasted."""

        values: dict[str, str]

    def _on_paste(self, event: events.Paste) -> None:
        values = assignments(event.text)
        if values:
            event.prevent_default()
            event.stop()
            self.post_message(self.Assigned(values))

    def action_copy(self) -> None:
        """Copy what is selected, unless it is hidden."""
        if not self._is_hidden():
            super().action_copy()

    def action_cut(self) -> None:
        """Cut what is selected, unless it is hidden."""
        if not self._is_hidden():
            super().action_cut()

    def _is_hidden(self) -> bool:
        if self.password:
            toast(self, "What is hidden is not copied; f2 shows it.", "warning")
        return self.password


class FieldRow(Widget):
    """One value: its name, where it is typed, what is known of it, what is wrong with it."""

    def __init__(self, field: ValueField) -> None:
        super().__init__()
        self.field = field
        self.from_environment = False
        self._hiding: Timer | None = None

    def compose(self) -> ComposeResult:
        field = self.field
        star = " *" if field.required and not field.origin else ""
        yield Static(line(f"{field.name}{star}", "bold"), classes="name", markup=False)
        yield ValueInput(password=field.secret, placeholder=_placeholder(field))
        yield Static(_about(field), classes="about", markup=False)
        wrong = Static("", classes="wrong", markup=False)
        wrong.display = False
        yield wrong

    @property
    def input(self) -> ValueInput:
        """Where it is typed."""
        return self.query_one(ValueInput)

    def say_wrong(self, why: str) -> None:
        """Say what is wrong under the field; nothing for an empty text."""
        wrong = self.query_one(".wrong", Static)
        wrong.update(plain(why, "$error"))
        wrong.display = bool(why)

    def use_environment(self) -> None:
        """Take the present value of the variable, without typing it."""
        self.from_environment = True
        self.input.value = ""
        self.input.placeholder = "taken from the environment"

    def reveal(self) -> None:
        """Show it for a while, or hide it again."""
        if self.field.secret:
            self._set_hidden(not self.input.password)

    def _set_hidden(self, hidden: bool) -> None:
        if self._hiding is not None:
            self._hiding.stop()
            self._hiding = None
        self.input.password = hidden
        if not hidden:
            self._hiding = self.set_timer(REVEAL, lambda: self._set_hidden(True))


class ValuesDialog(Dialog[None]):
    """Asks for what a server lacks, or shows what it has and takes another value."""

    # Before the fields: there some of these keys move the cursor.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next", "Next", show=False, priority=True),
        Binding("ctrl+s", "save", "Save", id="form.save", priority=True),
        Binding("f2", "reveal", "Show", id="values.reveal", priority=True),
        Binding("ctrl+e", "environment", "Use it", id="values.environment", priority=True),
        Binding("ctrl+k", "keep", "Keep in", id="values.keep", priority=True),
        Binding("ctrl+r", "refer", "Make it ${secret:}", id="values.refer", priority=True),
    ]

    def __init__(self, engine: Engine, server: str) -> None:
        super().__init__()
        self._engine = engine
        self._server = server
        self._keeps = self._why = ""
        self._session = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = line(f"Values of {self._server}")
            box.border_subtitle = self.pressed("esc Back")
            yield Static("", id="said", markup=False)
            yield Scrolled(id="fields", can_focus=False)
            yield Static("", id="keep", markup=False)

    def on_mount(self) -> None:
        """Ask what the server needs."""
        self.query_one("#said").display = False
        self.tasks.start(self._ask())

    async def _ask(self) -> None:
        try:
            found = await self._engine.values(self._server)
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
            return
        if not found.fields:
            self._say(Content("This server needs no values: its entry has no placeholders."))
            return
        await self._show(found)

    async def _show(self, found: ValueFields) -> None:
        self._keeps, self._why = found.keeps, found.passing
        self._session = not found.keeps
        await self.query_one("#fields").mount_all([FieldRow(field) for field in found.fields])
        missing = [row for row in self._rows if not row.field.origin]
        if missing:
            title = f"{self._server} needs {counted(len(missing), 'value')}"
            self.query_one(".box", Vertical).border_title = line(title)
        keys = ["f2 Show"]
        if any(field.in_environment and not field.origin for field in found.fields):
            keys.append("ctrl+e Use it")
        if any(_outranked(field) for field in found.fields):
            keys.append("ctrl+r Use what is kept")
        keys += ["ctrl+s Save and connect", "esc Later" if missing else "esc Back"]
        self.query_one(".box", Vertical).border_subtitle = self.pressed("  ".join(keys))
        self._draw_keep()
        first = (missing or self._rows)[0]
        self.begin_in(first, first.input)

    @property
    def _rows(self) -> list[FieldRow]:
        return list(self.query(FieldRow))

    @property
    def _row(self) -> FieldRow | None:
        """The one with the keyboard."""
        return next((row for row in self._rows if row.input is self.focused), None)

    def _say(self, content: Content) -> None:
        said = self.query_one("#said", Static)
        said.update(content)
        said.display = bool(content)

    def _draw_keep(self) -> None:
        keep = self.query_one("#keep", Static)
        if not self._keeps:
            keep.update(
                line(
                    f"They last until mcpmux ends, then you are asked again ({self._why}).",
                    "$warning",
                )
            )
            return
        marks = ("( )", "(x)") if self._session else ("(x)", "( )")
        keep.update(
            Content.assemble(
                ("Keep in  ", "$muted"),
                f"{marks[0]} ",
                line(self._keeps),
                f"  {marks[1]} this session only",
                ("   ctrl+k", "$muted"),
            )
        )

    @on(ValueInput.Assigned)
    def _fill(self, event: ValueInput.Assigned) -> None:
        event.stop()
        filled = [row for row in self._rows if row.field.name in event.values]
        for row in filled:
            row.input.value = event.values[row.field.name]
        names = ", ".join(row.field.name for row in filled)
        toast(self, f"Filled {names}." if filled else "None of these names is asked for.")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        row = event.input.parent
        if isinstance(row, FieldRow):
            row.say_wrong("")
            row.from_environment = row.from_environment and not event.value

    def action_next(self) -> None:
        """Go on to the next field; on the last, save."""
        rows = self._rows
        here = self._row
        at = rows.index(here) + 1 if here is not None else 0
        if at < len(rows):
            self.set_focus(rows[at].input)
        else:
            self.action_save()

    def action_reveal(self) -> None:
        """Show the value under the cursor for ten seconds."""
        if (row := self._row) is not None:
            row.reveal()

    def action_environment(self) -> None:
        """Take what the environment has of it."""
        for row in [self._row] if self._row else []:
            if row.field.in_environment:
                row.use_environment()
            else:
                toast(self, f"The environment has no {row.field.name}.", "warning")

    def action_keep(self) -> None:
        """Keep values in the keyring, or for this session only."""
        if self._keeps:
            self._session = not self._session
            self._draw_keep()

    def action_refer(self) -> None:
        """Have the config name the kept value instead of the environment's."""
        row = self._row
        if row is not None and _outranked(row.field):
            self.tasks.start(self._refer(row.field.name))

    async def _refer(self, name: str) -> None:
        try:
            await self._engine.refer_to_secret(self._server, name)
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
            return
        toast(self, f"The config has ${{secret:{name}}} now: the kept value counts.")
        self.dismiss(None)

    def action_save(self) -> None:
        """Keep what was typed and have the server connect."""
        rows = self._rows
        typed = {row.field.name: row.input.value for row in rows if row.input.value}
        taken = tuple(row.field.name for row in rows if row.from_environment)
        if typed or taken:
            self.tasks.start(self._save(typed, taken))
        elif rows:
            toast(self, "Nothing was typed.", "warning")

    async def _save(self, typed: dict[str, str], taken: tuple[str, ...]) -> None:
        try:
            given = await self._engine.give_values(
                GiveValues(
                    server=self._server,
                    typed=typed,
                    from_environment=taken,
                    session=self._session,
                )
            )
        except McpmuxError as error:
            # What was typed stays where it is.
            self._say(plain(str(error), "$error"))
            return
        if given.wrong:
            wrong = {each.name: each.why for each in given.wrong}
            for row in self._rows:
                row.say_wrong(wrong.get(row.field.name, ""))
            next(row for row in self._rows if row.field.name in wrong).input.focus()
            return
        names = ", ".join((*typed, *taken))
        until = " until mcpmux ends" if self._session else ""
        toast(self, f"{names} kept{until}.")
        self.dismiss(None)


def assignments(text: str) -> dict[str, str]:
    """What lines of the form NAME=value say, as in a file of variables; else nothing."""
    found: dict[str, str] = {}
    for text_line in text.splitlines():
        if not text_line.strip() or text_line.lstrip().startswith("#"):
            continue
        if (match := _ASSIGNMENT.match(text_line)) is None:
            return {}
        name, value = match[1], match[2]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name] = value
    return found


def _outranked(field: ValueField) -> bool:
    return field.stored and field.origin == "environment"


def _placeholder(field: ValueField) -> str:
    if field.origin == "stored":
        return "kept; type another to change it"
    if field.origin == "environment":
        return "the environment has it"
    if field.choices:
        return f"one of {', '.join(field.choices)}"
    if field.type == "boolean":
        return "true or false"
    return field.placeholder or field.default


def _about(field: ValueField) -> Content:
    told = [field.description, f"Get it: {field.obtain}" if field.obtain else ""]
    facts = [f"Goes to {', '.join(field.where)}."]
    match field.origin:
        case "environment" if field.stored:
            facts.append("The environment of mcpmux outranks the kept value.")
        case "environment":
            facts.append("It comes from the environment of mcpmux.")
        case "stored":
            facts.append("It is kept.")
        case "default":
            facts.append(f"Default: {field.default}" if field.default else "It has a default.")
        case _ if field.in_environment:
            facts.append(f"Found in your environment: {field.name} (ctrl+e uses it).")
    return plain("\n".join([*filter(None, told), " ".join(facts)]), "$muted")
