"""Commands about the config: list, add, remove, enable, disable, import."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import JsonValue

from mcpmux_tui.cli.common import config_option, instance_of, json_option, print_json, run
from mcpmux_tui.control.client import Client
from mcpmux_tui.control.protocol import Candidate, Found
from mcpmux_tui.model.errors import NoEngine, UsageError
from mcpmux_tui.model.inputs import looks_secret
from mcpmux_tui.model.server import target_of
from mcpmux_tui.model.spec import transport_of
from mcpmux_tui.text import one_line

if TYPE_CHECKING:
    from mcpmux_tui.engine.instance import Instance


@click.command("list")
@config_option
@json_option
def list_servers(config: Path | None, as_json: bool) -> None:
    """List the configured servers."""
    from mcpmux_tui.engine import offline

    found = offline.load(instance_of(config))
    specs = found.servers
    for warning in found.warnings:
        click.echo(warning, err=True)
    if as_json:
        print_json(
            [
                {
                    "name": spec.name,
                    "transport": transport_of(spec.launch),
                    "target": target_of(spec.launch),
                    "enabled": spec.enabled,
                    "problem": spec.problem.reason if spec.problem else None,
                    "line": spec.problem.line if spec.problem else None,
                    "warnings": list(spec.warnings),
                }
                for spec in specs
            ]
        )
        return
    if not specs:
        click.echo("No servers yet. Add one with `mcpmux add`, or try `mcpmux import`.")
    width = max((len(spec.name) for spec in specs), default=0)
    for spec in specs:
        what = f"cannot be used: {spec.problem.reason}" if spec.problem else target_of(spec.launch)
        click.echo(
            f"{one_line(spec.name):<{width}}  {what}{'' if spec.enabled else '  (disabled)'}"
        )


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("target", nargs=-1, required=True)
@config_option
@click.option("--env", "env", multiple=True, metavar="KEY=VALUE", help="May be repeated.")
@click.option("--header", "headers", multiple=True, metavar="'K: V'", help="May be repeated.")
@click.option("--cwd", help="The folder the command runs in; default: your home.")
@click.option("--disabled", is_flag=True, help="Add it without starting it.")
def add(
    name: str,
    target: tuple[str, ...],
    config: Path | None,
    env: tuple[str, ...],
    headers: tuple[str, ...],
    cwd: str | None,
    disabled: bool,
) -> None:
    """Add a server: an address, or a command with its arguments (after -- if they clash).

    \b
    mcpmux add time uvx mcp-server-time
    mcpmux add docs https://docs.example.com/mcp
    mcpmux add db --env URL='${DATABASE_URL}' -- npx -y @acme/server --config x
    """
    from mcpmux_tui.engine import offline

    instance = instance_of(config)
    entry = _entry(target, env, headers, cwd)
    if disabled:
        entry["enabled"] = False
    offline.add(instance, name, entry)
    run(_reload(instance))
    click.echo(f"Added {name}.")


@click.command()
@click.argument("name")
@config_option
def remove(name: str, config: Path | None) -> None:
    """Remove a server from the config, and its sign-in from the keyring."""
    from mcpmux_tui.engine import offline, offline_sign_in

    instance = instance_of(config)
    offline.remove(instance, name)
    if not run(_reload(instance)):
        run(offline_sign_in.forget(instance, name))
    click.echo(f"Removed {name}.")


@click.command()
@click.argument("name")
@config_option
def enable(name: str, config: Path | None) -> None:
    """Enable a server."""
    _set_enabled(instance_of(config), name, enabled=True)


@click.command()
@click.argument("name")
@config_option
def disable(name: str, config: Path | None) -> None:
    """Disable a server: it stays in the config and is not started."""
    _set_enabled(instance_of(config), name, enabled=False)


@click.command("import")
@config_option
@click.option("--yes", is_flag=True, help="Add what was found without asking.")
@json_option
def import_servers(config: Path | None, yes: bool, as_json: bool) -> None:
    """Add servers from Claude Desktop, Claude Code, Cursor and VS Code; their files stay untouched.

    With --json: only print what was found.
    """
    from mcpmux_tui.engine import offline

    instance = instance_of(config)
    found = offline.find_imports(instance, own_url=None)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    new = [each for each in found.candidates if not each.skip]
    _print_found(found)
    if not new:
        click.echo(
            "Nothing to add."
            if found.candidates or found.problems
            else "No servers found in the configs of other clients on this computer."
        )
        return
    what = "1 server" if len(new) == 1 else f"{len(new)} servers"
    if not yes and not _agreed(f"Add {what}? mcpmux will run these commands"):
        click.echo("Nothing was added.")
        return
    imported = offline.import_servers(instance, tuple(each.key for each in new), own_url=None)
    run(_reload(instance))
    click.echo(f"Added {', '.join(imported.added)}.")


COMMANDS: Sequence[click.Command] = (
    list_servers, add, remove, enable, disable, import_servers,
)  # fmt: skip


def _entry(
    target: tuple[str, ...], env: tuple[str, ...], headers: tuple[str, ...], cwd: str | None
) -> dict[str, JsonValue]:
    if target[0].startswith(("http://", "https://")):
        if len(target) > 1 or env or cwd:
            raise UsageError("An address takes no arguments, no --env and no --cwd.")
        entry: dict[str, JsonValue] = {"url": target[0]}
        if headers:
            entry["headers"] = pairs = _pairs(headers, ":", "--header 'Name: value'")
            if advice := _advice(pairs):
                click.echo(" ".join(advice), err=True)
        return entry
    if "://" in target[0]:
        raise UsageError(
            f"{one_line(target[0], 60)} is no address of a server.",
            "One begins with http:// or https://.",
        )
    if headers:
        raise UsageError("--header is for an address; a command takes --env.")
    entry = {"command": target[0]}
    if target[1:]:
        entry["args"] = list(target[1:])
    if env:
        entry["env"] = pairs = _pairs(env, "=", "--env KEY=VALUE")
        if advice := _advice(pairs):
            raise UsageError(*advice)
    if cwd:
        entry["cwd"] = str(Path(cwd).expanduser().absolute())
    return entry


def _pairs(items: tuple[str, ...], separator: str, form: str) -> dict[str, JsonValue]:
    pairs: dict[str, JsonValue] = {}
    for item in items:
        key, found, value = item.partition(separator)
        if not found or not key.strip():
            raise UsageError(f"{one_line(item)!r} is not of the form {form}.")
        pairs[key.strip()] = value.strip() if separator == ":" else value
    return pairs


def _advice(pairs: Mapping[str, JsonValue]) -> tuple[str, str] | None:
    """What is wrong with a secret among arguments, and what to do instead; None without one."""
    for key, value in pairs.items():
        if looks_secret(key) and value and not any(mark in str(value) for mark in ("${", "{{")):
            name = re.sub(r"[^A-Za-z0-9]+", "_", key).strip("_").upper()
            return (
                f"The value of {one_line(key, 60)} as an argument can be read by every program on"
                " this machine.",
                f"Give ${{secret:{name}}} in its place (in single quotes), then run `mcpmux secret"
                f" set {name}`.",
            )
    return None


def _set_enabled(instance: Instance, name: str, *, enabled: bool) -> None:
    from mcpmux_tui.engine import offline

    offline.set_enabled(instance, name, enabled=enabled)
    run(_reload(instance))
    click.echo(f"{name} is {'enabled' if enabled else 'disabled'}.")


async def _reload(instance: Instance) -> bool:
    """Tell a running engine at once; it would see the file change by itself soon.

    Returns whether one runs.
    """
    try:
        client = await Client.connect(instance.folder)
    except NoEngine:
        return False
    async with client:
        await client.reload()
    return True


def _agreed(question: str) -> bool:
    try:
        return click.confirm(question)
    except click.Abort:
        click.echo()
        return False


def _print_found(found: Found) -> None:
    for problem in found.problems:
        click.echo(problem, err=True)
    for candidate in found.candidates:
        _print_candidate(candidate)


def _print_candidate(candidate: Candidate) -> None:
    mark = f"  (skipped: {candidate.skip})" if candidate.skip else ""
    click.echo(f"{candidate.name}  from {candidate.source}, {candidate.path}{mark}")
    click.echo(f"    {candidate.target}")
    if candidate.env:
        click.echo(f"    with {', '.join(candidate.env)}")
    if candidate.cwd:
        click.echo(f"    in {candidate.cwd}")
    for asked in candidate.inputs:
        click.echo(f"    asks for {asked}")
    for note in candidate.notes:
        click.echo(f"    {note}")
