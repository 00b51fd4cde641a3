"""The version of a program that is known to run others, by asking it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from mcpmux_tui.engine.doctor.failed import Failed
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.text import clean, one_line

_RUNNERS: Final = re.compile(r"npx|node|uvx?|python(3(\.\d{1,2})?)?|pipx|bunx?|deno|docker|podman")
_LASTS: Final = 5.0
_KILLED: Final = 1.0
_READ: Final = 4_096
_LINE: Final = 100


def is_runner(command: str) -> bool:
    """Whether `command` is known to do nothing but tell its version where it is asked for that.

    A path that begins in the working folder may be anything.
    """
    folder, name = os.path.split(command)
    return (not folder or folder.startswith(os.sep)) and _RUNNERS.fullmatch(name) is not None


def first_words(program: str, environ: Mapping[str, str], folder: Path) -> str:
    """The first line that `program --version` writes, if any. Blocks for it. Raises Failed."""
    name = Path(program).name
    try:
        asked = subprocess.Popen(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        raise _broken(program, f"{name} cannot be run: {error.strerror}.") from error
    try:
        # Nothing is read meanwhile: who writes more than a pipe holds is not waited for.
        code = asked.wait(_LASTS)
        said = _written(asked)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(asked.pid, signal.SIGKILL)
        # Even SIGKILL waits for a file system that does not answer.
        with suppress(subprocess.TimeoutExpired):
            asked.wait(_KILLED)
        raise _broken(program, f"`{name} --version` did not end within {_LASTS:g} s.") from None
    finally:
        if asked.stdout is not None:
            asked.stdout.close()
    if code != 0:
        ended = f"code {code}" if code > 0 else f"signal {-code}"
        told = f": {said}" if said else "."
        raise _broken(program, f"`{name} --version` ended with {ended}{told}")
    return said


def _written(ended: subprocess.Popen[bytes]) -> str:
    """The first line of what there is; what was left in the background may hold the pipe."""
    if ended.stdout is None:
        return ""
    os.set_blocking(ended.stdout.fileno(), False)
    try:
        data = os.read(ended.stdout.fileno(), _READ)
    except BlockingIOError:
        return ""
    lines = (one_line(each, _LINE) for each in clean(data.decode("utf-8", "replace")).splitlines())
    return next((each for each in lines if each), "")


def _broken(program: str, said: str) -> Failed:
    return Failed(
        "version",
        said,
        f"Run `{program} --version` yourself and mend that installation, or name another program"
        " as `command`.",
        Mend.EDIT,
    )
