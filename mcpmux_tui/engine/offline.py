"""What works on the config and on other tools' files alone, with or without a running engine.

Everything here blocks on files.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from mcpmux_tui import clients, paths
from mcpmux_tui.config import edit, file
from mcpmux_tui.config.schema import server_spec
from mcpmux_tui.control import protocol
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.importers.plan import Planned, plan_import
from mcpmux_tui.importers.search import find
from mcpmux_tui.model.errors import ConfigError, ControlError
from mcpmux_tui.model.spec import Config, HttpLaunch, StdioLaunch
from mcpmux_tui.text import exact

_PLACES: Final = ("MCPMUX_CONFIG_DIR", "MCPMUX_STATE_DIR")


def load(instance: Instance) -> Config:
    """The instance's config. Raises ConfigError."""
    return file.load(instance.config, required=instance.required)


def add(instance: Instance, name: str, entry: Mapping[str, JsonValue]) -> None:
    """Add a server to the config. Raises UsageError, ConfigError."""
    edit.add_server(instance.config, name, entry)


def remove(instance: Instance, name: str) -> None:
    """Remove a server from the config. Raises UsageError, ConfigError."""
    edit.remove_server(instance.config, name)


def set_enabled(instance: Instance, name: str, *, enabled: bool) -> None:
    """Enable or disable a server in the config. Raises UsageError, ConfigError."""
    edit.set_enabled(instance.config, name, enabled)


def find_imports(instance: Instance, own_url: str | None) -> protocol.Found:
    """The servers of other tools, as a person must see them before saying yes.

    `own_url` is the proxy's address where it runs; else the config's port says it.
    """
    plan, problems = _plan(instance, own_url)
    known = file.load(instance.config, required=False).inputs
    candidates = tuple(_candidate(each, known) for each in plan)
    return protocol.Found(candidates=candidates, problems=problems)


def import_servers(
    instance: Instance, keys: tuple[str, ...], own_url: str | None
) -> protocol.Imported:
    """Add the servers that a person said yes to, by their candidates' keys.

    Raises ControlError, before anything is added, for one that is not as it was shown.
    """
    plan, _ = _plan(instance, own_url)
    offered = {each.found.key: each for each in plan if not each.skip}
    if not set(keys) <= offered.keys():
        raise ControlError(
            "What was found has changed since it was shown; nothing was added.",
            "Open the import again and look at it once more.",
        )
    chosen = [offered[key] for key in keys]
    # Of one id that stands in two files, the first one's: as it is with two imports.
    if inputs := {id_: item for each in chosen[::-1] for id_, item in each.found.inputs.items()}:
        edit.add_inputs(instance.config, inputs)
    for each in chosen:
        edit.add_server(instance.config, each.name, each.found.entry)
    return protocol.Imported(added=tuple(each.name for each in chosen))


def place(instance: Instance, server: str) -> protocol.Place:
    """Where a server's entry stands; in a file that cannot be read, where its fault is."""
    path, line = instance.config, None
    try:
        line = next((each.line for each in file.raw(path) if each.name == server), None)
    except ConfigError as error:
        line = error.line
    return protocol.Place(path=str(path), line=line)


def client_choices() -> protocol.ClientChoices:
    """The clients an entry can be made for, those found on this machine first."""
    found = clients.choices(Path.home(), os.environ, sys.platform)
    return protocol.ClientChoices(clients=tuple(found))


def client_entry(
    client: str, url: str, token: str | None, instance: Instance
) -> protocol.ClientEntry:
    """What to put where, for one client. Raises UsageError for a client nobody knows."""
    entry = clients.entry(client, url=url, token=token, bridge=_bridge(url, token, instance))
    return protocol.ClientEntry(
        client=entry.client, title=entry.title, where=entry.where, text=entry.text
    )


def _bridge(url: str, token: str | None, instance: Instance) -> clients.Bridge:
    """How a client that only starts commands starts the bridge to this instance."""
    script = Path(sys.executable).with_name("mcpmux")
    own = [str(script)] if script.is_file() else [sys.executable, "-m", "mcpmux_tui"]
    if instance.folder != paths.instance_dir(instance.config):
        # The demo's: nobody could find it by its config.
        if token is None:
            return clients.Bridge((*own, "stdio", "--url", url))
        header = ("--header", "Authorization: ${MCPMUX_AUTHORIZATION}")
        return clients.Bridge(
            (*own, "stdio", "--url", url, *header), {"MCPMUX_AUTHORIZATION": f"Bearer {token}"}
        )
    config = ("--config", str(instance.config)) if instance.required else ()
    # Such clients are not started from a shell.
    env = {name: os.environ[name] for name in _PLACES if name in os.environ}
    return clients.Bridge((*own, "stdio", *config), env)


def _plan(instance: Instance, own_url: str | None) -> tuple[tuple[Planned, ...], tuple[str, ...]]:
    if own_url is None:
        port = file.load(instance.config, required=False).proxy.port
        own_url = f"http://127.0.0.1:{port}/mcp"
    findings = find(Path.home(), Path.cwd(), os.environ, sys.platform)
    entries = file.entries(instance.config)
    plan = plan_import(findings.servers, entries.keys(), entries, own_url=own_url)
    return plan, findings.problems


_LOADERS: Final = re.compile(
    r"LD_\w+|DYLD_\w+|NODE_OPTIONS|PYTHONPATH|PYTHONSTARTUP|PYTHONHOME|BASH_ENV|ENV|PERL5OPT|RUBYOPT"
    r"|JAVA_TOOL_OPTIONS|GIT_SSH_COMMAND|GIT_EXEC_PATH"
)
"""Variables that have other code run in whatever is started."""


def loaders(names: Iterable[str]) -> Iterator[str]:
    """A sentence for each variable that can have other code run."""
    for name in names:
        if _LOADERS.fullmatch(name):
            yield f"`{exact(name)}` can have other code run in it; look at its value."


def _input(id_: str, item: Mapping[str, JsonValue], known: Collection[str]) -> str:
    """An input that would come along, as a person must see it."""
    told = [str(item["type"])]
    if isinstance(options := item.get("options"), list):
        told.append(f"one of {', '.join(map(str, options))}")
    if "default" in item:
        told.append("with a default" if item["type"] == "password" else f"else {item['default']}")
    stays = "; the one in [inputs] stays" if id_ in known else ""
    return exact(f"{id_} ({', '.join(told)}{stays}) {item.get('description', '')}".strip())


def _candidate(planned: Planned, known: Collection[str]) -> protocol.Candidate:
    found = planned.found
    spec = server_spec(planned.name, found.entry, folder=found.path.parent)
    plain = [each for each in spec.warnings if "in plain text" in each]
    names: Iterable[str] = ()
    cwd = None
    match spec.launch:
        case StdioLaunch(command, args):
            # Whole and quoted: a yes is to exactly this.
            target = shlex.join((command, *args))
            names, cwd = spec.launch.env, spec.launch.cwd
        case HttpLaunch(url):
            target, names = url, spec.launch.headers
        case None:
            target = str(found.entry.get("command") or found.entry.get("url"))
    return protocol.Candidate(
        key=found.key,
        name=planned.name,
        target=exact(target),
        env=tuple(exact(name) for name in names),
        cwd=exact(cwd or ""),
        inputs=tuple(_input(id_, item, known) for id_, item in found.inputs.items()),
        source=found.tool,
        path=paths.shown(found.path),
        notes=(
            *found.notes,
            *loaders(names),
            *(f"{warning} Its source holds it still." for warning in plain),
        ),
        skip=planned.skip or (spec.problem.reason if spec.problem else ""),
    )
