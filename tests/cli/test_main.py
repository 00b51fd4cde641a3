"""The command line finds its commands without importing all of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module

import click
from click.testing import CliRunner

from mcpmux_tui.cli.main import GROUPS, mcpmux


def test_each_command_is_found_where_the_table_says_it_is() -> None:
    for module, names in GROUPS.items():
        commands: Sequence[click.Command] = import_module(f"mcpmux_tui.cli.{module}").COMMANDS
        assert {each.name for each in commands} == set(names)
        for each in commands:
            assert mcpmux.get_command(click.Context(mcpmux), each.name or "") is each


def test_help_names_every_command_and_an_unknown_one_is_refused() -> None:
    shown = CliRunner().invoke(mcpmux, ["--help"])
    lines = {line.split()[0] for line in shown.output.splitlines() if line.startswith("  ")}
    assert {name for names in GROUPS.values() for name in names} <= lines
    assert CliRunner().invoke(mcpmux, ["no-such-command"]).exit_code == 2


def test_the_version_is_told_without_what_other_commands_need() -> None:
    script = (
        "import sys, runpy; sys.argv[1:] = ['--version']\n"
        "try: runpy.run_module('mcpmux_tui', run_name='__main__')\n"
        "finally: print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"asyncio", "pydantic", "psutil", "textual", "mcpmux_tui.control.client"}
