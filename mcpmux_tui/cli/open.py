"""`mcpmux` and `mcpmux --demo`: the terminal UI, on a running engine or on one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcpmux_tui import paths
from mcpmux_tui.cli.common import run
from mcpmux_tui.control.client import Client
from mcpmux_tui.engine.instance import Options
from mcpmux_tui.engine.spawn import EngineProcess
from mcpmux_tui.model.errors import AlreadyRunning, McpmuxError, NoEngine, UsageError

if TYPE_CHECKING:
    from mcpmux_tui.engine.instance import Instance
    from mcpmux_tui.ui.app import Left

_ATTACH_LIMIT = 10.0
_GOES_ON = "mcpmux goes on in the background: `mcpmux` opens it again, `mcpmux stop` ends it."


def open_instance(instance: Instance, *, port: int | None, auth: bool) -> int:
    """Open the UI on a user's instance; return the exit code."""
    return run(_open(Options.of(instance, port=port, auth=auth)))


def open_demo(*, port: int | None, auth: bool) -> int:
    """Open the UI on built-in servers, with config and state in a private temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="mcpmux-demo-"))
    options = Options(
        config=folder / "config.toml",
        required=True,
        # Its name tells this demo's processes from those of another one beside it.
        folder=folder / folder.name,
        # Beside the user's own engine, not against it.
        port=0 if port is None else port,
        auth=auth,
        demo=folder,
    )
    return run(_open(options))


async def _open(options: Options) -> int:
    deadline = asyncio.get_running_loop().time() + _ATTACH_LIMIT
    while True:
        if (client := await _running(options)) is not None:
            left = await _show(client, options, owner=False)
            if left.ended:
                where = f"It wrote to {options.log}, or to the terminal of `mcpmux serve`."
                raise _ended("has ended", where)
            return left.code
        # The engine takes as long to start as the screen to import.
        importing = asyncio.create_task(asyncio.to_thread(import_module, "mcpmux_tui.ui.app"))
        try:
            engine = await EngineProcess.start(options)
            await importing
        except McpmuxError as error:
            late = asyncio.get_running_loop().time() > deadline
            if error.exit_code != AlreadyRunning.exit_code or late:
                raise
            # The other one is on its way up or down.
            await asyncio.sleep(0.1)
        else:
            return await _own(engine, options)


async def _own(engine: EngineProcess, options: Options) -> int:
    detached = ended = False
    try:
        left = await _show(await Client.connect(options.folder), options, owner=True)
        detached, ended = left.detached, left.ended
    finally:
        # The window may be closed already.
        with contextlib.suppress(OSError):
            if not ended:
                click.echo(_GOES_ON if detached else "Stopping the servers…", err=True)
        code = 0 if detached else await engine.stop()
    if ended:
        # A demo that was stopped takes its folder with it.
        raise _ended(_how(code), f"Its log is {options.log}." if options.log.exists() else "")
    return left.code


def _how(code: int) -> str:
    """How the engine's process ended; `code` as subprocess gives it."""
    if code < 0:
        return f"was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"ended with code {code}" if code else "was stopped"


def _ended(how: str, hint: str) -> McpmuxError:
    """Why the screen had nothing to show any more."""
    return McpmuxError(f"The mcpmux engine {how}: nothing is served any more.", hint)


async def _running(options: Options) -> Client | None:
    try:
        client = await Client.connect(options.folder)
    except NoEngine:
        return None
    if options.port is not None or not options.auth:
        await client.close()
        raise UsageError(
            "mcpmux already runs for this config; --port and --no-auth are for a new start.",
            "Leave them out to open it, or end it with `mcpmux stop` first.",
        )
    return client


async def _show(client: Client, options: Options, *, owner: bool) -> Left:
    from mcpmux_tui.ui import app

    # The demo's own folder goes with it.
    reports = options.folder if options.demo is None else paths.state_root()
    async with client:
        return await app.run(client, owner=owner, state=reports)
