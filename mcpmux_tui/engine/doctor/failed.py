"""How a check fails."""

from __future__ import annotations

from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.mend import Mend


class Failed(Exception):
    """The check `name` did not hold: `said` is how, `fix` what to do, `mend` what a door can do.

    `about` is what that is done to, where it is not the server.
    """

    def __init__(
        self, name: str, said: str, fix: str = "", mend: Mend | None = None, about: str = ""
    ) -> None:
        super().__init__(said)
        self.name = name
        self.said = said
        self.fix = fix
        self.mend = mend
        self.about = about

    @classmethod
    def by(cls, name: str, error: McpmuxError, mend: Mend | None = None) -> Failed:
        """The failure that tells of `error`."""
        return cls(name, error.message, error.hint, mend)
