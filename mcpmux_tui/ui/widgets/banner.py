"""What a person has to know whatever they look at: full width, above the rows."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from mcpmux_tui.model.server import EngineSnapshot
from mcpmux_tui.ui.content import line
from mcpmux_tui.ui.keymap import with_keys

ENGINE_ENDED = "The mcpmux engine has ended: nothing is served any more. q quits."


class Banner(Static):
    """Errors first, then warnings; nothing at all when there is nothing to say."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.display = False
        self._told: tuple[list[str], list[str]] = ([], [])

    def show(self, snapshot: EngineSnapshot, *, ended: bool) -> None:
        """Say what is wrong with the engine, the proxy or the config."""
        proxy = snapshot.proxy
        errors = [
            ENGINE_ENDED if ended else "",
            f"{proxy.error} {proxy.hint}" if proxy.error else "",
            snapshot.config_error,
        ]
        errors = [error for error in errors if error]
        warnings = [with_keys(self, each) for each in (*snapshot.notices, *proxy.knocks[-1:])]
        if self._told == (errors, warnings):
            return
        self._told = (errors, warnings)
        self.display = bool(errors or warnings)
        said = [line(error, "bold $error") for error in errors]
        said += [line(warning, "$warning") for warning in warnings]
        self.update(Content("\n").join(said))
