"""The two themes of mcpmux. Styles name theme variables only; text has a contrast of 4.5."""

from __future__ import annotations

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
    success="#0a7561",
    warning="#8a5a00",
    error="#b8321a",
    foreground="#1d242c",
    background="#fbfcfd",
    surface="#f0f3f6",
    panel="#dfe6ed",
    dark=False,
    variables={"muted": "#566270", "rule": "#b3bfcb"},
)
THEMES = (DARK, LIGHT)
FALLBACK = {"muted": "#808a96", "rule": "#606a76"}
"""Values of the variables above for themes that do not know them."""
