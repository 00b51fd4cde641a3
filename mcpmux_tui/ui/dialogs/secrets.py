"""`S`: the values given by name, who uses each and who waits for it; never a value."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mcpmux_tui.control.protocol import SecretLine
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.ui.content import line, plain
from mcpmux_tui.ui.dialogs.confirm import ConfirmDialog
from mcpmux_tui.ui.dialogs.dialog import Dialog
from mcpmux_tui.ui.dialogs.values import ValuesDialog
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.toasts import toast, toast_error
from mcpmux_tui.ui.widgets.choices import Choices


class SecretNames(Choices):
    """The names."""


class SecretsDialog(Dialog[None]):
    """Looks them through; enter gives another value, delete forgets one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete", "remove", "Remove", id="secrets.remove"),
    ]

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._lines: tuple[SecretLine, ...] = ()

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Secrets"
            box.border_subtitle = self.pressed("enter Change  delete Remove  esc Back")
            yield Static("", id="said", markup=False)
            yield SecretNames(markup=False)

    def on_mount(self) -> None:
        """Ask for them."""
        self.query_one(SecretNames).focus()
        self.tasks.start(self._ask())

    async def _ask(self) -> None:
        try:
            told = (await self._engine.secrets()).secrets
        except McpmuxError as error:
            self._say(plain(str(error), "$error"))
            return
        chosen, self._lines = self._chosen, told
        names = self.query_one(SecretNames)
        names.clear_options()
        names.add_options(Option(_told(each)) for each in self._lines)
        again = (n for n, each in enumerate(told) if chosen and each.name == chosen.name)
        names.highlighted = next(again, 0) if told else None
        self._say(
            Content("No value is kept, and no server waits for one.")
            if not self._lines
            else Content()
        )

    def _say(self, content: Content) -> None:
        said = self.query_one("#said", Static)
        said.update(content)
        said.display = bool(content)

    @property
    def _chosen(self) -> SecretLine | None:
        place = self.query_one(SecretNames).highlighted
        return self._lines[place] if place is not None and place < len(self._lines) else None

    @on(OptionList.OptionSelected)
    def _change(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        chosen = self._chosen
        if chosen is None:
            return
        if not chosen.users:
            toast(self, f"No server uses {chosen.name}; delete removes it.", "warning")
            return

        def again(_: None) -> None:
            self.tasks.start(self._ask())

        self.app.push_screen(ValuesDialog(self._engine, chosen.users[0]), again)

    def action_remove(self) -> None:
        """Forget the value, after a yes."""
        chosen = self._chosen
        if chosen is None or not _is_given(chosen):
            return
        users = ", ".join(chosen.users) or "no server"

        def answered(yes: bool | None) -> None:
            if yes:
                self.tasks.start(self._remove(chosen.name))

        self.app.push_screen(
            ConfirmDialog(
                f"Remove {chosen.name}?",
                f"It is used by {users}.",
                key="delete",
                yes="Remove",
                no="Keep",
            ),
            answered,
        )

    async def _remove(self, name: str) -> None:
        try:
            await self._engine.secret_remove(name)
        except McpmuxError as error:
            toast_error(self, error)
            return
        toast(self, f"{name} is removed.")
        await self._ask()


def _is_given(told: SecretLine) -> bool:
    return told.kept or not told.waiting


def _told(told: SecretLine) -> Content:
    if told.kept:
        since = (
            ""
            if told.since is None
            else time.strftime(" since %d %b %Y", time.localtime(told.since))
        )
        state, style = f"kept{since}", "$muted"
    elif _is_given(told):
        state, style = "this session only", "$warning"
    else:
        state, style = "not given", "bold $warning"
    facts = [Content.assemble(line(told.name, "bold"), "  ", (state, style))]
    if using := [user for user in told.users if user not in told.waiting]:
        facts.append(line(f"used by {', '.join(using)}", "$muted"))
    if told.waiting:
        facts.append(line(f"waiting: {', '.join(told.waiting)}", "$warning"))
    if not told.users:
        facts.append(line("used by no server", "$muted"))
    return Content("\n  ").join(facts)
