"""`a`: a server is pasted as a command, an address or JSON, seen whole, tested and added."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from mcpmux_tui.control.protocol import Draft, Reading
from mcpmux_tui.ui.dialogs.draft import DraftDialog, DraftField
from mcpmux_tui.ui.widgets.plain_input import PlainArea, PlainInput


class AddDialog(DraftDialog):
    """One field to paste into, and a name."""

    TITLE_TEXT = "Add a server"
    VERB = "adds"
    KEYS = "ctrl+t Test  ctrl+s Add  esc Back"

    def fields(self) -> Iterator[Widget]:
        """What is pasted, and the name."""
        area = PlainArea(once=True, placeholder="npx -y @acme/server, https://\u2026 or {\u2026}")
        yield DraftField("pasted", "Paste a command, URL or JSON", area)
        yield DraftField("name", "Name", PlainInput())

    @property
    def draft(self) -> Draft | None:
        """What was pasted."""
        pasted = self.value("pasted")
        return Draft(pasted=pasted, name=self.value("name").strip()) if pasted.strip() else None

    def runs(self, draft: Draft) -> str:
        """All that was pasted."""
        return draft.pasted

    def read(self, reading: Reading) -> None:
        """Suggest a name; several servers have theirs."""
        field = self.field("name")
        if field is None or not isinstance(field.editor, PlainInput):
            return
        field.display = len(reading.servers) < 2
        if not reading.wrong:
            names = [server.name for server in reading.servers]
            field.editor.placeholder = names[0] if names else ""
