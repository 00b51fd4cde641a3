"""`mcpmux doctor`: why a server is red."""

from __future__ import annotations

import sys
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
from mcpmux_tui.control.protocol import Checkup

if TYPE_CHECKING:
    from mcpmux_tui.engine.instance import Instance


class Door(Protocol):
    """Whoever looks: the running engine, or this command by itself."""

    async def doctor(self, server: str) -> Checkup: ...


@click.command()
@click.argument("name")
@config_option
@json_option
def doctor(name: str, config: Path | None, as_json: bool) -> None:
    """Check one server in order, up to the first thing that does not hold, and say what mends it.

    0 all holds, 1 something does not.
    """
    found = run(_examined(instance_of(config), name))
    if as_json:
        print_json(found.model_dump(mode="json"))
    for check in () if as_json else found.checks:
        first, *rest = check.said.splitlines() or [""]
        click.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name:<12}  {first}")
        for line in rest:
            click.echo(f"{'':<20}{line}")
        if check.fix:
            click.echo(f"{'':<20}{check.fix}")
        if check.command:
            click.echo(f"{'':<20}{check.command}")
    sys.exit(int(not all(check.ok for check in found.checks)))


COMMANDS: Sequence[click.Command] = (doctor,)


def _door(instance: Instance) -> AbstractAsyncContextManager[Door]:
    from mcpmux_tui.engine import offline_doctor

    return engine_or(instance, offline_doctor.door)


async def _examined(instance: Instance, name: str) -> Checkup:
    async with _door(instance) as door:
        return await door.doctor(name)
