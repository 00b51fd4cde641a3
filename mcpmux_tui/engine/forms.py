"""A server's entry as a form, and back: only what a person changed becomes a change.

Secrets in plain text, and what cannot be shown on one line, are hidden in it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from mcpmux_tui.config.edit import Changes
from mcpmux_tui.config.plain import plain_secret
from mcpmux_tui.config.schema import server_spec
from mcpmux_tui.control.protocol import HIDDEN, EntryForm
from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.spec import HttpLaunch
from mcpmux_tui.text import acting, exact, one_line

Entry = Mapping[str, object]

_ADDRESS: Final = re.compile(r"https?://", re.IGNORECASE)
_KEPT: Final = (
    "What is hidden stays only where its whole text stays. Put it back, or write the value anew,"
    " such as ${secret:NAME}."
)


class Refused(ValueError):
    """What a field holds cannot be; `field` is its name."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


def form_of(server: str, entry: Entry, folder: Path, *, copy_of: bool, name: str) -> EntryForm:
    """The form of an entry that can be used. Raises ControlError for another."""
    spec = server_spec(server, dict(entry), folder=folder)
    if spec.problem is not None:
        raise ControlError(
            f"The entry of {server} cannot be shown as a form. {spec.problem.reason}",
            "`Edit file` on the screen opens the file in your editor.",
        )
    remote = isinstance(spec.launch, HttpLaunch)
    if remote:
        target, separator = shown(server, "url", str(entry["url"])), ": "
    else:
        target, separator = shlex.join(shown(server, *each) for each in _words(entry)), "="
    pairs = _shown_pairs(server, entry, "headers" if remote else "env")
    if odd := next((key for key in pairs if exact(key) != key), ""):
        raise ControlError(
            f"The entry of {server} cannot be shown as a form: the name `{one_line(odd, 40)}` holds"
            " a character that acts or hides.",
            "`Edit file` on the screen opens the file in your editor.",
        )
    return EntryForm(
        server=server,
        copy_of=copy_of,
        seen=digest(entry),
        remote=remote,
        name=name,
        target=target,
        pairs="\n".join(f"{key}{separator}{value}" for key, value in pairs.items()),
        cwd=shown(server, "cwd", str(entry.get("cwd") or "")),
        enabled=spec.enabled,
    )


def changes(form: EntryForm, entry: Entry, folder: Path) -> Changes:
    """What `form` changes in the entry it was made from. Raises Refused, ControlError."""
    before = form_of(form.server, entry, folder, copy_of=form.copy_of, name=form.name)
    if form.seen != before.seen:
        raise ControlError(
            f"The entry of {form.server} was changed since it was shown.",
            "Open it again; nothing was saved.",
        )
    changed: dict[tuple[str, ...], JsonValue] = {}
    if form.target.strip() != before.target:
        changed |= _target(form, entry)
    table = "headers" if form.remote else "env"
    known = _shown_pairs(form.server, entry, table)
    pairs = _pairs(form)
    for key, value in pairs.items():
        if known.get(key) != value:
            changed[table, key] = _new("pairs", value)
    for key in known.keys() - pairs.keys():
        changed[table, key] = None
    if form.cwd.strip() != before.cwd and not form.remote:
        changed["cwd",] = _new("cwd", form.cwd.strip()) or None
    if form.enabled is not before.enabled:
        if "disabled" in entry:
            changed["disabled",] = not form.enabled
        if "enabled" in entry or "disabled" not in entry:
            changed["enabled",] = form.enabled
    return changed


def shown(server: str, where: str, text: str) -> str:
    """A text of an entry as it may be shown and edited."""
    if exact(text) != text or HIDDEN in text:
        return HIDDEN
    plain = plain_secret(server, where, text)
    return text if plain is None else plain.text.replace(f"${{secret:{plain.name}}}", HIDDEN)


def digest(entry: Entry) -> str:
    """Names exactly this entry."""
    whole = json.dumps(entry, sort_keys=True, default=str)
    return hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()[:16]


def _words(entry: Entry) -> Iterator[tuple[str, str]]:
    yield "command", str(entry["command"])
    args = entry.get("args")
    for arg in args if isinstance(args, list) else ():
        yield "args", str(arg)


def _shown_pairs(server: str, entry: Entry, table: str) -> dict[str, str]:
    found = entry.get(table)
    return {
        str(key): shown(server, f"{table}.{key}", str(value))
        for key, value in (found.items() if isinstance(found, dict) else ())
        if value is not None
    }


def _target(form: EntryForm, entry: Entry) -> dict[tuple[str, ...], JsonValue]:
    text = form.target.strip()
    if form.remote:
        return {("url",): _new("target", text)}
    try:
        words = shlex.split(text)
    except ValueError:
        raise Refused("target", "A quote is opened in it and not closed.") from None
    if not words or not words[0].strip():
        raise Refused("target", "It is empty.")
    if _ADDRESS.match(words[0]):
        raise Refused("target", "An address is another kind of server: add it as one of its own.")
    hidden: dict[str, list[str]] = {}
    for where, word in _words(entry):
        if (masked := shown(form.server, where, word)) != word:
            hidden.setdefault(masked, []).append(word)
    written = [hidden[word].pop(0) if hidden.get(word) else _new("target", word) for word in words]
    changed: dict[tuple[str, ...], JsonValue] = {}
    if written[0] != entry["command"]:
        changed["command",] = written[0]
    if written[1:] != (entry.get("args") or []):
        args: list[JsonValue] = [*written[1:]]
        changed["args",] = args or None
    return changed


def _pairs(form: EntryForm) -> dict[str, str]:
    separator, shape = (":", "Name: value") if form.remote else ("=", "KEY=value")
    pairs: dict[str, str] = {}
    for number, line in enumerate(form.pairs.splitlines(), 1):
        if not line.strip():
            continue
        key, found, value = line.partition(separator)
        key = key.strip()
        if not found or not key:
            raise Refused("pairs", f"Line {number} is not of the form {shape}.")
        if key in pairs:
            raise Refused("pairs", f"`{key}` stands twice.")
        pairs[key] = value.strip() if form.remote else value
    return pairs


def _new(field: str, text: str) -> str:
    """A text that a person wrote. Raises Refused."""
    if HIDDEN in text:
        raise Refused(field, _KEPT)
    if escaped := acting(text):
        raise Refused(field, f"It holds a character that acts or hides: {escaped}.")
    return text
