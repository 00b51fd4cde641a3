"""`t`: the tools of a server, and a form to try one."""

from __future__ import annotations

import asyncio
import uuid
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from mcpmux_tui.control.protocol import ToolForm, ToolLine, ToolOutcome, TryTool
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.tool_form import WHOLE
from mcpmux_tui.ui.content import counted, line, plain
from mcpmux_tui.ui.dialogs.answer import FieldRow
from mcpmux_tui.ui.dialogs.confirm import ConfirmDialog
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.status import Glyphs
from mcpmux_tui.ui.toasts import toast
from mcpmux_tui.ui.widgets.choices import Choices
from mcpmux_tui.ui.widgets.scrolled import Scrolled

_MOST = 1_000


class ToolNames(Choices):
    """The tools."""


class ToolsDialog(Dialog[None]):
    """Looks them through; enter tries one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", id="list.filter"),
    ]

    def __init__(self, engine: Engine, server: str, glyphs: Glyphs) -> None:
        super().__init__()
        self._engine = engine
        self._server = server
        self._glyphs = glyphs
        self._tools: tuple[ToolLine, ...] = ()
        self._shown: list[ToolLine] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = line(f"Tools of {self._server}")
            box.border_subtitle = self.pressed("enter Try it  / Filter  esc Back")
            yield Static("", id="said", markup=False)
            yield Input(placeholder="part of a name or a description", id="filter")
            yield ToolNames(markup=False)

    def on_mount(self) -> None:
        """Ask for them."""
        self.query_one("#filter").display = False
        self.query_one(ToolNames).focus()
        self.tasks.start(self._ask())

    async def _ask(self) -> None:
        try:
            page = await self._engine.tools(self._server, limit=_MOST)
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
            return
        self._tools = page.tools
        more = page.total - len(page.tools)
        rest = f", the first {len(page.tools)} of them here" if more else ""
        self._say(line(f"{counted(page.total, 'tool')}{rest}", "$muted"))
        self._draw("")

    def _say(self, content: Content) -> None:
        self.query_one("#said", Static).update(content)

    def _draw(self, query: str) -> None:
        wanted = query.casefold()
        self._shown = [
            tool
            for tool in self._tools
            if wanted in f"{tool.name} {tool.public} {tool.description}".casefold()
        ]
        names = self.query_one(ToolNames)
        names.clear_options()
        names.add_options(Option(_told(tool)) for tool in self._shown)
        names.highlighted = 0 if self._shown else None

    def action_filter(self) -> None:
        """Type what to look for."""
        self.query_one("#filter").display = True
        self.query_one("#filter").focus()

    @on(Input.Changed, "#filter")
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self._draw(event.value)

    @on(Input.Submitted, "#filter")
    def _keep_filter(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(ToolNames).focus()

    def action_back(self) -> None:
        """Leave the filter, then the dialog."""
        field = self.query_one("#filter", Input)
        if field.display and (field.value or self.focused is field):
            field.value = ""
            field.display = False
            self.query_one(ToolNames).focus()
        else:
            super().action_back()

    @on(OptionList.OptionSelected)
    def _try(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        tool = self._shown[event.option_index]
        self.app.push_screen(TryDialog(self._engine, self._server, tool.name, self._glyphs))


class TryDialog(Dialog[None]):
    """A form for the arguments, the call, and its result."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", id="try.run", priority=True),
        Binding("ctrl+t", "raw", "Raw", id="try.raw", priority=True),
        Binding("enter", "next", "Next", show=False, priority=True),
    ]

    def __init__(self, engine: Engine, server: str, tool: str, glyphs: Glyphs) -> None:
        super().__init__()
        self._engine = engine
        self._server = server
        self._tool = tool
        self._glyphs = glyphs
        self._form: ToolForm | None = None
        self._outcome: ToolOutcome | None = None
        self._raw = False
        self._call: asyncio.Task[None] | None = None
        self._key = uuid.uuid4().hex

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = line(f"{self._server}: {self._tool}")
            box.border_subtitle = self.pressed("esc Back")
            yield Scrolled(id="fields", can_focus=False)
            yield Static("", id="said", markup=False)
            with Scrolled(id="result"):
                yield Static("", id="text", markup=False)

    def on_mount(self) -> None:
        """Ask what the tool asks for."""
        self.query_one("#result").display = False
        self.tasks.start(self._ask())

    async def _ask(self) -> None:
        try:
            self._form = form = await self._engine.tool_form(self._server, self._tool)
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
            return
        about = [form.description.strip(), "It only reads." if form.read_only else ""]
        if form.destructive:
            about.append("It says that it may destroy something.")
        fields = self.query_one("#fields")
        if told := " ".join(filter(None, about)):
            await fields.mount(Static(plain(told, "$muted"), markup=False))
        await fields.mount_all([FieldRow(field) for field in form.fields])
        self._show_keys()
        if rows := self._rows:
            rows[0].input.focus()

    @property
    def _rows(self) -> list[FieldRow]:
        return list(self.query(FieldRow))

    @property
    def _calling(self) -> bool:
        return self._call is not None and not self._call.done()

    def _show_keys(self) -> None:
        keys = ["ctrl+r Run"]
        if self._outcome is not None:
            keys.append("ctrl+t Pretty" if self._raw else "ctrl+t Raw")
        leave = "esc Cancel" if self._calling else "esc Back"
        self.query_one(".box", Vertical).border_subtitle = self.pressed("  ".join([*keys, leave]))

    def _say(self, content: Content) -> None:
        self.query_one("#said", Static).update(content)

    def action_next(self) -> None:
        """Go on to the next field; on the last, run."""
        rows = self._rows
        at = next((n + 1 for n, row in enumerate(rows) if row.input is self.focused), len(rows))
        if at < len(rows):
            self.set_focus(rows[at].input)
        else:
            self.action_run()

    def action_run(self) -> None:
        """Call the tool."""
        focused = self.focused
        # Behind the keys that still wait for the field.
        (focused if isinstance(focused, Input) else self).call_later(self._check)

    def _check(self) -> None:
        form = self._form
        if form is None or self._calling:
            return
        wrong = [row for row in self._rows if not row.check()]
        if wrong:
            wrong[0].input.focus()
            return
        if not form.destructive:
            self._run()
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._run()

        self.app.push_screen(
            ConfirmDialog(
                f"Run {form.name}?",
                "It says that it may destroy something.",
                key="y",
                yes="Run it",
                no="Do not",
            ),
            answered,
        )

    def _run(self) -> None:
        typed = {row.field.key: row.input.value for row in self._rows if row.input.value}
        if [row.field.key for row in self._rows] == [WHOLE]:
            typed.setdefault(WHOLE, "{}")
        self._say(line(f"Running{self._glyphs.ellipsis}", "$warning"))
        wish = TryTool(key=self._key, server=self._server, tool=self._tool, typed=typed)
        self._call = self.tasks.start(self._wait(wish))
        self._show_keys()

    async def _wait(self, wish: TryTool) -> None:
        try:
            self._outcome = outcome = await self._engine.try_tool(wish)
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
        else:
            ended = ("ended with an error", "$error") if outcome.is_error else ("done", "$success")
            self._say(line(f"{ended[0]} in {outcome.seconds:.2f} s", ended[1]))
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
        self.query_one("#text", Static).update(plain(text or "It gave no content.", limit=20_000))
        result.scroll_home(animate=False)

    def action_back(self) -> None:
        """Cancel what runs, or leave."""
        if self._calling:
            self.tasks.start(self._cancel())
        else:
            super().action_back()

    async def _cancel(self) -> None:
        try:
            await self._engine.try_cancel(self._key)
        except McpmuxError as error:
            toast(self, str(error), "warning")


def _told(tool: ToolLine) -> Content:
    about = tool.description.partition("\n")[0]
    head = Content.assemble(
        line(tool.name, "bold"), "  ", line(tool.public or "not offered", "$muted")
    )
    return Content("\n  ").join([head, line(about, "$muted")]) if about else head
