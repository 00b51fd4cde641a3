"""JSON with comments and trailing commas, as editors write it, in time linear in its length."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

# A string or comment that never ends takes the rest with it: no character is looked at twice.
_COMMENT = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|//[^\n]*|/\*[^*]*(?:\*(?!/)[^*]*)*(?:\*/|\Z)', re.DOTALL
)
_COMMA = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[{,:][ \t\r\n]*,|,(?=[ \t\r\n]*[}\]])', re.DOTALL
)
_VISIBLE = re.compile(r"[^\r\n]")
_SPACE = re.compile(r"[ \t\r\n]*")


class NotJson(ValueError):
    """Text that is not JSON with comments; `line` and `column` count from 1."""

    def __init__(self, reason: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object: where its key stands, where its value stands, and the value."""

    key: str
    key_at: int
    value_at: int
    value: object


def blank(text: str) -> str:
    """Return `text` as plain JSON: comments and trailing commas are spaces, each offset stays."""
    return _COMMA.sub(_blank_comma, blank_comments(text))


def blank_comments(text: str) -> str:
    """Return `text` with every comment turned into spaces."""
    return _COMMENT.sub(_blank_comment, text)


def _blank_comment(match: re.Match[str]) -> str:
    found = match[0]
    unclosed = found.startswith("/*") and not (len(found) >= 4 and found.endswith("*/"))
    return found if found.startswith('"') or unclosed else _VISIBLE.sub(" ", found)


def _blank_comma(match: re.Match[str]) -> str:
    return " " if match[0] == "," else match[0]


def loads(text: str) -> object:
    """Return the value of `text`; of a key that stands twice, the last.

    Raises NotJson, also for NaN, and for nesting or numbers that no sane file has.
    """
    plain = blank(text)
    value, end = _decode(plain, _skip(plain, 0))
    expect_end(plain, end)
    return value


def members(plain: str, at: int = 0) -> Iterator[Member]:
    """Yield the members of the object at `at` of blanked text, in order, repeated keys too.

    Yields nothing where something else than an object stands there. Raises NotJson.
    """
    at = _skip(plain, at)
    if plain[at : at + 1] != "{":
        return
    at = _skip(plain, at + 1)
    if plain[at : at + 1] == "}":
        return
    while True:
        key_at = at
        if plain[at : at + 1] != '"':
            raise _problem("a key in double quotes is missing", plain, at)
        key, at = _decode(plain, at)
        at = _skip(plain, at)
        if plain[at : at + 1] != ":":
            raise _problem("':' is missing", plain, at)
        value_at = _skip(plain, at + 1)
        value, at = _decode(plain, value_at)
        yield Member(str(key), key_at, value_at, value)
        at = _skip(plain, at)
        if plain[at : at + 1] == "}":
            return
        if plain[at : at + 1] != ",":
            raise _problem("',' or '}' is missing", plain, at)
        at = _skip(plain, at + 1)


def expect_end(plain: str, at: int) -> None:
    """Raise NotJson where more than space follows `at`."""
    at = _skip(plain, at)
    if at != len(plain):
        raise _problem("more than one value", plain, at)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse)


def _decode(text: str, at: int) -> tuple[object, int]:
    try:
        return _decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise NotJson(error.msg, error.lineno, error.colno) from None
    except StopIteration:
        raise _problem("a value is missing", text, at) from None
    except RecursionError:
        raise _problem("nested too deep", text, at) from None
    except ValueError as error:
        raise _problem(str(error), text, at) from None


def _problem(reason: str, text: str, at: int) -> NotJson:
    return NotJson(reason, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
