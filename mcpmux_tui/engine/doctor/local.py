"""The checks of a server that is a process of this machine. Nothing of it is started."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from mcpmux_tui.engine.doctor.failed import Failed
from mcpmux_tui.engine.doctor.version import first_words, is_runner
from mcpmux_tui.model.errors import McpmuxError
from mcpmux_tui.model.inputs import looks_secret
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.spec import StdioLaunch
from mcpmux_tui.text import one_line
from mcpmux_tui.upstream.environment import child_environment, working_folder

_NAMED: Final = 5
"""Variables that are named; the others are counted."""
_SHELLS_OWN: Final = frozenset({"_", "OLDPWD", "PWD", "SHLVL"})
_WORD: Final = re.compile(r"\w+")


async def checks(
    launch: StdioLaunch, configured: StdioLaunch, source: Mapping[str, str]
) -> AsyncIterator[tuple[str, str]]:
    """The checks in order; `source` is the environment of mcpmux. Raises Failed."""
    environ = child_environment(launch, source)
    path = environ.get("PATH", os.defpath)
    found = await asyncio.to_thread(_command, launch.command, path)
    yield "command", f"{launch.command} is {found}"
    folder = await asyncio.to_thread(_folder, launch, configured)
    yield "folder", f"it starts in {folder}"
    if is_runner(launch.command):
        # Of what the entry declares, only what finds the runner's own interpreter.
        bare = child_environment(replace(launch, env={"PATH": path}), source)
        said = await asyncio.to_thread(first_words, found, bare, folder)
        yield "version", f"{Path(found).name} says {said}" if said else "it does not tell"
    yield "environment", _environment(configured, environ, source)


def _command(command: str, path: str) -> str:
    found = shutil.which(command, path=path)
    if found is None:
        folders = "\n".join(path.split(os.pathsep))
        raise Failed(
            "command",
            f"{command} is in none of these folders:\n{folders}",
            "Install it, write its whole path as `command`, or give the entry an"
            " `env = { PATH = ... }`.",
            Mend.EDIT,
        )
    return found


def _folder(launch: StdioLaunch, configured: StdioLaunch) -> Path:
    try:
        folder = working_folder(launch, configured)
    except McpmuxError as error:
        raise Failed.by("folder", error, Mend.EDIT) from error
    if not folder.is_dir():
        raise Failed("folder", f"{folder} is no folder.", "Correct `cwd` in the config.", Mend.EDIT)
    return folder


def _environment(
    configured: StdioLaunch, environ: Mapping[str, str], source: Mapping[str, str]
) -> str:
    """What mcpmux has and the server lacks: names, the likeliest to be wanted first."""
    words = set(_WORD.findall(" ".join((configured.command, *configured.args))))
    lacking = sorted(
        (
            name
            for name, value in source.items()
            if name not in environ
            and name not in _SHELLS_OWN
            and not name.startswith("MCPMUX_")
            and not value.startswith("()")
        ),
        key=lambda name: (name not in words, not _likely(name), name),
    )
    if not lacking:
        return "it gets every variable that mcpmux has"
    return (
        f"of mcpmux's own variables it does not get {_listed(lacking)};"
        " `inherit_env` or `env` of its entry passes them on"
    )


def _likely(name: str) -> bool:
    return looks_secret(name) or name.upper().endswith(("_HOME", "_PATH"))


def _listed(names: Sequence[str]) -> str:
    first = [one_line(name, 60) for name in names[:_NAMED]]
    if (more := len(names) - _NAMED) > 0:
        return f"{', '.join(first)} and {more} more"
    return " and ".join(part for part in (", ".join(first[:-1]), first[-1]) if part)
