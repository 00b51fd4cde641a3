"""Commands about values given by name: secret set, list, remove."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from mcpmux_tui.cli.common import (
    config_option,
    engine_or,
    instance_of,
    json_option,
    print_json,
    run,
)
from mcpmux_tui.control.protocol import SecretLine, SecretList
from mcpmux_tui.model.errors import ControlError, UsageError

if TYPE_CHECKING:
    from mcpmux_tui.engine.instance import Instance


class Door(Protocol):
    """Whoever keeps values: the running engine, or this command by itself."""

    async def secret_set(self, name: str, value: str) -> None: ...

    async def secret_remove(self, name: str) -> None: ...

    async def secrets(self) -> SecretList: ...


@click.group()
def secret() -> None:
    """Keep values that servers need under names."""


@secret.command("set")
@click.argument("name")
@click.argument("value", nargs=-1)
@config_option
def set_secret(name: str, value: tuple[str, ...], config: Path | None) -> None:
    """Keep a value for ${secret:NAME}: asked for, or one line on stdin."""
    if value:
        raise UsageError(
            "A value as an argument can be read by every program on this machine.",
            f"Run `mcpmux secret set {name}` and type it, or send it on stdin.",
        )
    if sys.stdin.isatty():
        typed = click.prompt(name, hide_input=True, err=True)
    else:
        typed = sys.stdin.readline().rstrip("\r\n")
    run(_set(instance_of(config), name, typed))
    click.echo(f"{name} is kept.")


@secret.command("list")
@config_option
@json_option
def list_secrets(config: Path | None, as_json: bool) -> None:
    """Show the names, who uses each and who waits for it; never a value."""
    lines = run(_listed(instance_of(config)))
    if as_json:
        print_json([line.model_dump(mode="json") for line in lines])
        return
    if not lines:
        click.echo("No values are kept, and no server uses one.")
    for line in lines:
        click.echo(f"{line.name}  {_words(line)}")


@secret.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def remove_secret(name: str, yes: bool, config: Path | None) -> None:
    """Forget a value; the servers that use it wait for another."""
    instance = instance_of(config)
    users = next((line.users for line in run(_listed(instance)) if line.name == name), ())
    if not yes and users:
        click.echo(f"{name} is used by {', '.join(users)}.", err=True)
        if not sys.stdin.isatty() or not click.confirm("Remove it?", err=True):
            raise ControlError(f"{name} was not removed.", "--yes removes it without asking.")
    run(_remove(instance, name))
    click.echo(f"{name} is removed.")


COMMANDS: Sequence[click.Command] = (secret,)


def _door(instance: Instance) -> AbstractAsyncContextManager[Door]:
    from mcpmux_tui.engine import offline_values

    return engine_or(instance, offline_values.door)


async def _set(instance: Instance, name: str, value: str) -> None:
    async with _door(instance) as door:
        await door.secret_set(name, value)


async def _remove(instance: Instance, name: str) -> None:
    async with _door(instance) as door:
        await door.secret_remove(name)


async def _listed(instance: Instance) -> tuple[SecretLine, ...]:
    async with _door(instance) as door:
        return (await door.secrets()).secrets


def _words(line: SecretLine) -> str:
    since = (
        "" if line.since is None else time.strftime(" since %Y-%m-%d", time.localtime(line.since))
    )
    given = "not given" if line.waiting and not line.kept else "this session only"
    facts = [f"kept{since}" if line.kept else given]
    if line.users:
        facts.append(f"used by {', '.join(line.users)}")
    if line.waiting:
        wait = "waits" if len(line.waiting) == 1 else "wait"
        facts.append(f"{', '.join(line.waiting)} {wait} for it")
    return "; ".join(facts)
