"""Commands about a running engine's servers: status, connect, disconnect, restart, stop, token."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcpmux_tui.cli.common import (
    config_option,
    engine_of,
    instance_of,
    json_option,
    print_json,
    run,
)
from mcpmux_tui.control.client import Client
from mcpmux_tui.model.errors import ControlError, NoSuchServer
from mcpmux_tui.model.server import (
    NEEDS_A_PERSON,
    ON_THE_WAY,
    SERVING,
    Action,
    EngineSnapshot,
    Health,
    ServerSnapshot,
    exit_code,
    suggested_action,
)
from mcpmux_tui.text import one_line

if TYPE_CHECKING:
    from mcpmux_tui.engine.instance import Instance

STOP_LIMIT = 10.0
_LOOK = 0.05
"""Seconds between two looks at a process."""
_NOT_UP = NEEDS_A_PERSON | {Health.DISABLED, Health.FAILED}


@click.command()
@config_option
@json_option
def status(config: Path | None, as_json: bool) -> None:
    """Show the running engine and its servers; the exit code says how they are.

    0 all connected, 10 some need you, 11 some failed, 12 some are on their way, 3 not running.
    """
    snapshot = run(_snapshot(instance_of(config)))
    if as_json:
        print_json(
            {
                "proxy": snapshot.proxy.model_dump(mode="json"),
                "servers": [server.model_dump(mode="json") for server in snapshot.servers],
                "questions": [each.model_dump(mode="json") for each in snapshot.questions],
                "config": snapshot.config_path,
                "config_error": snapshot.config_error,
                "warnings": list(snapshot.notices),
                "version": snapshot.version,
            }
        )
    else:
        _print_status(snapshot)
    sys.exit(exit_code(snapshot.servers))


@click.command()
@click.argument("name")
@config_option
def connect(name: str, config: Path | None) -> None:
    """Connect a server and wait for the outcome."""
    run(_bring_up(instance_of(config), name, restart=False))


@click.command()
@click.argument("name")
@config_option
def restart(name: str, config: Path | None) -> None:
    """Restart a server and wait for the outcome."""
    run(_bring_up(instance_of(config), name, restart=True))


@click.command()
@click.argument("name")
@config_option
def disconnect(name: str, config: Path | None) -> None:
    """Disconnect a server until it is connected again by hand."""
    run(_take_down(instance_of(config), name))


@click.command()
@config_option
def stop(config: Path | None) -> None:
    """Stop the running engine and its servers."""
    run(_stop(instance_of(config)))


@click.command()
@config_option
def token(config: Path | None) -> None:
    """Print the proxy's bearer token."""
    click.echo(instance_of(config).token())


COMMANDS: Sequence[click.Command] = (status, connect, disconnect, restart, stop, token)


async def _snapshot(instance: Instance) -> EngineSnapshot:
    async with await engine_of(instance) as client:
        return (await client.hello()).snapshot


async def _bring_up(instance: Instance, name: str, *, restart: bool) -> None:
    async with await engine_of(instance) as client:
        server = await _at_rest(client, instance, name)
        if server.state is Health.DISABLED:
            raise ControlError(f"{name} is disabled.", f"`mcpmux enable {name}` enables it.")
        if restart:
            await client.act(name, Action.RESTART)
        elif server.state in SERVING:
            click.echo(f"{name} is connected already.")
            return
        elif server.state in {Health.NEEDS_SIGN_IN, Health.NEEDS_INPUT}:
            await client.act(name, Action.RETRY)
        elif server.state is not Health.CONNECTING and (action := suggested_action(server.state)):
            await client.act(name, action)
    server = await _settled(instance, name)
    if server.state in SERVING:
        click.echo(f"{name} is connected: {server.summary}.")
        return
    raise ControlError(f"{name} did not connect: {server.state.word}.", server.detail)


async def _take_down(instance: Instance, name: str) -> None:
    async with await engine_of(instance) as client:
        server = await _at_rest(client, instance, name)
        if server.state in _NOT_UP:
            click.echo(f"{name} is not connected: {server.state.word}.")
            return
        connecting = server.state in {Health.CONNECTING, Health.SIGNING_IN}
        await client.act(name, Action.CANCEL if connecting else Action.DISCONNECT)
    await _settled(instance, name)
    click.echo(f"{name} is disconnected.")


async def _stop(instance: Instance) -> None:
    async with await engine_of(instance) as client:
        pid = (await client.hello()).pid
        await client.stop()
    import psutil  # here: no other command needs it

    try:
        async with asyncio.timeout(STOP_LIMIT):
            engine = psutil.Process(pid)
            # A mcpmux that ctrl+z has stopped reaps nobody, and nothing tells of another's child.
            while engine.is_running() and engine.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK)
    except psutil.NoSuchProcess:
        pass
    except TimeoutError:
        raise ControlError(
            f"The engine (pid {pid}) did not end within {STOP_LIMIT:g} seconds."
        ) from None
    click.echo("mcpmux has stopped.")


async def _at_rest(client: Client, instance: Instance, name: str) -> ServerSnapshot:
    """The server, once it is not stopping."""
    server = _named((await client.hello()).snapshot, name)
    return await _settled(instance, name) if server.state is Health.STOPPING else server


async def _settled(instance: Instance, name: str) -> ServerSnapshot:
    """The server with its outcome, watched on a connection of its own: each has one watcher."""
    async with await engine_of(instance) as client:
        async for snapshot in client.watch():
            server = _named(snapshot, name)
            # A server that waits for its next try has had its outcome.
            if server.state not in ON_THE_WAY or server.state is Health.RECONNECTING:
                return server
    raise ControlError("The engine ended before the server had settled.")


def _named(snapshot: EngineSnapshot, name: str) -> ServerSnapshot:
    for server in snapshot.servers:
        if server.name == name:
            return server
    raise NoSuchServer(one_line(name))


def _print_status(snapshot: EngineSnapshot) -> None:
    proxy = snapshot.proxy
    click.echo(f"proxy {proxy.url or proxy.error} (pid {proxy.pid})")
    width = max((len(server.name) for server in snapshot.servers), default=0)
    for server in snapshot.servers:
        line = f"{server.name:<{width}}  {server.state.word:<13} {server.summary}"
        # Its summary says when the next try is, not why there has to be one.
        why = server.detail.partition("\n")[0] if server.state is Health.RECONNECTING else ""
        click.echo(f"{line}: {why}" if why else line.rstrip())
    for warning in (*snapshot.notices, snapshot.config_error, *proxy.knocks):
        if warning:
            click.echo(warning, err=True)
