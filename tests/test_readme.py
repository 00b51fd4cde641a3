"""What the README says, held against what is there."""

from __future__ import annotations

import re
from pathlib import Path

from mcpmux_tui.cli.main import GROUPS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def shell_lines() -> list[str]:
    """The README's first two commands, each one line in a block of its own."""
    return re.findall(r"```sh\n([^\n]+)\n```", README)[:2]


def test_the_first_two_commands_open_the_demo_and_run_the_tests() -> None:
    demo, tests = shell_lines()
    assert demo.endswith("mcpmux --demo")
    assert tests.endswith("-m pytest")


def test_ci_runs_the_readmes_test_command_word_for_word() -> None:
    assert shell_lines()[1] in CI.splitlines()


def test_every_command_is_in_the_readme_and_none_that_is_not_there() -> None:
    table = README.split("## Commands")[1].split("## Configuration")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {word for row in rows for word in re.findall(r"[a-z]{3,}", row)}
    commands = {name for names in GROUPS.values() for name in names}
    assert commands <= named
    used = set(re.findall(r"`mcpmux ([a-z]+)", README))
    assert used - {"listening"} <= commands


def test_every_picture_of_the_readme_is_there() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert len(pictures) >= 2
    assert all((ROOT / picture).is_file() for picture in pictures)
