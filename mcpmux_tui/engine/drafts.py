"""Servers that a person is about to add or change: read, tested apart from all others, kept."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from pydantic import JsonValue

from mcpmux_tui.config import edit, file
from mcpmux_tui.config.check import name_problem
from mcpmux_tui.config.plain import Plain, plain_secrets
from mcpmux_tui.config.schema import Entry, server_spec
from mcpmux_tui.control.protocol import (
    HIDDEN,
    Draft,
    DraftKept,
    DraftServer,
    DraftTested,
    EntryForm,
    Reading,
    Wrong,
)
from mcpmux_tui.engine import forms
from mcpmux_tui.engine.offline import loaders
from mcpmux_tui.engine.securing import Securing, referring
from mcpmux_tui.engine.trial import Trial
from mcpmux_tui.importers import pasted
from mcpmux_tui.importers.command_line import Unreadable
from mcpmux_tui.importers.naming import unique
from mcpmux_tui.importers.plan import is_own
from mcpmux_tui.model.errors import ControlError, McpmuxError
from mcpmux_tui.model.spec import HttpLaunch, ServerSpec, StdioLaunch, transport_of
from mcpmux_tui.text import exact, one_line

_SHOWN_WHOLE: Final = 8_192
"""Characters of what is shown for a yes; what is longer is refused."""
_KINDS: Final = {
    "stdio": "local command (stdio)",
    "http": "remote server (HTTP)",
    "sse": "remote server (HTTP with SSE)",
}


@dataclass(frozen=True, slots=True)
class _Planned:
    """One server of a draft: its entry with secrets as they were written."""

    name: str
    entry: dict[str, object]
    before: Mapping[str, object] | None = None
    """The entry it replaces; None: it is new."""
    old_name: str = ""
    changes: edit.Changes = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Drafts:
    """All of one engine. `trial` runs a spec that is in no config, `own_url` is the proxy's,
    `rename` gives what is kept of a server's sign-in to another name."""

    def __init__(
        self,
        config: Path,
        securing: Securing,
        trial: Callable[[ServerSpec], Trial],
        own_url: Callable[[], str | None],
        rename: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._rename = rename
        self._config = config
        self._own_url = own_url
        self._securing = securing
        self._trial = trial
        self._testing: dict[str, asyncio.Task[DraftTested]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End every test; nothing of them is left."""
        for task in self._testing.values():
            task.cancel()
        await asyncio.gather(*self._testing.values(), *self._ending, return_exceptions=True)

    async def form(self, server: str, *, copy_of: bool) -> EntryForm:
        """A server's entry as a form. Raises ControlError, ConfigError."""
        entries = await self._entries()
        name = unique(f"{server[:35]}-copy", entries) if copy_of else server
        return forms.form_of(
            server, _entry(entries, server), self._folder, copy_of=copy_of, name=name
        )

    async def read(self, draft: Draft) -> Reading:
        """What a draft says. Raises ControlError, ConfigError."""
        try:
            plans = await self._plan(draft)
        except forms.Refused as refused:
            return Reading(wrong=(_wrong(refused),))
        moving = await self._moving(plans)
        passing = await self._securing.passing() if any(moving) else ""
        servers = tuple(map(self._seen, plans, moving))
        for server in servers:
            if max(map(len, (server.target, server.cwd, *server.pairs))) > _SHOWN_WHOLE:
                return Reading(
                    wrong=(Wrong(name=_field(draft), why="It is too long to be shown whole."),)
                )
        return Reading(servers=servers, passing=passing)

    async def test(self, key: str, draft: Draft) -> DraftTested:
        """Connect to each server of a draft, and end it again. Raises ControlError, ConfigError."""
        if key in self._testing:
            raise ControlError("A test of this key runs already.")
        task = asyncio.create_task(self._test(draft), name="draft-test")
        self._testing[key] = task
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            del self._testing[key]
        if task.cancelled():
            raise ControlError("The test was ended.")
        return task.result()

    def cancel(self, key: str) -> None:
        """End a test."""
        if (task := self._testing.get(key)) is not None:
            task.cancel()

    async def _test(self, draft: Draft) -> DraftTested:
        try:
            plans = await self._plan(draft)
        except forms.Refused as refused:
            return DraftTested(wrong=(_wrong(refused),))
        trials = [self._trial(replace(self._spec(plan), enabled=True)) for plan in plans]
        try:
            outcomes = await asyncio.gather(*(trial.outcome() for trial in trials))
        finally:
            # Who waits for the outcome does not wait for the children's ends.
            for trial in trials:
                self._end(trial.close())
        return DraftTested(servers=tuple(outcomes))

    def _end(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(closing, name="draft-test-end")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def keep(self, draft: Draft) -> DraftKept:
        """Put a draft into the config, and its secrets into the keyring.

        Nothing is kept where anything is wrong. Raises ControlError, ConfigError, UsageError.
        """
        try:
            plans = await self._plan(draft)
        except forms.Refused as refused:
            return DraftKept(wrong=(_wrong(refused),))
        moving = await self._moving(plans)
        secrets = [plain for of_one in moving for plain in of_one]
        async with self._securing.keeping(secrets):
            for plan, of_one in zip(plans, moving, strict=True):
                await self._write(plan, of_one)
        names = tuple(dict.fromkeys(each.name for each in secrets))
        return DraftKept(names=tuple(plan.name for plan in plans), secrets=names)

    async def _write(self, plan: _Planned, moving: list[Plain]) -> None:
        entry = _secured(plan.entry, moving)
        if plan.before is None:
            await asyncio.to_thread(edit.add_server, self._config, plan.name, _json(entry))
            return
        changes = {
            keys: None if value is None else _value_at(entry, keys)
            for keys, value in plan.changes.items()
        }
        change = partial(
            edit.change_server, self._config, plan.old_name, changes, before=plan.before
        )
        if plan.name == plan.old_name:
            await asyncio.to_thread(change, new_name=plan.name)
            return
        # Before the file says so: a server that is gone from it loses its sign-in.
        await self._rename(plan.old_name, plan.name)
        try:
            await asyncio.to_thread(change, new_name=plan.name)
        except McpmuxError:
            await self._rename(plan.name, plan.old_name)
            raise

    async def _plan(self, draft: Draft) -> tuple[_Planned, ...]:
        """Raises Refused, ControlError, ConfigError."""
        entries = await self._entries()
        if draft.form is not None:
            plans: tuple[_Planned, ...] = (self._of_form(draft.form, entries),)
        else:
            # Many characters take a while.
            plans = await asyncio.to_thread(self._of_paste, draft, entries)
        for plan in plans:
            if (problem := self._spec(plan).problem) is not None:
                what = f"{plan.name}: " if len(plans) > 1 else ""
                raise forms.Refused(_field(draft), f"{what}{problem.reason}")
        return plans

    def _of_form(self, form: EntryForm, entries: Mapping[str, dict[str, object]]) -> _Planned:
        before = _entry(entries, form.server)
        if form.copy_of or form.name != form.server:
            _check_name(form.name, entries)
        changes = forms.changes(form, before, self._folder)
        entry = deepcopy(dict(before))
        edit.put(entry, changes)
        if form.copy_of:
            return _Planned(form.name, entry)
        return _Planned(form.name, entry, before, form.server, changes)

    def _of_paste(
        self, draft: Draft, entries: Mapping[str, dict[str, object]]
    ) -> tuple[_Planned, ...]:
        try:
            found = pasted.read(
                draft.pasted, home=Path.home(), taken=entries, own=Entry.model_fields
            )
        except Unreadable as error:
            raise forms.Refused("pasted", str(error)) from None
        if any(is_own(each.entry, self._own_url()) for each in found):
            raise forms.Refused("pasted", "It leads to mcpmux itself, which would go in a circle.")
        if draft.name and len(found) == 1:
            _check_name(draft.name, entries)
            found = (replace(found[0], name=draft.name),)
        return tuple(_Planned(each.name, dict(each.entry), notes=each.notes) for each in found)

    async def _moving(self, plans: Iterable[_Planned]) -> list[list[Plain]]:
        """Of each, the secrets in plain text that are not in the config yet, as they would be
        kept: no two values under one name."""
        values: dict[str, str] = {}
        moving: list[list[Plain]] = []
        for plan in plans:
            old = () if plan.before is None else self._plain(plan.old_name, plan.before)
            known = {(each.where, each.written) for each in old}
            moving.append([])
            for each in self._plain(plan.name, plan.entry):
                if (each.where, each.written) in known:
                    continue
                plain = first = await self._securing.named(each, plan.name)
                number = 2
                while values.setdefault(plain.name, plain.value) != plain.value:
                    plain = first.renamed(f"{first.name}_{number}")
                    number += 1
                moving[-1].append(plain)
        return moving

    def _plain(self, name: str, entry: Mapping[str, object]) -> tuple[Plain, ...]:
        launch = server_spec(name, dict(entry), folder=self._folder).launch
        return () if launch is None else tuple(plain_secrets(name, launch))

    def _spec(self, plan: _Planned) -> ServerSpec:
        return server_spec(plan.name, plan.entry, folder=self._folder)

    def _seen(self, plan: _Planned, moving: list[Plain]) -> DraftServer:
        entry = _secured(plan.entry, moving)
        spec = server_spec(plan.name, entry, folder=self._folder)
        # What stood in the config before is not shown here for the first time.
        hidden = {
            (each.where, each.written): each.renamed("").text.replace("${secret:}", HIDDEN)
            for each in self._plain(plan.name, entry)
        }

        def covered(where: str, text: str) -> str:
            return hidden.get((where, text), text)

        target = cwd = ""
        pairs: tuple[str, ...] = ()
        names: Iterable[str] = ()
        match spec.launch:
            case StdioLaunch(command, args, env):
                # Whole and quoted: a yes is to exactly this.
                words = (covered("command", command), *(covered("args", arg) for arg in args))
                target, cwd, names = shlex.join(words), spec.launch.cwd or "", env
                pairs = tuple(f"{key}={covered(f'env.{key}', env[key])}" for key in env)
            case HttpLaunch(url, headers):
                target = covered("url", url)
                pairs = tuple(
                    f"{key}: {covered(f'headers.{key}', headers[key])}" for key in headers
                )
        return DraftServer(
            name=plan.name,
            kind=_KINDS.get(transport_of(spec.launch) or "", ""),
            target=exact(target),
            pairs=tuple(map(exact, pairs)),
            cwd=exact(cwd),
            moves=tuple(each.name for each in moving),
            notes=(
                *plan.notes,
                *loaders(names),
                *map(one_line, spec.warnings),
                *([] if spec.enabled else ["It is disabled: nothing starts it until x does."]),
            ),
        )

    @property
    def _folder(self) -> Path:
        return self._config.absolute().parent

    async def _entries(self) -> dict[str, dict[str, object]]:
        return await asyncio.to_thread(file.entries, self._config)


def _field(draft: Draft) -> str:
    return "pasted" if draft.form is None else "target"


def _wrong(refused: forms.Refused) -> Wrong:
    return Wrong(name=refused.field, why=str(refused))


def _check_name(name: str, taken: Iterable[str]) -> None:
    if problem := name_problem(name):
        raise forms.Refused("name", problem)
    if name in taken:
        raise forms.Refused("name", f"There is a server named {name} already.")


def _entry(entries: Mapping[str, dict[str, object]], server: str) -> dict[str, object]:
    try:
        return entries[server]
    except KeyError:
        raise ControlError(
            f"There is no entry named {one_line(server)} in the config.",
            "`Edit file` on the screen opens the file in your editor.",
        ) from None


def _secured(entry: Mapping[str, object], moving: list[Plain]) -> dict[str, object]:
    secured = deepcopy(dict(entry))
    edit.rewrite_entry(secured, referring(moving))
    return secured


def _json(entry: dict[str, object]) -> Mapping[str, JsonValue]:
    # It comes from a file or a paste; a date, which TOML alone has, is written as it was read.
    return cast("Mapping[str, JsonValue]", entry)


def _value_at(entry: Mapping[str, object], keys: tuple[str, ...]) -> JsonValue:
    value: object = entry
    for key in keys:
        value = value[key] if isinstance(value, dict) else None
    return cast("JsonValue", value)
