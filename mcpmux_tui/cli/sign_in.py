"""Commands about signing in to remote servers: login, logout, auth status."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from mcpmux_tui import browser
from mcpmux_tui.cli.common import (
    config_option,
    engine_or,
    instance_of,
    json_option,
    print_json,
    run,
)
from mcpmux_tui.control.protocol import LoggedOut, Login, LoginDone, LoginStep
from mcpmux_tui.model.errors import ControlError, McpmuxError, UsageError

if TYPE_CHECKING:
    from mcpmux_tui.engine.instance import Instance

_CANNOT_TELL = 2


class Door(Protocol):
    """Whoever signs in: the running engine, or this command by itself."""

    async def login(self, wish: Login) -> LoginStep: ...

    async def login_wait(self, server: str) -> LoginDone: ...

    async def login_paste(self, server: str, address: str) -> None: ...

    async def login_cancel(self, server: str) -> None: ...

    async def logout(self, server: str, *, reset: bool) -> LoggedOut: ...


@click.command()
@click.argument("name")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--device", is_flag=True, help="Sign in with a code, from any machine.")
@click.option("--timeout", type=click.FloatRange(min=1), help="Give up after so many seconds.")
@config_option
def login(
    name: str, no_browser: bool, device: bool, timeout: float | None, config: Path | None
) -> None:
    """Sign in to a remote server, and wait until that is done."""
    run(_login(instance_of(config), name, not no_browser, device, timeout))


@click.command()
@click.argument("name")
@click.option("--reset", is_flag=True, help="Forget the registration at its server, too.")
@config_option
def logout(name: str, reset: bool, config: Path | None) -> None:
    """Revoke and delete a server's tokens."""
    told = run(_logout(instance_of(config), name, reset))
    click.echo(f"{name} is logged out.")
    if not told:
        click.echo("Its authorization server was not told: the tokens here are gone.", err=True)


@click.group()
def auth() -> None:
    """Show who is signed in where."""


@auth.command("status")
@config_option
@json_option
def auth_status(config: Path | None, as_json: bool) -> None:
    """Show the sign-ins of all remote servers.

    0 all signed in, 1 some need it, 2 that cannot be told.
    """
    from mcpmux_tui.engine import offline_sign_in

    rows = run(offline_sign_in.status(instance_of(config)))
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
    elif not rows:
        click.echo("No server in the config is one to sign in to.")
    for row in () if as_json else rows:
        click.echo(f"{row.name}  {row.words}")
    states = {row.signed_in for row in rows}
    sys.exit(_CANNOT_TELL if None in states else int(False in states))


COMMANDS: Sequence[click.Command] = (login, logout, auth)


def _door(instance: Instance) -> AbstractAsyncContextManager[Door]:
    from mcpmux_tui.engine import offline_sign_in

    return engine_or(instance, offline_sign_in.door)


async def _login(
    instance: Instance, name: str, opens: bool, device: bool, seconds: float | None
) -> None:
    async with _door(instance) as door:
        wish = Login(server=name, device=device)
        step = await door.login(wish)
        if not step.address:
            _ask(step)
            step = await door.login(wish.model_copy(update={"agreed": True}))
        _show(step)
        if opens and not step.code:
            try:
                browser.open_in_browser(step.address)
            except UsageError as error:
                click.echo(str(error), err=True)
        reading = None
        if not step.code:
            reading = asyncio.create_task(_read_pasted(door, name))
        try:
            async with asyncio.timeout(seconds):
                done = await door.login_wait(name)
        except TimeoutError:
            await door.login_cancel(name)
            raise ControlError(
                f"Nobody signed in to {name} within {seconds:g} s.", "Run it again."
            ) from None
        finally:
            if reading is not None:
                reading.cancel()
    click.echo(f"Signed in to {name}{f' as {done.account}' if done.account else ''}.")
    if done.warning:
        click.echo(done.warning, err=True)


def _ask(step: LoginStep) -> None:
    """Have a person say yes to what is unusual. Raises ControlError where nobody is there."""
    for concern in step.concerns:
        click.echo(concern, err=True)
    if not sys.stdin.isatty():
        raise ControlError(
            "This sign-in needs a yes of yours first.", "Run `mcpmux login` in a terminal."
        )
    if not click.confirm("Go on?", default=False, err=True):
        raise ControlError("The sign-in was not begun.")


def _show(step: LoginStep) -> None:
    if step.scopes:
        click.echo(f"It asks for: {', '.join(step.scopes)}", err=True)
    if step.code:
        click.echo(f"Open {step.address} on any machine and enter {step.code}", err=True)
        return
    click.echo(f"Sign in at {step.host}: {step.address}", err=True)
    click.echo("If the browser is elsewhere, paste the address it ends at here.", err=True)


async def _read_pasted(door: Door, name: str) -> None:
    """Addresses from stdin, a line each; its end ends only this way of signing in."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64 * 1024)
    try:
        kind = os.fstat(sys.stdin.fileno()).st_mode
        if (stat.S_ISCHR(kind) and not sys.stdin.isatty()) or stat.S_ISREG(kind):
            # Nothing that could be waited for, such as /dev/null.
            return
        stdin = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stdin
        )
    except (OSError, ValueError):
        return
    try:
        while line := await reader.readline():
            if text := line.decode("utf-8", "replace").strip():
                try:
                    await door.login_paste(name, text)
                except McpmuxError as error:
                    click.echo(str(error), err=True)
    except ValueError:
        return
    finally:
        with suppress(OSError):
            os.set_blocking(sys.stdin.fileno(), True)
        transport.close()


async def _logout(instance: Instance, name: str, reset: bool) -> bool:
    async with _door(instance) as door:
        return (await door.logout(name, reset=reset)).told
