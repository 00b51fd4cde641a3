"""What the commands share: options, the instance they mean, the way an error ends one."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from mcpmux_tui.model.errors import McpmuxError, NoEngine

if TYPE_CHECKING:
    from pydantic import JsonValue

    from mcpmux_tui.control.client import Client
    from mcpmux_tui.engine.instance import Instance

T = TypeVar("T")

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Use this TOML or mcpServers JSON file instead of the default config.",
)
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The proxy's port; 0 takes any free one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def instance_of(config: Path | None) -> Instance:
    """The instance a command means: its own --config, else the one before it, else the default."""
    from mcpmux_tui.engine.instance import Instance

    context = click.get_current_context(silent=True)
    return Instance.of(config or (context.obj if context else None))


def run(work: Coroutine[object, object, T]) -> T:
    """Run a command's coroutine."""
    # Here, since `--version` and `--help` run none.
    import asyncio

    return asyncio.run(work)


@asynccontextmanager
async def engine_or(
    instance: Instance, alone: Callable[[Instance], AbstractAsyncContextManager[T]]
) -> AsyncIterator[Client | T]:
    """The running engine of an instance, or what does the same where none runs."""
    # Here, since `serve` needs neither it nor the models of its protocol.
    from mcpmux_tui.control.client import Client

    try:
        client = await Client.connect(instance.folder)
    except NoEngine:
        async with alone(instance) as door:
            yield door
    else:
        async with client:
            yield client


async def engine_of(instance: Instance) -> Client:
    """The running engine of an instance. Raises NoEngine, which says so where its config is not
    there either."""
    from mcpmux_tui import paths
    from mcpmux_tui.control.client import Client

    try:
        return await Client.connect(instance.folder)
    except NoEngine as error:
        if not instance.required or instance.config.exists():
            raise
        raise NoEngine(
            f"{paths.shown(instance.config)} does not exist, and no engine runs for it.",
            "Check the name after --config.",
        ) from error


def print_json(value: JsonValue) -> None:
    """Print JSON whose control characters are escaped, whoever reads it."""
    click.echo(json.dumps(value, indent=2))


def fail(error: McpmuxError) -> NoReturn:
    """End with an error's sentence, its hint, and its exit code."""
    click.echo(f"mcpmux: {error.message}", err=True)
    if error.hint:
        click.echo(error.hint, err=True)
    sys.exit(error.exit_code)
