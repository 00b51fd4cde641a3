"""The themes of mcpmux, and which one fits a terminal. Styles name theme variables only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from textual.color import Color
from textual.theme import Theme

DARK = Theme(
    name="mcpmux-dark",
    primary="#6cb6ff",
    secondary="#8ddbff",
    accent="#6cb6ff",
    success="#3ecfae",
    warning="#e8b13a",
    error="#ff8266",
    foreground="#e4e9ef",
    background="#10151b",
    surface="#161c24",
    panel="#222b36",
    variables={"muted": "#8f9baa", "rule": "#3a4655"},
)
LIGHT = Theme(
    name="mcpmux-light",
    primary="#0b5cad",
    secondary="#1f6f9c",
    accent="#0b5cad",
    success="#08705c",
    warning="#8a5a00",
    error="#b8321a",
    foreground="#1d242c",
    background="#fbfcfd",
    surface="#f0f3f6",
    panel="#dfe6ed",
    dark=False,
    variables={"muted": "#566270", "rule": "#b3bfcb"},
)
CB_DARK = replace(
    DARK,
    name="mcpmux-cb-dark",
    primary="#a9bacb",
    secondary="#c3d0dc",
    accent="#a9bacb",
    success="#62aaff",
    warning="#f7d95c",
    error="#ff8a2b",
)
CB_LIGHT = replace(
    LIGHT,
    name="mcpmux-cb-light",
    primary="#46586b",
    secondary="#33475b",
    accent="#46586b",
    success="#0a56c2",
    warning="#7a5c00",
    error="#6f2300",
)
"""For eyes that do not tell red from green: healthy is blue, trouble yellow and orange."""
_ANSI_DARK = {
    # Many a palette's blue cannot be read on black, and its bright black is the background.
    "primary": "ansi_cyan",
    "muted": "ansi_white",
    "rule": "ansi_blue",
    "cursor": "ansi_blue",
    "cursor-text": "ansi_bright_white",
}
_ANSI_LIGHT = {
    # Textual's is another red.
    "warning": "ansi_magenta",
    "muted": "ansi_bright_black",
    "rule": "ansi_blue",
    "cursor": "ansi_white",
    "cursor-text": "ansi_black",
}
THEMES = (DARK, LIGHT, CB_DARK, CB_LIGHT)
_INKS = ("primary", "success", "warning", "error")
CONTRAST = 4.5
CONTRAST_OF_SIGNS = 3.0
"""Of text, and of what is large or no text at all: WCAG 2.2, 1.4.3 and 1.4.11."""


def chosen(
    wish: str, known: Mapping[str, Theme], colours: str | None, environ: Mapping[str, str]
) -> str:
    """The name of the theme to use: the person's, else the one that fits the terminal.

    `colours` is the colour system that Rich found. A terminal with sixteen colours or fewer gets
    its own palette.
    """
    for name in (wish, *environ.get("TEXTUAL_THEME", "").split(",")):
        if name.strip() in known:
            return name.strip()
    if environ.get("TERM") != "linux" and colours in {"256", "truecolor"}:
        return DARK.name
    return "ansi-light" if _is_light(environ) else "ansi-dark"


def _is_light(environ: Mapping[str, str]) -> bool:
    # What rxvt, Konsole and others tell of their colours: "foreground;background".
    return environ.get("COLORFGBG", "").rpartition(";")[2] in {"7", "15"}


def inks(theme: Theme) -> dict[str, str]:
    """Our own variables; for a theme of others also its colours, readable as words.

    Many a light theme has a yellow that is made for grounds, not for text.
    """
    if theme.ansi:
        return _ANSI_DARK if theme.dark else _ANSI_LIGHT
    colours = theme.to_color_system().generate()
    cursor = {"cursor": colours["panel"], "cursor-text": colours["foreground"]}
    if theme in THEMES:
        return {**cursor, **_scrollbar(theme.variables["rule"], theme.variables["muted"])}
    text, ground = Color.parse(colours["foreground"]), Color.parse(colours["background"])
    others = [Color.parse(colours["surface"]), Color.parse(colours["panel"])]

    def readable(shades: list[Color]) -> str:
        """The first that can be read everywhere, best on the background."""
        enough = (
            shade
            for shade in shades
            if contrast(shade, ground) >= CONTRAST
            and min(contrast(shade, each) for each in others) >= CONTRAST_OF_SIGNS
        )
        return next(enough, shades[-1]).hex6

    def away(ink: Color) -> list[Color]:
        step = 0.02 if theme.dark else -0.02
        return [ink.lighten(step * number) for number in range(25)]

    words = {name: readable(away(Color.parse(colours[name]))) for name in _INKS}
    muted = readable([ground.blend(text, share / 20) for share in range(11, 21)])
    rule = ground.blend(text, 0.25).hex6
    return {**cursor, **words, **_scrollbar(rule, muted), "muted": muted, "rule": rule}


def _scrollbar(bar: str, held: str) -> dict[str, str]:
    """A bar of rules' colour on whatever is under it: it is to be found, not to be seen first."""
    grounds = ("scrollbar-background", "scrollbar-background-hover", "scrollbar-background-active")
    return {
        **dict.fromkeys(grounds, "transparent"),
        "scrollbar": bar,
        "scrollbar-hover": held,
        "scrollbar-active": held,
    }


def contrast(ink: Color, ground: Color) -> float:
    """How well two colours stand apart, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    light, dark = sorted((_luminance(ink), _luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
