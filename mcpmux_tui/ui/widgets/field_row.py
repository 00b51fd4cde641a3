"""One field of a form that a server's schema makes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Input, Static

from mcpmux_tui.model.question import Field
from mcpmux_tui.ui.content import line, plain


class FieldRow(Widget):
    """Its name, where it is typed, what is known of it, what is wrong with it."""

    def __init__(self, field: Field, typed: str = "") -> None:
        super().__init__()
        self.field = field
        self._typed = typed

    def compose(self) -> ComposeResult:
        field = self.field
        star = " *" if field.required and not field.default else ""
        yield Static(line(f"{field.label}{star}", "bold"), classes="name", markup=False)
        yield Input(self._typed, placeholder=field.default or _kind(field))
        about = [field.description, _kind(field) if field.default else ""]
        if told := "  ".join(filter(None, about)):
            yield Static(plain(told, "$muted"), markup=False)
        if field.wants_secret:
            yield Static(
                plain("A server must not ask for secrets this way. Decline.", "$warning"),
                classes="secret",
                markup=False,
            )
        wrong = Static("", classes="wrong", markup=False)
        wrong.display = False
        yield wrong

    @property
    def input(self) -> Input:
        """Where it is typed."""
        return self.query_one(Input)

    def check(self) -> bool:
        """Whether what is typed fits; if not, why is said under it."""
        text, why = self.input.value or self.field.default, ""
        if text:
            try:
                self.field.value(text)
            except ValueError as error:
                why = f"It {error}."
        elif self.field.required:
            why = "It is missing."
        wrong = self.query_one(".wrong", Static)
        wrong.update(plain(why, "$error"))
        wrong.display = bool(why)
        return not why


def _kind(field: Field) -> str:
    if field.choices:
        return ", ".join(choice.title for choice in field.choices)
    return {
        "boolean": "yes or no",
        "integer": "a whole number",
        "number": "a number",
        "json": "JSON",
        "list": "with commas between, or a JSON list",
    }.get(field.kind, "")
