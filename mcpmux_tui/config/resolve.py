"""Filling of placeholders from the environment; values go to the server alone, never to a log."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mcpmux_tui.config.check import launch_problem
from mcpmux_tui.config.placeholders import Source, fill
from mcpmux_tui.model.errors import ConfigError, InputMissing
from mcpmux_tui.model.spec import HttpLaunch, Launch, StdioLaunch

_SECRET = "MCPMUX_SECRET_"  # noqa: S105 - the prefix of a variable's name
_NOT_IN_VARIABLE = re.compile(r"[^A-Za-z0-9_]")


class EnvironmentValues:
    """Fills placeholders from `environ`; MCPMUX_SECRET_<NAME> is the source of secrets.

    `completed` tells the environment to use in its place, once it is known.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        completed: Callable[[], Awaitable[Mapping[str, str]]] | None = None,
    ) -> None:
        self._environ = environ
        self._completed = completed

    def environment(self) -> Mapping[str, str]:
        """The environment itself; what a launch was last resolved with."""
        return self._environ

    async def resolve(self, launch: Launch) -> Launch:
        """Return `launch` filled, with `~` in `command` and `cwd` as the home folder.

        Raises InputMissing with all names that have no value; ConfigError where the values make
        an address or a header that cannot be used.
        """
        if self._completed is not None:
            self._environ = await self._completed()
        missing: list[str] = []
        variables: dict[str, str] = {}

        def lookup(source: Source, name: str) -> str | None:
            variables[name] = name if source in {"", "env"} else _SECRET + _exportable(name)
            return self._lookup(source, name)

        def filled(text: str) -> str:
            value, names = fill(text, lookup)
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
                    headers={name: filled(text) for name, text in launch.headers.items()},
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
            raise InputMissing(names, tuple(variables[name] for name in names))
        if problem := launch_problem(resolved):
            raise ConfigError(
                f"With its placeholders filled, this server cannot be used: {problem}",
                "Check the values its placeholders stand for.",
            )
        return resolved

    def _lookup(self, source: Source, name: str) -> str | None:
        if source in {"", "env"} and (value := self._environ.get(name)) is not None:
            return value
        if source == "env":
            return None
        exportable = self._environ.get(_SECRET + _exportable(name))
        return self._environ.get(_SECRET + name, exportable)

    def _at_home(self, text: str) -> str:
        if text != "~" and not text.startswith("~/"):
            return text
        return (self._environ.get("HOME") or str(Path.home())) + text[1:]


def _exportable(name: str) -> str:
    """`name` as a shell can export it: none can export MCPMUX_SECRET_api-key."""
    return _NOT_IN_VARIABLE.sub("_", name)
