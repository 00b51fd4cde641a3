"""The `mcpmux` command: its options, its subcommands, and what becomes of an error."""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from mcpmux_tui import __version__, paths
from mcpmux_tui.cli.common import config_option, fail, instance_of, port_option
from mcpmux_tui.model.errors import McpmuxError

CRASH = 70
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "answer": ("answer",),
    "doctor": ("doctor",),
    "edit": ("add", "disable", "enable", "import", "list", "remove"),
    "secret": ("secret",),
    "serve": ("serve",),
    "servers": ("connect", "disconnect", "restart", "status", "stop", "token"),
    "sign_in": ("auth", "login", "logout"),
    "stdio": ("stdio",),
    "tools": ("call", "logs", "tools"),
}
"""The modules of commands and what is in each: all of them take long to import, one does not."""


class Commands(click.Group):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for names in GROUPS.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for name, commands in GROUPS.items():
            if cmd_name in commands:
                module = import_module(f"mcpmux_tui.cli.{name}")
                found: Sequence[click.Command] = module.COMMANDS
                return next(each for each in found if each.name == cmd_name)
        return None


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@config_option
@port_option
@click.option("--no-auth", is_flag=True, help="Let any local program use the proxy.")
@click.option("--demo", is_flag=True, help="Open on built-in demo servers; no file is touched.")
@click.version_option(__version__, prog_name="mcpmux")
@click.pass_context
def mcpmux(
    context: click.Context, config: Path | None, port: int | None, no_auth: bool, demo: bool
) -> None:
    """Manage MCP servers in the terminal and offer all of them as one.

    Without a command: open the terminal UI, on the running engine or a new one.
    """
    context.obj = config
    if context.invoked_subcommand is not None:
        if port is not None or no_auth or demo:
            raise click.UsageError("--port, --no-auth and --demo here only open the terminal UI.")
        return
    _require_terminal()
    from mcpmux_tui.cli.open import open_demo, open_instance

    if demo:
        if config is not None:
            raise click.UsageError("--demo brings its own config.")
        code = open_demo(port=port, auth=not no_auth)
    else:
        code = open_instance(instance_of(config), port=port, auth=not no_auth)
    context.exit(code)


def _require_terminal() -> None:
    if os.environ.get("TERM") == "dumb" or not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo("mcpmux needs a terminal; without one use `mcpmux serve`.", err=True)
        sys.exit(2)


def main() -> None:
    """Run the command line; errors become one sentence and an exit code."""
    try:
        mcpmux(standalone_mode=True)
    except McpmuxError as error:
        fail(error)
    except (KeyboardInterrupt, EOFError):
        sys.exit(130)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            sys.exit(_crash(error))
        # Python tries once more at its end what could not be written, with a code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        fail(McpmuxError(f"It could not be written: {error.strerror}.", "Make room for it."))
    except Exception as error:  # noqa: BLE001 - the last resort of the program
        sys.exit(_crash(error))


def _crash(error: Exception) -> int:
    """Write a traceback without values to a private file and say where."""
    lines = [f"mcpmux {__version__} at {time.strftime('%Y-%m-%dT%H:%M:%S%z')}"]
    lines += traceback.format_list(traceback.extract_tb(error.__traceback__))
    lines.append(type(error).__name__)
    where = "nowhere, its folder cannot be written"
    try:
        report = paths.private_dir(paths.state_root()) / "crash.log"
        report.write_text("\n".join(lines) + "\n", encoding="utf-8")
        report.chmod(0o600)
        where = paths.shown(report)
    except OSError:
        pass
    click.echo(f"mcpmux hit a bug ({type(error).__name__}). The report is in {where}.", err=True)
    return CRASH
