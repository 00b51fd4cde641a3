"""A command as documentation gives it: a line for a shell, or for another tool's `mcp add`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from pydantic import JsonValue

_QUOTED: Final = r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\."
_LINE: Final = re.compile(rf"(?:{_QUOTED}|[^\n])+", re.DOTALL)
_CONTINUED: Final = re.compile(r"\\\n[ \t]*")
_PROMPT: Final = re.compile(r"^[$%>] +")
_PARTS: Final = re.compile(rf"{_QUOTED}|\$(?P<name>[A-Za-z_]\w*)", re.DOTALL | re.ASCII)
_SHELL: Final = re.compile(r"[|;&<>`]|\$\(")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_ADDRESS: Final = re.compile(r"https?://\S+", re.IGNORECASE)
_ENV: Final = frozenset({"-e", "--env"})
_HEADER: Final = frozenset({"-H", "--header"})
_TRANSPORT: Final = frozenset({"-t", "--transport"})
_VALUED: Final = frozenset({"-s", "--scope", "--url", "--cwd"})


class Unreadable(ValueError):
    """Text that names no server; its own text is a sentence that says why."""


@dataclass(slots=True)
class Said:
    """What a line says of one server; either `words` or `address`, or `json` as it stands."""

    name: str = ""
    words: list[str] = field(default_factory=list)
    address: str = ""
    json: str = ""
    env: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cwd: str = ""
    sse: bool = False
    disabled: bool = False

    def entry(self) -> dict[str, JsonValue]:
        """The same in mcpmux's keys."""
        entry: dict[str, JsonValue] = {}
        if self.address:
            entry["url"] = self.address
            if self.headers:
                entry["headers"] = dict(self.headers)
            if self.sse:
                entry["transport"] = "sse"
        else:
            entry["command"] = self.words[0]
            if self.words[1:]:
                entry["args"] = list(self.words[1:])
            if self.env:
                entry["env"] = dict(self.env)
            if self.cwd:
                entry["cwd"] = self.cwd
        if self.disabled:
            entry["enabled"] = False
        return entry


def lines(text: str) -> Iterator[Said]:
    """Read each line as one command. Raises Unreadable."""
    for found in _LINE.finditer(_CONTINUED.sub(" ", text)):
        line = _PROMPT.sub("", found[0].strip())
        if line and not line.startswith("#"):
            yield said(line)


def said(line: str) -> Said:
    """Read one command. Raises Unreadable."""
    if _ADDRESS.fullmatch(line):
        return Said(address=line)
    if shell := _SHELL.search(re.sub(_QUOTED, "", line, flags=re.DOTALL)):
        raise Unreadable(
            f"`{shell[0]}` is for a shell, and mcpmux runs commands without one. Paste one plain"
            " command; what is meant as it stands goes in quotes."
        )
    words = _words(line)
    env = _taken_assignments(words)
    if words[:1] == ["env"] and (len(words) == 1 or not words[1].startswith("-")):
        del words[0]
        env |= _taken_assignments(words)
    if not words or not words[0].strip():
        raise Unreadable("There is no command in it.")
    found = _of_a_tool(words)
    if found is None:
        if _ADDRESS.fullmatch(words[0]):
            raise Unreadable("An address takes no variables and no arguments.")
        found = Said(words=words)
    if found.address and (env or found.env):
        raise Unreadable("An address takes no variables and no arguments.")
    found.env = env | found.env
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(_PARTS.sub(_variable, line))
    except ValueError as error:
        quote = "quotation" in str(error)
        raise Unreadable(
            "A quote is opened in it and not closed." if quote else "It ends with a backslash."
        ) from None


def _variable(part: re.Match[str]) -> str:
    """`$NAME`, which a shell would fill, as mcpmux's own placeholder; not within single quotes."""
    if part["name"]:
        return f"${{{part['name']}}}"
    text = part[0]
    return f'"{_PARTS.sub(_variable, text[1:-1])}"' if text.startswith('"') else text


def _taken_assignments(words: list[str]) -> dict[str, str]:
    env: dict[str, str] = {}
    while words and _ASSIGNMENT.match(words[0]):
        key, _, value = words.pop(0).partition("=")
        env[key] = value
    return env


def _of_a_tool(words: list[str]) -> Said | None:
    """What another tool is told to add; None where this is a command of its own."""
    match [PurePath(words[0]).name, *words[1:]]:
        case ["code" | "code-insiders" | "cursor", "--add-mcp", text, *_]:
            return Said(json=text)
        case ["claude" | "gemini" | "codex", "mcp", "add-json", *rest]:
            found = [word for word in _without_options(rest) if word]
            if len(found) != 2:
                raise Unreadable("`mcp add-json` takes a name and JSON.")
            return Said(name=found[0], json=found[1])
        case ["claude" | "gemini" | "codex", "mcp", "add", *rest] | ["mcpmux", "add", *rest]:
            return _added(rest)
    return None


def _without_options(words: list[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if word in _VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            yield word


def _added(words: list[str]) -> Said:
    found = Said()
    rest = list(words)
    option = ""
    while rest:
        word = rest.pop(0)
        if word == "--":
            found.words += rest
            break
        if word.startswith("-"):
            option, equals, value = word.partition("=")
            if option == "--disabled":
                found.disabled = True
                continue
            if not equals:
                if not rest:
                    raise Unreadable(f"`{option}` has no value.")
                value = rest.pop(0)
            _take(found, option, value)
        elif option in _ENV and _ASSIGNMENT.match(word):
            # Claude Code takes several after one `--env`.
            _take(found, option, word)
        elif not found.name:
            found.name = word
        elif _ADDRESS.fullmatch(word):
            found.address = word
        else:
            found.words = [word, *rest]
            break
    if not found.name or bool(found.words) is bool(found.address):
        raise Unreadable("It names no server: a name is followed by a command or an address.")
    return found


def _take(found: Said, option: str, value: str) -> None:
    if option in _ENV:
        key, equals, text = value.partition("=")
        if not equals:
            raise Unreadable(f"`{option}` takes KEY=value.")
        found.env[key] = text
    elif option in _HEADER:
        key, colon, text = value.partition(":")
        if not colon:
            raise Unreadable(f"`{option}` takes 'Name: value'.")
        found.headers[key.strip()] = text.strip()
    elif option in _TRANSPORT:
        found.sse = value == "sse"
    elif option == "--url":
        found.address = value
    elif option == "--cwd":
        found.cwd = value
    elif option not in _VALUED:
        raise Unreadable(f"`{option}` is not known here; paste the command behind it alone.")
