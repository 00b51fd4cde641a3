"""Filling of placeholders; values go to the server alone, never to a log.

One resolver for the start, a reload, the commands and the form that asks for what is missing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from mcpmux_tui.config.check import launch_problem
from mcpmux_tui.config.placeholders import (
    DEPTH,
    HOME,
    Reference,
    Source,
    fill,
    references,
)
from mcpmux_tui.model.errors import ConfigError, InputMissing, VaultError
from mcpmux_tui.model.inputs import InputSpec, looks_secret
from mcpmux_tui.model.ports import Stored
from mcpmux_tui.model.secret import Secret
from mcpmux_tui.model.spec import HttpLaunch, Launch, StdioLaunch

_SECRET: Final = "MCPMUX_SECRET_"  # noqa: S105 - the prefix of a variable's name
_NOT_IN_VARIABLE: Final = re.compile(r"[^A-Za-z0-9_]")

Origin = Literal["environment", "stored", "default", ""]
"""Where a value comes from; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value a launch needs, as a person should see it; the value itself is not in it."""

    name: str
    source: Source
    where: tuple[str, ...]
    """Where it goes, such as "env.API_KEY"."""
    required: bool
    secret: bool
    origin: Origin
    stored: bool
    """Somebody gave one, though the environment may outrank it."""
    in_environment: bool
    """A variable of this name could be used instead of typing it."""
    spec: InputSpec | None = None


class _Nothing:
    """Implements Stored where nobody gave any value."""

    async def value(self, name: str) -> str | None:
        """None."""
        return None


class Resolver:
    """Implements Values. `stored` has what people gave, `inputs` what the config says of them;
    MCPMUX_SECRET_<NAME> in `environ` is a source of ${secret:NAME}. A blank value is none. `hide`
    is told every secret before it is used, for the redactor.

    `completed` tells the environment to use in place of `environ`, once it is known.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        stored: Stored | None = None,
        inputs: Callable[[], Mapping[str, InputSpec]] = dict,
        hide: Callable[[Secret], None] = lambda _: None,
        completed: Callable[[], Awaitable[Mapping[str, str]]] | None = None,
    ) -> None:
        self._environ = environ
        self._stored = stored or _Nothing()
        self._inputs = inputs
        self._hide = hide
        self._completed = completed

    def environment(self) -> Mapping[str, str]:
        """The environment itself; what a launch was last resolved with."""
        return self._environ

    async def resolve(self, launch: Launch) -> Launch:
        """Return `launch` filled, with `~` in `command` and `cwd` as the home folder.

        Raises InputMissing with all names that have no value; ConfigError where the values make
        an address or a header that cannot be used, or inputs refer to each other in a circle.
        """
        if self._completed is not None:
            self._environ = await self._completed()
        inputs = self._inputs()
        given = await self._given(launch, inputs)
        missing: list[str] = []
        variables: dict[str, str] = {}
        sources: dict[str, set[Source]] = {}

        def lookup(source: Source, name: str) -> str | None:
            sources.setdefault(name, set()).add(source)
            variables[name] = name if source in {"", "env"} else _SECRET + _exportable(name)
            value = self._lookup(source, name, given, inputs, ())
            if value is not None and _is_secret(source, name, inputs):
                self._hide(Secret(value))
            return value

        def filled(text: str, *, templates: bool = False) -> str:
            value, names = fill(text, lookup, templates=templates)
            missing.extend(names)
            return value

        resolved: Launch
        match launch:
            case StdioLaunch():
                resolved = StdioLaunch(
                    command=self._at_home(filled(launch.command)),
                    args=tuple(filled(text) for text in launch.args),
                    env={name: filled(text) for name, text in launch.env.items()},
                    cwd=None if launch.cwd is None else self._at_home(filled(launch.cwd)),
                    inherit_env=launch.inherit_env,
                )
            case HttpLaunch():
                resolved = HttpLaunch(
                    url=filled(launch.url),
                    headers={
                        name: filled(text, templates=True) for name, text in launch.headers.items()
                    },
                    transport=launch.transport,
                    oauth=replace(
                        launch.oauth,
                        client_id=filled(launch.oauth.client_id),
                        client_secret=filled(launch.oauth.client_secret),
                        client_metadata_url=filled(launch.oauth.client_metadata_url),
                    ),
                )
        if missing:
            names = tuple(dict.fromkeys(missing))
            fixed = tuple(name for name in names if "env" in sources[name])
            raise InputMissing(names, tuple(variables[name] for name in names), fixed=fixed)
        self._hide_literals(resolved)
        if problem := launch_problem(resolved):
            raise ConfigError(
                f"With its placeholders filled, this server cannot be used: {problem}",
                "Check the values its placeholders stand for.",
            )
        return resolved

    def _hide_literals(self, launch: Launch) -> None:
        """Secrets that stand in the config as they are."""
        pairs = launch.env if isinstance(launch, StdioLaunch) else launch.headers
        for name, value in pairs.items():
            if looks_secret(name):
                self._hide(Secret(value))
                self._hide(Secret(value.partition(" ")[2]))
        if isinstance(launch, HttpLaunch):
            self._hide(Secret(launch.oauth.client_secret))

    async def values(self, launch: Launch) -> tuple[Value, ...]:
        """Everything `launch` refers to, in order of use; the home folder is no value.

        Raises VaultError.
        """
        inputs = self._inputs()
        given = await self._read(_names(launch, inputs))
        found: dict[str, Value] = {}
        for where, text, templates in texts(launch):
            for reference in references(text, templates=templates):
                if reference.source == "" and reference.name == HOME:
                    continue
                value = self._value(reference, where, given, inputs)
                before = found.get(reference.name)
                if before is not None:
                    value = replace(
                        before,
                        where=(*before.where, *(w for w in value.where if w not in before.where)),
                        required=before.required or value.required,
                        secret=before.secret or value.secret,
                    )
                found[reference.name] = value
        return tuple(found.values())

    def _value(
        self,
        reference: Reference,
        where: str,
        given: Mapping[str, str],
        inputs: Mapping[str, InputSpec],
    ) -> Value:
        source, name = reference.source, reference.name
        spec = inputs.get(name) if source == "input" else None
        in_environment = self._from_environment(source, name) is not None
        stored = source != "env" and name in given
        origin: Origin = "environment" if in_environment else "stored" if stored else ""
        has_default = reference.default is not None or (
            spec is not None and (spec.default is not None or not spec.required)
        )
        if not origin and has_default:
            origin = "default"
        return Value(
            name=name,
            source=source,
            where=(where,),
            required=not has_default,
            secret=_is_secret(source, name, inputs),
            origin=origin,
            stored=stored,
            in_environment=_filled(self._environ.get(name)) is not None,
            spec=spec,
        )

    async def _given(self, launch: Launch, inputs: Mapping[str, InputSpec]) -> Mapping[str, str]:
        """What people gave of what `launch` needs and the environment lacks."""
        names = {
            name: source
            for name, source in _names(launch, inputs).items()
            if self._from_environment(source, name) is None
        }
        try:
            return await self._read(names)
        except VaultError as error:
            variables = tuple(_SECRET + _exportable(name) for name in names)
            raise InputMissing(tuple(names), variables, trouble=error) from error

    async def _read(self, names: Mapping[str, Source]) -> Mapping[str, str]:
        wanted = [name for name, source in names.items() if source != "env"]
        values = await asyncio.gather(*(self._stored.value(name) for name in wanted))
        return {
            name: value
            for name, value in zip(wanted, values, strict=True)
            if _filled(value) is not None and value is not None
        }

    def _lookup(
        self,
        source: Source,
        name: str,
        given: Mapping[str, str],
        inputs: Mapping[str, InputSpec],
        within: tuple[str, ...],
    ) -> str | None:
        if source == "" and name == HOME:
            return self._home
        found = self._from_environment(source, name)
        if found is None and source != "env":
            found = given.get(name)
        spec = inputs.get(name) if source == "input" else None
        if spec is None:
            return found
        if found is not None:
            if problem := spec.problem(found):
                raise ConfigError(f"The value of ${{input:{name}}} does not fit. {problem}")
            return found
        if spec.default is None:
            return None if spec.required else ""
        if name in within or len(within) >= DEPTH:
            circle = " -> ".join((*within, name))
            raise ConfigError(
                f"The defaults in `inputs` refer to each other in a circle: {circle}.",
                "Give one of them a plain default.",
            )
        value, missing = fill(
            spec.default,
            lambda inner, other: self._lookup(inner, other, given, inputs, (*within, name)),
        )
        return None if missing else value

    def _from_environment(self, source: Source, name: str) -> str | None:
        if source in {"", "env"} and (value := _filled(self._environ.get(name))) is not None:
            return value
        if source == "env":
            return None
        told = self._environ.get(_SECRET + name, self._environ.get(_SECRET + _exportable(name)))
        return _filled(told)

    @property
    def _home(self) -> str:
        return self._environ.get("HOME") or str(Path.home())

    def _at_home(self, text: str) -> str:
        if text != "~" and not text.startswith("~/"):
            return text
        return self._home + text[1:]


def names_in(launch: Launch, inputs: Mapping[str, InputSpec]) -> frozenset[str]:
    """The names under which somebody may give what `launch` needs."""
    return frozenset(name for name, source in _names(launch, inputs).items() if source != "env")


def texts(launch: Launch) -> Iterator[tuple[str, str, bool]]:
    """Where a launch may hold placeholders: a key, its text, and whether it takes templates."""
    match launch:
        case StdioLaunch(command, args, env, cwd):
            yield "command", command, False
            for text in args:
                yield "args", text, False
            for name, text in env.items():
                yield f"env.{name}", text, False
            yield "cwd", cwd or "", False
        case HttpLaunch(url, headers, _, oauth):
            yield "url", url, False
            for name, text in headers.items():
                yield f"headers.{name}", text, True
            yield "oauth.client_id", oauth.client_id, False
            yield "oauth.client_secret", oauth.client_secret, False
            yield "oauth.client_metadata_url", oauth.client_metadata_url, False


def _names(launch: Launch, inputs: Mapping[str, InputSpec]) -> dict[str, Source]:
    """Every name that `launch` needs, what the defaults of inputs need included."""
    found: dict[str, Source] = {}
    todo: list[Iterable[Reference]] = [
        references(text, templates=templates) for _, text, templates in texts(launch)
    ]
    while todo:
        for reference in todo.pop(0):
            if reference.name in found:
                continue
            found[reference.name] = reference.source
            spec = inputs.get(reference.name) if reference.source == "input" else None
            if spec is not None and spec.default is not None:
                todo.append(references(spec.default))
    found.pop(HOME, None)
    return found


def _is_secret(source: Source, name: str, inputs: Mapping[str, InputSpec]) -> bool:
    """Whether nobody but its server should see a value; an input nobody described may be one."""
    if source == "input" and (spec := inputs.get(name)) is not None:
        return spec.secret
    return source in {"secret", "input"} or looks_secret(name)


def _filled(value: str | None) -> str | None:
    """The value; a blank one is none."""
    return value if value is not None and value.strip() else None


def _exportable(name: str) -> str:
    """`name` as a shell can export it: none can export MCPMUX_SECRET_api-key."""
    return _NOT_IN_VARIABLE.sub("_", name)
