"""`mcpmux` and `mcpmux --demo`: the terminal UI, on a running engine or on one of its own."""

from __future__ import annotations

import asyncio
import contextlib
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
            return (await _show(client, options, owner=False)).code
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
    detached = False
    try:
        left = await _show(await Client.connect(options.folder), options, owner=True)
        detached = left.detached
        return left.code
    finally:
        # The window may be closed already.
        with contextlib.suppress(OSError):
            click.echo(_GOES_ON if detached else "Stopping the servers…", err=True)
        if not detached:
            await engine.stop()


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
