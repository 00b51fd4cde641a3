"""Commands about what a running server offers and says: tools, call, logs."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import JsonValue

from mcpmux_tui.cli.common import (
    config_option,
    engine_of,
    instance_of,
    json_option,
    print_json,
    run,
)
from mcpmux_tui.control.protocol import (
    ItemLine,
    ItemPage,
    LogLine,
    LogSearch,
    Outcome,
    TryItem,
)
from mcpmux_tui.model.errors import ControlError, NoSuchServer, UsageError
from mcpmux_tui.model.server import EngineSnapshot
from mcpmux_tui.text import one_line

if TYPE_CHECKING:
    from mcpmux_tui.engine.instance import Instance

_PAGE = 1_000


@click.command()
@click.argument("name", required=False)
@config_option
@json_option
def tools(name: str | None, config: Path | None, as_json: bool) -> None:
    """Show the tools of one server, or of all: own name, the name clients see, what it does."""
    found = run(_tools(instance_of(config), name))
    if as_json:
        print_json([tool.model_dump(mode="json") for tool in found])
        return
    for tool in found:
        about = tool.description.partition(". ")[0]
        click.echo(
            f"{tool.server}  {tool.name}  {tool.public or '(not offered)'}  {about}".rstrip()
        )


@click.command()
@click.argument("name")
@click.argument("tool")
@click.argument("arguments", default="{}")
@config_option
@json_option
def call(name: str, tool: str, arguments: str, config: Path | None, as_json: bool) -> None:
    """Call a tool by its server's own name; ARGUMENTS is a JSON object, - reads it from stdin."""
    text = sys.stdin.read() if arguments == "-" else arguments
    try:
        given: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise UsageError(
            "The arguments are no JSON object.", """Write them as '{"key": "value"}'."""
        )
    outcome = run(_call(instance_of(config), name, tool, given))
    click.echo(outcome.raw if as_json else outcome.text)
    if outcome.is_error:
        raise ControlError(f"{tool} ended with an error.")


@click.command()
@click.argument("name")
@click.option("-n", "--lines", type=click.IntRange(1, 2_000), default=100, show_default=True)
@config_option
@json_option
def logs(name: str, lines: int, config: Path | None, as_json: bool) -> None:
    """Show the last lines of a server's log."""
    found = run(_logs(instance_of(config), name, lines))
    if as_json:
        print_json([line.model_dump(mode="json") for line in found])
        return
    for line in found:
        clock = time.strftime("%H:%M:%S", time.localtime(line.time))
        click.echo(f"{clock}  {line.source:<6}  {line.text}")


COMMANDS: Sequence[click.Command] = (tools, call, logs)


async def _tools(instance: Instance, name: str | None) -> list[ItemLine]:
    async with await engine_of(instance) as client:
        found: list[ItemLine] = []
        while page := (
            await client.items(ItemPage(server=name, after=len(found), limit=_PAGE))
        ).items:
            found += page
        return found


async def _call(
    instance: Instance, name: str, tool: str, arguments: dict[str, JsonValue]
) -> Outcome:
    async with await engine_of(instance) as client:
        wish = TryItem(key="command", server=name, name=tool, arguments=arguments)
        async with aclosing(client.watch()) as snapshots:
            # What waits already waits for something else.
            known = {each.id for each in (await anext(snapshots)).questions}
            telling = asyncio.create_task(_tell_questions(snapshots, name, known))
            try:
                return await client.try_item(wish)
            finally:
                telling.cancel()
                with suppress(asyncio.CancelledError):
                    await telling


async def _tell_questions(
    snapshots: AsyncIterator[EngineSnapshot], name: str, known: set[int]
) -> None:
    """Say what a server asks meanwhile: the call waits until somebody answers."""
    async for snapshot in snapshots:
        for question in snapshot.questions:
            if question.server == name and question.id not in known:
                known.add(question.id)
                click.echo(
                    f"{question.summary}\nThe call waits until you answer: `mcpmux answer"
                    f" {question.id}` does so, or `Answer` on the screen.",
                    err=True,
                )


async def _logs(instance: Instance, name: str, lines: int) -> tuple[LogLine, ...]:
    async with await engine_of(instance) as client:
        servers = (await client.hello()).snapshot.servers
        if name not in {each.name for each in servers}:
            raise NoSuchServer(one_line(name))
        return (await client.logs(LogSearch(server=name, limit=lines))).lines
