"""Reading of the config file: TOML, or JSON in the common `mcpServers` or VS Code's form."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from mcpmux_tui.config.inputs import input_specs
from mcpmux_tui.config.schema import (
    Table,
    kind,
    server_spec,
    shown_name,
    unknown_keys,
    wrong_types,
)
from mcpmux_tui.config.statements import statements
from mcpmux_tui.config.ui import ui_settings
from mcpmux_tui.model import jsonc, textfile
from mcpmux_tui.model.errors import ConfigError
from mcpmux_tui.model.spec import Config, EntryProblem, ProxySpec, ServerSpec, VaultBackend
from mcpmux_tui.paths import shown
from mcpmux_tui.text import one_line

SIZE_LIMIT = 10 * textfile.MIB
VERSION = 1
"""Of the form of the file; a file need not name it."""
_JSON_KEYS = ("mcpServers", "servers")
_TOML_PLACE = re.compile(r"\s*\((?:at line (\d+), column (\d+)|at end of document)\)$")
_FIX = "Fix it and save; mcpmux reads the file again by itself."


class _File(Table):
    """What may stand beside the servers."""

    version: int = Field(VERSION, ge=1, description="the number of a version")
    proxy: dict[str, object] = Field({}, description="a table")
    vault: dict[str, object] = Field({}, description="a table")
    inputs: list[object] | dict[str, object] = Field([], description="a table or a list")
    ui: object = None
    keys: object = None


class _Vault(Table):
    backend: Literal["auto", "file", "session"] = Field(
        "auto", description='"auto", "file" or "session"'
    )


class _Proxy(Table):
    port: int = Field(4114, ge=0, le=65535, description="a port, 0 to 65535")
    allowed_origins: list[str] = Field([], description="a list of origins")
    sse: bool = Field(False, description="true or false")
    page_size: int = Field(0, ge=0, description="a whole number, 0 for lists in one piece")


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One server as it stands in the file."""

    name: str
    value: object
    line: int | None
    problem: str | None = None
    """What stands twice: JSON allows it, and two readers would disagree."""


@dataclass(frozen=True, slots=True)
class Document:
    """A config file whose syntax is right."""

    form: Literal["toml", "json"]
    key: str
    """Under which the servers stand."""
    servers: tuple[RawEntry, ...] = ()
    rest: Mapping[str, object] = field(default_factory=dict)
    proxy_line: int | None = None
    warnings: tuple[str, ...] = ()


def load(path: Path, *, required: bool) -> Config:
    """Return the config in `path`; a missing file that is not `required` has no servers.

    What is wrong with one entry becomes that server's problem. Raises ConfigError where the file
    as a whole cannot be used. Blocks: it reads a file.
    """
    try:
        text = textfile.read(path, SIZE_LIMIT)
    except FileNotFoundError:
        if required:
            raise ConfigError(
                f"{shown(path)} does not exist.",
                "Check the name after --config, or create the file with `mcpmux add`.",
                path=path,
            ) from None
        return Config()
    document = parse(path, text)
    folder = path.absolute().parent
    proxy, vault, warnings, rest = _around(path, document)
    inputs, wrong = input_specs(rest.inputs)
    ui, misfit = ui_settings(rest.ui, rest.keys)
    return Config(
        servers=tuple(_with_clashes(_specs(document, folder))),
        proxy=proxy,
        vault=vault,
        inputs=inputs,
        ui=ui,
        warnings=(*document.warnings, *warnings, *wrong, *misfit),
    )


def entries(path: Path) -> dict[str, dict[str, object]]:
    """Return the servers' tables as they are written, those that are none as empty ones.

    Raises ConfigError as `load` does. A missing file has none. Blocks: it reads a file.
    """
    return {entry.name: entry.value if isinstance(entry.value, dict) else {} for entry in raw(path)}


def raw(path: Path) -> tuple[RawEntry, ...]:
    """Return the servers' entries as they are written; raises and blocks as `entries` does."""
    try:
        return parse(path, textfile.read(path, SIZE_LIMIT)).servers
    except FileNotFoundError:
        return ()


def parse(path: Path, text: str) -> Document:
    """Return the parts of `text`, the content of `path`. Raises ConfigError for its syntax."""
    return _json(path, text) if is_json(path, text) else _toml(path, text)


def is_json(path: Path, text: str) -> bool:
    """Whether `text`, the content of `path`, is meant as JSON: by its name, else by its begin."""
    match path.suffix.lower():
        case ".json" | ".jsonc":
            return True
        case ".toml":
            return False
        case _:
            return jsonc.blank_comments(text).lstrip().startswith("{")


def _toml(path: Path, text: str) -> Document:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(path, text, str(error)) from None
    except (RecursionError, ValueError) as error:
        # A date or a number that no calendar or computer has ends in a plain ValueError.
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(
            f"{shown(path)} is not valid TOML: {one_line(reason)}.", _FIX, path=path
        ) from None
    servers = data.pop("servers", {})
    if not isinstance(servers, dict):
        raise ConfigError(
            f"`servers` in {shown(path)} must be a table of servers, not {kind(servers)}.",
            "Write each server as a table: [servers.NAME].",
            path=path,
        )
    lines: dict[str, int] = {}
    inline: int | None = None
    proxy_line: int | None = None
    for statement in statements(text):
        if len(statement.path) > 1 and statement.path[0] == "servers":
            lines.setdefault(statement.path[1], statement.line)
        elif statement.path == ("servers",):
            inline = statement.line
        elif statement.path[0] == "proxy":
            proxy_line = proxy_line or statement.line
    raw = tuple(RawEntry(name, value, lines.get(name, inline)) for name, value in servers.items())
    return Document("toml", "servers", raw, data, proxy_line)


def _toml_error(path: Path, text: str, message: str) -> ConfigError:
    place = _TOML_PLACE.search(message)
    reason = one_line(message[: place.start()] if place else message, 200)
    line = int(place[1]) if place and place[1] else text.count("\n") + 1
    column = f", column {place[2]}" if place and place[2] else ""
    return ConfigError(
        f"{shown(path)} is not valid TOML: line {line}{column}: {reason}.",
        _FIX,
        path=path,
        line=line,
    )


def _json(path: Path, text: str) -> Document:
    try:
        value = jsonc.loads(text)
        if not isinstance(value, dict):
            raise jsonc.NotJson(f"it must be an object, not {kind(value)}")
        plain = jsonc.blank(text)
        top: dict[str, jsonc.Member] = {}
        for member in jsonc.members(plain):
            if member.key in top:
                at = plain.count("\n", 0, member.key_at) + 1
                raise jsonc.NotJson(f"`{shown_name(member.key)}` stands twice", at)
            top[member.key] = member
        key = next((key for key in _JSON_KEYS if key in value), _JSON_KEYS[0])
        servers = value.pop(key, {})
        if not isinstance(servers, dict):
            at = plain.count("\n", 0, top[key].value_at) + 1
            raise jsonc.NotJson(f"`{key}` must be an object of servers, not {kind(servers)}", at)
        raw = tuple(_json_entries(plain, top[key].value_at)) if key in top else ()
    except jsonc.NotJson as error:
        raise ConfigError(
            f"{shown(path)} is not valid JSON: {one_line(str(error), 200)}.",
            _FIX,
            path=path,
            line=error.line,
        ) from None
    proxy_line = plain.count("\n", 0, top["proxy"].key_at) + 1 if "proxy" in top else None
    warnings = []
    if key not in top:
        warnings.append("Neither `mcpServers` nor `servers` stands in the file: it has no servers.")
    if value.pop("servers", None) is not None:
        warnings.append("Both `mcpServers` and `servers` stand in the file; `servers` is not read.")
    value.pop("$schema", None)
    return Document("json", key, raw, value, proxy_line, tuple(warnings))


def _json_entries(plain: str, at: int) -> Iterator[RawEntry]:
    first: dict[str, int] = {}
    line, counted = 1, 0
    for member in jsonc.members(plain, at):
        line += plain.count("\n", counted, member.key_at)
        counted = member.key_at
        problem = _repeated_key(plain, member)
        if member.key in first:
            problem = f"The name stands twice, first on line {first[member.key]}; rename one."
        first.setdefault(member.key, line)
        yield RawEntry(member.key, member.value, line, problem)


def _repeated_key(plain: str, entry: jsonc.Member) -> str | None:
    keys: set[str] = set()
    for member in jsonc.members(plain, entry.value_at):
        if member.key in keys:
            return f"`{shown_name(member.key)}` stands twice in it; remove one."
        keys.add(member.key)
    return None


def _around(path: Path, document: Document) -> tuple[ProxySpec, VaultBackend, Iterator[str], _File]:
    model: type[Table] = _File
    try:
        rest = _File.model_validate(dict(document.rest))
        model = _Proxy
        proxy = _Proxy.model_validate(rest.proxy)
        model = _Vault
        vault = _Vault.model_validate(rest.vault)
    except ValidationError as error:
        line = document.proxy_line if model is _Proxy else None
        table = {_Proxy: "[proxy] in ", _Vault: "[vault] in "}.get(model, "")
        place = f"{table}{shown(path)}"
        where = f"{place}, line {line}" if line else place
        raise ConfigError(
            f"{where}: {wrong_types(model, error)}", _FIX, path=path, line=line
        ) from None
    spec = ProxySpec(proxy.port, tuple(proxy.allowed_origins), proxy.page_size, proxy.sse)
    return spec, vault.backend, _warnings(rest, proxy, vault), rest


def _warnings(rest: _File, proxy: _Proxy, vault: _Vault) -> Iterator[str]:
    if rest.version > VERSION:
        yield (
            f"The config is of version {rest.version}, newer than this mcpmux, which reads what it"
            " understands and changes nothing in it."
        )
    yield from unknown_keys(rest, "")
    yield from unknown_keys(proxy, " in `[proxy]`")
    yield from unknown_keys(vault, " in `[vault]`")
    for origin in proxy.allowed_origins:
        try:
            parts = urlsplit(origin)
            exact = f"{parts.scheme}://{parts.netloc}" == origin and bool(parts.netloc)
        except ValueError:
            exact = False
        if not exact:
            yield (
                f"`{one_line(origin, 80)}` in `allowed_origins` can never match: an origin is"
                " scheme://host or scheme://host:port."
            )


def _specs(document: Document, folder: Path) -> Iterator[ServerSpec]:
    taken: set[str] = set()
    for entry in document.servers:
        spec = server_spec(entry.name, entry.value, folder=folder, line=entry.line)
        if entry.problem is not None:
            spec = replace(spec, launch=None, problem=EntryProblem(entry.problem, entry.line))
        name = shown_name(entry.name)
        while name in taken:
            name += "'"
        taken.add(name)
        yield replace(spec, name=name)


def _with_clashes(specs: Iterator[ServerSpec]) -> Iterator[ServerSpec]:
    first: dict[str, str] = {}
    for spec in specs:
        prefix = spec.name if spec.prefix is None else spec.prefix
        public = re.sub(r"[^A-Za-z0-9_-]", "-", prefix)
        if public and spec.enabled and spec.launch is not None:
            if public in first:
                warning = (
                    f"Its tools' names begin with `{public}__` as those of `{first[public]}` do;"
                    ' give it its own, such as `prefix = "..."`.'
                )
                spec = replace(spec, warnings=(*spec.warnings, warning))
            first.setdefault(public, spec.name)
        yield spec
