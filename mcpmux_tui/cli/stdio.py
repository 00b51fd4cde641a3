"""`mcpmux stdio`: the bridge, as `--help` shows it and where its quick way in is not sure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from mcpmux_tui.bridge import run
from mcpmux_tui.bridge.options import Options, Wrong
from mcpmux_tui.cli.common import config_option


@click.command()
@config_option
@click.option("--url", help="Any Streamable HTTP address, instead of this config's engine.")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="With --url: sent along; ${NAME} is a variable of the environment.",
)
@click.option("--no-start", is_flag=True, help="Start no engine where none runs.")
@click.pass_context
def stdio(
    context: click.Context,
    config: Path | None,
    url: str | None,
    headers: tuple[str, ...],
    no_start: bool,
) -> None:
    """Be an MCP server on stdin and stdout, for clients that only start commands."""
    given = config or context.obj
    try:
        options = Options.of(str(given) if given else None, url, headers, start=not no_start)
    except Wrong as wrong:
        raise click.UsageError(str(wrong)) from None
    sys.exit(run.main(options))


COMMANDS: Sequence[click.Command] = (stdio,)
