"""`mcpmux serve`: the engine in the foreground, without a UI."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcpmux_tui.cli.common import config_option, instance_of, port_option, run
from mcpmux_tui.importing import importing
from mcpmux_tui.model.errors import McpmuxError

if TYPE_CHECKING:
    from mcpmux_tui.engine.hub import Hub


@click.command()
@config_option
@port_option
@click.option("--no-auth", is_flag=True, help="Let any local program use the proxy.")
@click.option("--wait", is_flag=True, help="Say that it listens when every server has settled.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    help="With --wait: end with the exit code of `status` if not all are connected by then.",
)
@click.option("--owned", is_flag=True, hidden=True, help="End at the end of standard input.")
def serve(
    config: Path | None,
    port: int | None,
    no_auth: bool,
    wait: bool,
    timeout: float | None,
    owned: bool,
) -> None:
    """Run the engine in the foreground, without a UI."""
    if timeout is not None and not wait:
        raise click.UsageError("--timeout needs --wait.")
    with importing():
        from mcpmux_tui.engine import logs
        from mcpmux_tui.engine.instance import Options
        from mcpmux_tui.engine.run import run as run_engine
        from mcpmux_tui.engine.run import wait_settled

    logs.to_stderr()

    async def started(hub: Hub) -> int | None:
        if wait and (code := await wait_settled(hub, timeout)) and timeout is not None:
            return code
        try:
            click.echo(f"mcpmux listening on {hub.proxy.url}")
        except OSError as error:
            raise McpmuxError(
                f"The line that says where mcpmux listens cannot be written: {error.strerror}.",
                "Give `mcpmux serve` a standard output that takes it.",
            ) from error
        return None

    options = Options.of(instance_of(config), port=port, auth=not no_auth)
    sys.exit(run(run_engine(options, started=started, owned=owned, port_required=True)))


COMMANDS: Sequence[click.Command] = (serve,)
