"""What the person chose about the screen: the config's `[ui]` and `[keys]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mcpmux_tui.model.frozen import Frozen

GlyphChoice = Literal["auto", "unicode", "ascii"]


class UiSettings(Frozen):
    """As they stand in the config; what a door does not know of them it says and passes over."""

    theme: str = ""
    """Empty: the one that fits the terminal."""
    glyphs: GlyphChoice = "auto"
    animations: bool = True
    keys: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """A binding's id to its keys, in the order of the file."""


class UiChange(Frozen):
    """What to write into `[ui]`; None: stays as it is."""

    theme: str | None = None
    glyphs: GlyphChoice | None = None
    animations: bool | None = None

    def values(self) -> dict[str, str | bool]:
        """What is to be written, by key."""
        return self.model_dump(exclude_none=True)
