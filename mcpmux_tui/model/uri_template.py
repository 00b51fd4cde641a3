"""Addresses made from a resource template (RFC 6570, for values that are texts)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

_EXPRESSION: Final = re.compile(r"\{([+#./;?&]?)([^{}]*)\}")
_RESERVED: Final = ":/?#[]@!$&'()*+,;=%"
_LOOSE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_OPERATORS: Final = {
    "": ("", ","), "+": ("", ","), "#": ("#", ","), ".": (".", "."),
    "/": ("/", "/"), ";": (";", ";"), "?": ("?", "&"), "&": ("&", "&"),
}  # fmt: skip
"""What stands first and what between (RFC 6570, appendix A)."""


def variables(template: str) -> tuple[str, ...]:
    """The names of a template's variables, each once, in order."""
    names = (name for _, text in _EXPRESSION.findall(template) for name, _ in _specs(text))
    return tuple(dict.fromkeys(names))


def expand(template: str, values: Mapping[str, str]) -> str:
    """The address that a template and the values of its variables make; a blank one is left out."""
    return _EXPRESSION.sub(lambda found: _expanded(found[1], found[2], values), template)


def _expanded(operator: str, text: str, values: Mapping[str, str]) -> str:
    first, between = _OPERATORS[operator]
    parts: list[str] = []
    for name, most in _specs(text):
        value = values.get(name, "")[:most]
        if value:
            quoted = _quoted(value, reserved=operator in {"+", "#"})
            parts.append(f"{name}={quoted}" if operator in {";", "?", "&"} else quoted)
    return first + between.join(parts) if parts else ""


def _specs(text: str) -> Iterator[tuple[str, int | None]]:
    """The variables of an expression, each with how much of its value is used."""
    for spec in filter(None, text.split(",")):
        name, _, most = spec.removesuffix("*").partition(":")
        yield name, int(most) if most.isdecimal() else None


def _quoted(value: str, *, reserved: bool) -> str:
    if not reserved:
        return quote(value, safe="")
    return _LOOSE_PERCENT.sub("%25", quote(value, safe=_RESERVED))
