"""The grammar of placeholders: ${NAME}, ${env:NAME}, ${secret:NAME}, ${input:ID}, each also with
`:-default`, which may hold placeholders itself, and `$$` for a literal `$`. What else follows a `$`
is text. In headers `{{NAME}}` is another way to write ${NAME}.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, cast

Source = Literal["", "env", "secret", "input"]
Lookup = Callable[[Source, str], str | None]
"""Takes a source and a name; returns the value, or None where there is none."""

DEPTH: Final = 10
"""Defaults within defaults."""
HOME: Final = "userHome"
_TOKEN = re.compile(
    r"\$\$"
    r"|\$\{(?:"
    r"(?:(?P<source>secret|input):(?P<id>[A-Za-z0-9_.-]{1,128})"
    r"|(?P<env>env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]{0,127}))"
    r"(?P<end>\}|:-)"
    r")"
    r"|(?P<stray>\$\{)"
    r"|(?P<close>\})"
    r"|\{\{[ ]{0,8}(?P<template>[A-Za-z_][A-Za-z0-9_]{0,127})[ ]{0,8}\}\}"
)
_EDITORS = re.compile(
    r"\$\{(?:workspace\w*|workspaceFolder:[^}]*|file(?:Basename|Dirname|Extname|Workspace)\w*"
    r"|relativeFile\w*|selectedText|lineNumber|execPath|defaultBuildTask|command:[^}]*"
    r"|config:[^}]*)\}"
)
_STRAY_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Reference:
    """A placeholder; `default` is what stands in for it, None where nothing does."""

    source: Source
    name: str
    default: tuple[str | Reference, ...] | None = None


@dataclass(slots=True)
class _Open:
    """A placeholder whose default is still being read."""

    head: str
    source: Source
    name: str
    parts: list[str | Reference] = field(default_factory=list)


def parse(text: str, *, templates: bool = False) -> tuple[str | Reference, ...]:
    """Return `text` as literal parts and placeholders; `templates` as headers have them.

    A default too deep within others is text.
    """
    parts: list[str | Reference] = []
    opened: list[_Open] = []
    at = 0
    for token in _TOKEN.finditer(text):
        here = opened[-1].parts if opened else parts
        here.append(text[at : token.start()])
        at = token.end()
        if token["close"] is not None:
            if opened:
                done = opened.pop()
                outer = opened[-1].parts if opened else parts
                outer.append(Reference(done.source, done.name, _joined(done.parts)))
            else:
                here.append(token[0])
        elif token["template"] is not None:
            here.append(Reference("", token["template"]) if templates else token[0])
        elif token["end"] is None:
            here.append("$" if token[0] == "$$" else token[0])
        else:
            source = cast("Source", token["source"] or ("env" if token["env"] else ""))
            name = token["id"] or token["name"]
            if token["end"] == "}":
                here.append(Reference(source, name))
            elif len(opened) < DEPTH:
                opened.append(_Open(token[0], source, name))
            else:
                here.append(token[0])
    (opened[-1].parts if opened else parts).append(text[at:])
    while opened:
        # One that nobody closed is text, and what stands in it stands beside it.
        left = opened.pop()
        (opened[-1].parts if opened else parts).extend((left.head, *left.parts))
    return _joined(parts)


def references(text: str, *, templates: bool = False) -> Iterator[Reference]:
    """Every placeholder of `text`, those in defaults too."""
    todo: list[str | Reference] = list(reversed(parse(text, templates=templates)))
    while todo:
        part = todo.pop()
        if isinstance(part, Reference):
            yield part
            todo.extend(reversed(part.default or ()))


def fill(text: str, lookup: Lookup, *, templates: bool = False) -> tuple[str, tuple[str, ...]]:
    """Return `text` with its placeholders filled, and the names that have no value, in order.

    As in a shell, a default stands for an unset or an empty value.
    """
    missing: list[str] = []

    def value(parts: tuple[str | Reference, ...]) -> str:
        return "".join(part if isinstance(part, str) else found(part) for part in parts)

    def found(reference: Reference) -> str:
        told = lookup(reference.source, reference.name)
        if reference.default is not None:
            return told or value(reference.default)
        if told is None:
            missing.append(reference.name)
            return ""
        return told

    return value(parse(text, templates=templates)), tuple(missing)


def too_deep(text: str) -> bool:
    """Whether defaults stand in defaults deeper than anybody means."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token["end"] == ":-":
            depth += 1
            if depth > DEPTH:
                return True
        elif token["close"] is not None and depth:
            depth -= 1
    return False


def of_an_editor(text: str) -> str:
    """The first placeholder that only an editor can fill, such as its open folder; else empty."""
    found = _EDITORS.search(text.replace("$$", "  "))
    return found[0] if found else ""


def strays(text: str) -> tuple[str, ...]:
    """Return what looks like a placeholder but is none mcpmux knows; it is passed on as text."""
    return tuple(
        text[token.start() : token.start() + _STRAY_SHOWN].partition("}")[0] + "}"
        for token in _TOKEN.finditer(text)
        if token["stray"] is not None
    )


def stand_in(text: str) -> str:
    """Return `text` with "1" for each placeholder: a form whose syntax can be checked."""
    return "".join(part if isinstance(part, str) else "1" for part in parse(text))


def _joined(parts: list[str | Reference]) -> tuple[str | Reference, ...]:
    """The same with neighbouring literals as one."""
    joined: list[str | Reference] = []
    literal: list[str] = []
    for part in parts:
        if isinstance(part, str):
            literal.append(part)
            continue
        if text := "".join(literal):
            joined.append(text)
        literal.clear()
        joined.append(part)
    if text := "".join(literal):
        joined.append(text)
    return tuple(joined)
