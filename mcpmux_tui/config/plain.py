"""Secrets that stand in an entry as they are: found by their key's name or by their shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from mcpmux_tui.config.placeholders import references
from mcpmux_tui.config.resolve import texts
from mcpmux_tui.model.inputs import looks_secret
from mcpmux_tui.model.shapes import SHAPES
from mcpmux_tui.model.spec import Launch

_SCHEME: Final = re.compile(r"(?:Bearer|Basic|Token|ApiKey) +", re.IGNORECASE)
_NO_SECRET: Final = frozenset({"true", "false", "yes", "no", "none", "null", "0", "1"})
_OTHER: Final = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Plain:
    """One secret: where it stands, the name it would be kept under, and how the text goes on."""

    where: str
    name: str
    value: str
    text: str
    """The whole text with a reference in the place of the value."""
    written: str
    """The whole text as it stands."""

    def renamed(self, name: str) -> Plain:
        """The same under another name."""
        text = self.text.replace(f"${{secret:{self.name}}}", f"${{secret:{name}}}")
        return replace(self, name=name, text=text)

    def __repr__(self) -> str:
        return f"Plain({self.where!r}, {self.name!r})"


def plain_secrets(server: str, launch: Launch) -> Iterator[Plain]:
    """Every one in an entry."""
    for where, text, _ in texts(launch):
        if (found := plain_secret(server, where, text)) is not None:
            yield found


def plain_secret(server: str, where: str, text: str) -> Plain | None:
    """The first in a text that stands at `where`, such as "env.API_KEY"."""
    if not text.strip() or any(references(text, templates=where.startswith("headers."))):
        return None
    table, _, key = where.partition(".")
    if where == "url":
        return _in_address(server, text)
    start, end = 0, 0
    if table in {"env", "headers", "oauth"} and looks_secret(key) and key != "client_id":
        scheme = _SCHEME.match(text) if table == "headers" else None
        start, end = scheme.end() if scheme else 0, len(text)
    elif (shape := SHAPES.search(text)) is not None:
        start, end = shape.span()
    value = text[start:end]
    if len(value.strip()) < 4 or value.lower() in _NO_SECRET:
        return None
    name = key if table == "env" else f"{server}_{key or table}"
    return _plain(where, name, value, text[:start], text[end:])


def _in_address(server: str, url: str) -> Plain | None:
    try:
        pairs = parse_qsl(urlsplit(url).query)
    except ValueError:
        return None
    for name, value in pairs:
        if (looks_secret(name) or name in {"key", "auth"} or SHAPES.search(value)) and value:
            match = re.search(rf"([?&]{re.escape(name)}=)([^&#]*)", url)
            if match is not None and unquote(match[2]) == value == match[2]:
                return _plain(
                    "url", f"{server}_{name}", value, url[: match.start(2)], url[match.end(2) :]
                )
    return None


def _plain(where: str, name: str, value: str, before: str, after: str) -> Plain:
    name = _OTHER.sub("_", name).strip("_").upper()[:128]
    # In the entry `$$` stands for one `$`; what is kept is not read that way.
    text = f"{before}${{secret:{name}}}{after}"
    return Plain(where, name, value.replace("$$", "$"), text, before + value + after)
