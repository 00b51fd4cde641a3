"""One entry of the config: the keys it may have, and the spec they make."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcpmux_tui.config.check import launch_problem, name_problem, plain_http_host
from mcpmux_tui.config.placeholders import of_an_editor, references, strays, too_deep
from mcpmux_tui.config.plain import plain_secrets
from mcpmux_tui.config.resolve import texts
from mcpmux_tui.model.inputs import looks_secret
from mcpmux_tui.model.spec import (
    Deadlines,
    EntryProblem,
    HttpLaunch,
    Launch,
    OAuthSpec,
    ServerSpec,
    StdioLaunch,
    ToolFilter,
)
from mcpmux_tui.text import one_line

_STDIO_KEYS = ("args", "env", "cwd", "inherit_env", "instances", "envFile")
_REMOTE_KEYS = ("headers", "transport", "oauth")
_TRANSPORTS: Final[Mapping[str, Literal["auto", "http", "sse"]]] = {
    "auto": "auto",
    "http": "http",
    "streamable-http": "http",
    "streamableHttp": "http",
    "sse": "sse",
}
_OUT_OF_RANGE = frozenset(
    {"greater_than", "greater_than_equal", "less_than_equal", "finite_number"}
)
_SHOWN = 60
_NAME = 200
_WARNED = 8


class Table(BaseModel):
    """A table of the config; a field's description completes "must be ..."."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)


class ToolsTable(Table):
    """`tools`: globs over a server's own tool names."""

    allow: list[str] = ["*"]
    deny: list[str] = []


_SECONDS = Field(None, gt=0, allow_inf_nan=False, description="a number of seconds above 0")


class DeadlineTable(Table):
    """`deadlines`: the phases of a connection."""

    connect: float | None = _SECONDS
    start: float | None = _SECONDS
    list: float | None = _SECONDS
    call: float | None = _SECONDS


class OAuthTable(Table):
    """`oauth`: the client that this server's authorization server knows, and what to ask for."""

    client_id: str = ""
    client_secret: str = ""
    client_metadata_url: str = ""
    scopes: list[str] = []
    allow_missing_pkce_metadata: bool = False


class Entry(Table):
    """A server's table: mcpmux's keys, and those of the JSON forms (`type`, `disabled`)."""

    command: str | None = Field(None, description="text")
    args: list[str] = Field([], description="a list of texts")
    env: dict[str, str | None] = Field({}, description="a table of texts")
    cwd: str | None = Field(None, description="text")
    inherit_env: bool | list[str] = Field(False, description="true, false or a list of names")
    instances: str = Field("shared", description='"shared" or "per-client"')
    envFile: str | None = Field(None, description="text")
    url: str | None = Field(None, description="text")
    headers: dict[str, str | None] = Field({}, description="a table of texts")
    transport: str | None = Field(None, description='"auto", "http" or "sse"')
    type: str | None = Field(None, description='"stdio", "http" or "sse"')
    oauth: OAuthTable = Field(
        default_factory=OAuthTable,
        description="a table of texts: client_id, client_secret, client_metadata_url, and a list:"
        " scopes",
    )
    enabled: bool | None = Field(None, description="true or false")
    disabled: bool = Field(False, description="true or false")
    prefix: str | None = Field(None, description="text")
    tools: ToolsTable = Field(
        default_factory=ToolsTable, description="a table with the lists `allow` and `deny`"
    )
    timeout: float = Field(
        300.0, ge=0, allow_inf_nan=False, description="a number of seconds, 0 for no limit"
    )
    concurrency: int = Field(32, ge=1, description="a whole number above 0")
    instructions: bool = Field(False, description="true or false")
    deadlines: DeadlineTable = Field(
        default_factory=DeadlineTable,
        description="a table of seconds above 0: connect, start, list, call",
    )


class _Refused(Exception):
    """An entry cannot be used; the text says why."""


def server_spec(name: str, value: object, *, folder: Path, line: int | None = None) -> ServerSpec:
    """Return the spec of one entry; what is wrong with it becomes its `problem`.

    `folder` is the config file's: a relative `cwd` starts there.
    """
    try:
        if problem := name_problem(name):
            raise _Refused(problem)
        entry = _entry(value)
        launch = _launch(entry, folder)
    except _Refused as refused:
        return ServerSpec(
            name=name,
            launch=None,
            problem=EntryProblem(str(refused), line),
            enabled=not _switched_off(value),
        )
    return ServerSpec(
        name=name,
        launch=launch,
        enabled=entry.enabled if entry.enabled is not None else not entry.disabled,
        prefix=entry.prefix,
        tools=ToolFilter(tuple(entry.tools.allow), tuple(entry.tools.deny)),
        timeout=entry.timeout,
        deadlines=Deadlines(
            entry.deadlines.connect,
            entry.deadlines.start,
            entry.deadlines.list,
            entry.deadlines.call,
        ),
        concurrency=entry.concurrency,
        instructions=entry.instructions,
        per_client=entry.instances == "per-client",
        warnings=(*_warnings(entry, launch), *_in_plain_text(name, launch)),
    )


def shown_name(name: str) -> str:
    """`name` as it may stand in a sentence or a row, whatever it holds."""
    if name and one_line(name, _NAME) == name:
        return name
    return one_line(ascii(name), _SHOWN)


def unknown_keys(table: Table, where: str) -> Iterator[str]:
    """Yield a warning for each key of `table` that nobody knows, up to a few."""
    unknown = list(table.model_extra or {})
    for key in unknown[:_WARNED]:
        near = difflib.get_close_matches(key[:_SHOWN], type(table).model_fields, 1)
        meant = f"; did you mean `{near[0]}`?" if near else "; it is kept and not used."
        yield f"Unknown key `{shown_name(key)}`{where}{meant}"
    if len(unknown) > _WARNED:
        yield f"{len(unknown) - _WARNED} more unknown keys{where}."


def _entry(value: object) -> Entry:
    if not isinstance(value, dict):
        raise _Refused(f"It must be a table with `command` or `url`, not {kind(value)}.")
    try:
        return Entry.model_validate({key: item for key, item in value.items() if item is not None})
    except ValidationError as error:
        raise _Refused(wrong_types(Entry, error)) from None


def wrong_types(model: type[Table], error: ValidationError) -> str:
    """Say in one sentence what is wrong with a table, without any of its values."""
    first = error.errors(include_url=False, include_context=False)[0]
    top = str(first["loc"][0])
    sentence = f"`{top}` must be {model.model_fields[top].description}"
    # A number out of range has the right kind; an error in a union names no single place.
    if first["type"] in _OUT_OF_RANGE or top == "inherit_env":
        return f"{sentence}."
    if len(first["loc"]) == 1:
        return f"{sentence}, not {kind(first['input'])}."
    path = ".".join(shown_name(str(step)) for step in first["loc"])
    return f"{sentence}; `{path}` is {kind(first['input'])}."


def kind(value: object) -> str:
    """What `value` is, in the words of the config's reader."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def _launch(entry: Entry, folder: Path) -> Launch:
    form = entry.transport or entry.type or ("auto" if entry.command is None else "stdio")
    if entry.command is not None and entry.url is not None:
        raise _Refused("It has both `command` and `url`; keep the one that is meant.")
    launch: Launch
    if entry.command is not None:
        if form != "stdio":
            raise _Refused("`command` starts a stdio server; for another transport give `url`.")
        launch = StdioLaunch(
            command=entry.command,
            args=tuple(entry.args),
            env=_frozen(entry.env),
            cwd=_folder(entry.cwd, folder),
            inherit_env=(
                entry.inherit_env
                if isinstance(entry.inherit_env, bool)
                else tuple(entry.inherit_env)
            ),
        )
    elif entry.url is not None:
        if form not in _TRANSPORTS:
            raise _Refused(f'Unknown transport `{shown_name(form)}`; use "auto", "http" or "sse".')
        launch = HttpLaunch(
            entry.url,
            _frozen(entry.headers),
            _TRANSPORTS[form],
            OAuthSpec(
                entry.oauth.client_id,
                entry.oauth.client_secret,
                entry.oauth.client_metadata_url,
                tuple(entry.oauth.scopes),
                entry.oauth.allow_missing_pkce_metadata,
            ),
        )
    else:
        raise _Refused(
            "It has no `command` (a program to start) and no `url` (an address); add one of them."
        )
    if entry.instances not in {"shared", "per-client"}:
        raise _Refused(
            f'Unknown `instances` `{shown_name(entry.instances)}`; use "shared" or "per-client".'
        )
    if problem := launch_problem(launch):
        raise _Refused(problem)
    for _, text, _ in texts(launch):
        if editors := of_an_editor(text):
            raise _Refused(
                f"`{one_line(editors, 60)}` is filled by an editor, which has a folder open; mcpmux"
                " has none. Write the path itself."
            )
        if too_deep(text):
            raise _Refused("It has defaults within defaults, more than ten deep.")
    return launch


def _frozen(values: dict[str, str | None]) -> Mapping[str, str]:
    # JSON's null is no value: as if the key were not there.
    return MappingProxyType({name: text for name, text in values.items() if text is not None})


def _folder(cwd: str | None, folder: Path) -> str | None:
    if not cwd:
        return None
    return cwd if cwd.startswith(("~", "$")) else str(folder / cwd)


def _switched_off(value: object) -> bool:
    return isinstance(value, dict) and (
        value.get("enabled") is False or (value.get("disabled") is True and "enabled" not in value)
    )


def _warnings(entry: Entry, launch: Launch) -> Iterator[str]:
    yield from unknown_keys(entry, "")
    yield from unknown_keys(entry.tools, " in `tools`")
    yield from unknown_keys(entry.deadlines, " in `deadlines`")
    other, needs = (
        (_REMOTE_KEYS, "url") if isinstance(launch, StdioLaunch) else (_STDIO_KEYS, "command")
    )
    for key in sorted(entry.model_fields_set.intersection(other), key=other.index):
        if key != "transport":
            yield f"`{key}` goes with `{needs}`; it is not used."
    if isinstance(launch, StdioLaunch):
        if any(secret for text in (launch.command, *launch.args) for secret in _secrets(text)):
            yield (
                "`args` hold a secret: other programs on this machine can read arguments. Use `env`"
                " where the server takes it."
            )
        if entry.envFile is not None:
            yield "`envFile` is not read; put its variables in `env`."
    else:
        yield from unknown_keys(entry.oauth, " in `oauth`")
        if launch.brings_authorization and "oauth" in entry.model_fields_set:
            yield "`oauth` is not used: the `Authorization` header says who asks."
        if host := plain_http_host(launch.url):
            yield f"The connection to {one_line(host)} is not encrypted; use https:// if it can."
    for stray in sorted({stray for _, text, _ in texts(launch) for stray in strays(text)}):
        yield f"`{one_line(stray)}` is no placeholder of mcpmux; it is passed on as written."


def _in_plain_text(name: str, launch: Launch) -> Iterator[str]:
    if places := [each.where for each in plain_secrets(name, launch)]:
        named = ", ".join(f"`{shown_name(place)}`" for place in places[:_WARNED])
        more = f" and {len(places) - _WARNED} more" if len(places) > _WARNED else ""
        are, them = ("is a secret", "it") if len(places) == 1 else ("are secrets", "them")
        yield f"{named}{more} {are} in plain text; `To keyring` on the screen moves"
        f" {them} to the keyring."


def _secrets(text: str) -> Iterator[str]:
    """The names of secrets that `text` refers to."""
    for reference in references(text):
        if reference.source == "secret" or looks_secret(reference.name):
            yield reference.name
