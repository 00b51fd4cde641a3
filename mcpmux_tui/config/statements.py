"""Where the statements of a TOML file stand, for line numbers and for cuts that keep the rest."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

_BLANK = re.compile(r"[ \t\r\n]*(?:#[^\n]*[ \t\r\n]*)*")
_KEY = re.compile(r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^="'\n])+""")
_PIECE = re.compile(
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"{3,5}'
    r"|'''[^']*(?:'(?!'')[^']*)*'{3,5}"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A table's header or a key with its value: its full path, and the lines it takes."""

    path: tuple[str, ...]
    start: int
    """Offset of its first line."""
    end: int
    """Offset after its last line's line feed."""
    line: int
    """Counted from 1."""
    header: bool


def statements(toml: str) -> Iterator[Statement]:
    """Yield the statements of `toml`, in order; it must be valid, `tomllib` having read it."""
    table: tuple[str, ...] = ()
    at, line, counted = 0, 1, 0
    while (begin := _end(_BLANK, toml, at)) < len(toml):
        start = toml.rfind("\n", 0, begin) + 1
        line += toml.count("\n", counted, start)
        counted = start
        header = toml[begin] == "["
        if header:
            at = _line_end(toml, begin)
            table = path = _path(tomllib.loads(toml[begin:at]))
        else:
            equals = _end(_KEY, toml, begin)
            path = (*table, *_path(tomllib.loads(toml[begin:equals] + "=0")))
            at = _value_end(toml, equals + 1)
        yield Statement(path, start, at, line, header)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _line_end(text: str, at: int) -> int:
    return text.find("\n", at) + 1 or len(text)


def _value_end(toml: str, at: int) -> int:
    depth = 0
    for piece in _PIECE.finditer(toml, at):
        match piece[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case "\n" if depth == 0:
                return piece.end()
    return len(toml)


def _path(nested: object) -> tuple[str, ...]:
    path: list[str] = []
    while nested:
        if isinstance(nested, list):
            nested = nested[0]
        elif isinstance(nested, dict):
            key, nested = next(iter(nested.items()))
            path.append(key)
        else:
            break
    return tuple(path)
