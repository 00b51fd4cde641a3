"""The themes: readable, told apart by eyes of all kinds, and chosen to fit the terminal."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from mcpmux_tui.ui.theme import CONTRAST, CONTRAST_OF_SIGNS, DARK, THEMES, chosen, contrast, inks

GROUNDS = ("background", "surface", "panel")
INKS = ("foreground", "muted", "primary", "success", "warning", "error", "cursor-text")
COLOUR_BLIND = [theme for theme in THEMES if "-cb-" in theme.name]
KNOWN = {**BUILTIN_THEMES, **{theme.name: theme for theme in THEMES}}

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
SIGHT = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}


def colours(theme: Theme) -> dict[str, Color]:
    values = {**theme.to_color_system().generate(), **theme.variables, **inks(theme)}
    return {name: Color.parse(values[name]) for name in {*GROUNDS, *INKS, "cursor"}}


def seen(colour: Color, sight: str) -> Color:
    """A colour as eyes see it that do not tell red from green."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colour.normalized
    ]
    mixed = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in SIGHT[sight]]
    bounded = [min(1.0, max(0.0, part)) for part in mixed]
    red, green, blue = (
        12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055 for part in bounded
    )
    return Color(round(255 * red), round(255 * green), round(255 * blue))


def difference(one: Color, other: Color) -> float:
    """How far apart two colours look (CIE 1976)."""

    def lab(colour: Color) -> tuple[float, float, float]:
        r, g, b = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in colour.normalized
        )
        x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047
        y = 0.2126 * r + 0.7152 * g + 0.0722 * b
        z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883
        fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
        return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)

    return math.dist(lab(one), lab(other))


def test_contrast_is_that_of_wcag() -> None:
    white, black = Color.parse("#fff"), Color.parse("#000")
    assert contrast(white, black) == pytest.approx(21)
    assert contrast(black, white) == pytest.approx(21)
    assert contrast(Color.parse("#777"), white) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_all_text_of_our_themes_can_be_read_on_every_ground(theme: Theme) -> None:
    values = colours(theme)
    for ink in INKS:
        for ground in (*GROUNDS, "cursor"):
            assert contrast(values[ink], values[ground]) >= CONTRAST, (ink, ground)


@pytest.mark.parametrize(
    "theme", [t for t in BUILTIN_THEMES.values() if not t.ansi], ids=lambda theme: theme.name
)
def test_states_can_be_read_in_the_themes_of_others(theme: Theme) -> None:
    values = colours(theme)
    for ink in ("muted", "primary", "success", "warning", "error"):
        assert contrast(values[ink], values["background"]) >= CONTRAST, ink
        for ground in ("surface", "panel"):
            assert contrast(values[ink], values[ground]) >= CONTRAST_OF_SIGNS, (ink, ground)


@pytest.mark.parametrize("theme", COLOUR_BLIND, ids=lambda theme: theme.name)
@pytest.mark.parametrize("sight", SIGHT)
def test_healthy_and_trouble_differ_for_eyes_that_do_not_tell_red_from_green(
    theme: Theme, sight: str
) -> None:
    values = colours(theme)
    assert values["success"].b > values["success"].r
    assert all(values[trouble].r > values[trouble].b for trouble in ("warning", "error"))
    for one, other in combinations(("success", "warning", "error"), 2):
        told_apart = difference(seen(values[one], sight), seen(values[other], sight))
        assert told_apart > 15, (one, other, told_apart)


@pytest.mark.parametrize(
    ("wish", "colour_system", "environ", "name"),
    [
        ("", "truecolor", {"TERM": "xterm-256color"}, "mcpmux-dark"),
        ("", "256", {"TERM": "screen-256color"}, "mcpmux-dark"),
        ("", "standard", {"TERM": "xterm"}, "ansi-dark"),
        ("", "standard", {"TERM": "xterm", "COLORFGBG": "0;15"}, "ansi-light"),
        ("", "standard", {"TERM": "rxvt", "COLORFGBG": "15;default;0"}, "ansi-dark"),
        ("", None, {"TERM": "vt100"}, "ansi-dark"),
        ("", "truecolor", {"TERM": "linux", "COLORTERM": "truecolor"}, "ansi-dark"),
        ("nord", "standard", {"TERM": "linux"}, "nord"),
        ("no such", "truecolor", {}, "mcpmux-dark"),
        ("", "truecolor", {"TEXTUAL_THEME": "no such, nord"}, "nord"),
        ("dracula", "truecolor", {"TEXTUAL_THEME": "nord"}, "dracula"),
    ],
)
def test_the_theme_is_the_persons_else_what_fits_the_terminal(
    wish: str, colour_system: str | None, environ: dict[str, str], name: str
) -> None:
    assert chosen(wish, KNOWN, colour_system, environ) == name
    assert DARK.name == "mcpmux-dark"
