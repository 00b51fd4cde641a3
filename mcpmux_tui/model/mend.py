"""What mends a check of the doctor that failed: one key on screen, one command in a shell."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import Final

from mcpmux_tui.model.server import Action


class Mend(StrEnum):
    """One thing that a person can do; the value is the word in JSON."""

    SIGN_IN = "sign_in"
    VALUES = "values"
    EDIT = "edit"
    EDITOR = "editor"
    ENABLE = "enable"
    CONNECT = "connect"
    RETRY = "retry"

    @property
    def key(self) -> str:
        """The id of the key that does it."""
        return _KEYS.get(self, "server.connect")

    @property
    def label(self) -> str:
        """What the key says."""
        return _LABELS.get(self, self.value.replace("_", " ").capitalize())

    def command(self, about: str) -> str:
        """The command that does it, to the server or the value `about`; empty where none does."""
        words = _COMMANDS.get(self)
        return f"{words} {shlex.quote(about)}" if words and about else ""

    @classmethod
    def of(cls, action: Action | None) -> Mend | None:
        """What a row suggests; None for what mends nothing."""
        return _ACTIONS.get(action) if action else None


_KEYS: Final = {
    Mend.VALUES: "server.secrets", Mend.EDIT: "server.edit", Mend.EDITOR: "server.editor",
}  # fmt: skip
_LABELS: Final = {Mend.EDITOR: "Edit file"}
_COMMANDS: Final = {
    Mend.SIGN_IN: "mcpmux login",
    Mend.VALUES: "mcpmux secret set",
    Mend.ENABLE: "mcpmux enable",
    Mend.CONNECT: "mcpmux connect",
    Mend.RETRY: "mcpmux restart",
}
_ACTIONS: Final = {
    Action.SIGN_IN: Mend.SIGN_IN,
    Action.ENTER_VALUES: Mend.VALUES,
    Action.ENABLE: Mend.ENABLE,
    Action.CONNECT: Mend.CONNECT,
    Action.RETRY: Mend.RETRY,
}
