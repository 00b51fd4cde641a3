"""`e`: a server's entry in a form. `D`: the same for a new one like it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from mcpmux_tui.control.protocol import Draft, EntryForm
from mcpmux_tui.ui.dialogs.draft import DraftDialog, DraftField
from mcpmux_tui.ui.engine import Engine
from mcpmux_tui.ui.widgets.plain_input import PlainArea, PlainInput


class EditDialog(DraftDialog):
    """The values as the config has them; secrets in plain text are hidden and stay."""

    KEYS = "ctrl+e On or off  ctrl+t Test  ctrl+s Save  esc Back"
    # The entry is the person's own already.
    TO_ITS_END = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+e", "switch", "Enabled", id="edit.switch", priority=True),
    ]

    def __init__(self, engine: Engine, form: EntryForm) -> None:
        super().__init__(engine)
        self._form = form
        self._enabled = form.enabled
        self.TITLE_TEXT = f"Copy of {form.server}" if form.copy_of else f"Edit {form.server}"

    def fields(self) -> Iterator[Widget]:
        """The fields of a command or of an address."""
        form = self._form
        yield DraftField("name", "Name", PlainInput(form.name))
        yield DraftField("target", "Address" if form.remote else "Command", PlainInput(form.target))
        shape = (
            "Headers (Name: value, a line each)"
            if form.remote
            else "Variables (KEY=value, a line each)"
        )
        yield DraftField("pairs", shape, PlainArea(form.pairs))
        if not form.remote:
            yield DraftField("cwd", "Folder (empty: your home)", PlainInput(form.cwd))
        yield Static(self._switch(), id="enabled", markup=False)

    def runs(self, draft: Draft) -> str:
        """All but the name and the switch."""
        form = draft.form or self._form
        return "\n".join((form.target, form.pairs, form.cwd))

    def _switch(self) -> Content:
        marks = ("(x)", "( )") if self._enabled else ("( )", "(x)")
        return Content(f"{marks[0]} enabled  {marks[1]} disabled   ctrl+e")

    def action_switch(self) -> None:
        """Enable or disable it."""
        self._enabled = not self._enabled
        self.query_one("#enabled", Static).update(self._switch())
        self.look()

    @property
    def draft(self) -> Draft | None:
        """The form as it is now."""
        return Draft(
            form=self._form.model_copy(
                update={
                    "name": self.value("name").strip(),
                    "target": self.value("target"),
                    "pairs": self.value("pairs"),
                    "cwd": self.value("cwd"),
                    "enabled": self._enabled,
                }
            )
        )
