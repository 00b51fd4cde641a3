"""The servers of the config in use: one supervisor each, replaced where their entry changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from mcpmux_tui.config import plan
from mcpmux_tui.engine.outage import Outage
from mcpmux_tui.model.channel import Client
from mcpmux_tui.model.errors import NoSuchServer
from mcpmux_tui.model.ports import Journal, Values
from mcpmux_tui.model.server import ON_THE_WAY, SERVING, Action, Health, ServerSnapshot
from mcpmux_tui.model.spec import ServerSpec
from mcpmux_tui.text import one_line
from mcpmux_tui.upstream.attempt import Authorize
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.list_cache import ListCache
from mcpmux_tui.upstream.supervisor import Supervisor

WANTS_A_PERSON: Final = frozenset({Health.NEEDS_INPUT, Health.NEEDS_SIGN_IN, Health.FAILED})
"""States that the log tells of: a headless engine has no other way to say so."""

_log = logging.getLogger(__name__)


class Fleet(Mapping[str, Supervisor]):
    """The supervisors by name, in the order of the config.

    `audience` tells who hears what a server says that belongs to no call, `listed` is called with
    a server whose lists are not what they were, `changed` when doors have something new to see.
    """

    def __init__(
        self,
        *,
        values: Values,
        children: Children,
        journal: Journal,
        cache: ListCache,
        audience: Callable[[str], Client],
        authorize: Authorize,
        listed: Callable[[str, frozenset[str]], None],
        changed: Callable[[], None],
    ) -> None:
        self.outage = Outage()
        self._values = values
        self._children = children
        self._journal = journal
        self._cache = cache
        self._audience = audience
        self._authorize = authorize
        self._tell_listed = listed
        self._tell_changed = changed
        self._servers: dict[str, Supervisor] = {}
        self._told: dict[str, ServerSnapshot] = {}
        self._handovers: dict[str, asyncio.Task[None]] = {}
        self._moved = asyncio.Event()
        self._closing = False

    def __getitem__(self, name: str) -> Supervisor:
        return self._servers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._servers)

    def __len__(self) -> int:
        return len(self._servers)

    def named(self, name: str) -> Supervisor:
        """The server that a person named. Raises NoSuchServer where there is none."""
        try:
            return self._servers[name]
        except KeyError:
            raise NoSuchServer(one_line(name)) from None

    def apply(self, specs: Sequence[ServerSpec]) -> plan.Plan:
        """Run these servers from now on, and return what that changes.

        Who is the same runs on untouched; who is new starts at once.
        """
        changes = plan.diff([each.spec for each in self._servers.values()], specs)
        gone = {
            spec.name: self._servers.pop(spec.name) for spec in (*changes.removed, *changes.changed)
        }
        self._servers = {
            spec.name: self._servers.get(spec.name) or self._supervisor(spec) for spec in specs
        }
        for spec in changes.unchanged:
            self._servers[spec.name].describe(spec)
        for spec in changes.removed:
            self._cache.forget(spec.name)
            self._told.pop(spec.name, None)
        self._changed()
        for name in (*gone, *(spec.name for spec in changes.added)):
            self._hand_over(name, gone.get(name), self._servers.get(name))
        return changes

    def restart(self, name: str) -> None:
        """Connect a server anew, unless it is disabled or gone."""
        supervisor = self._servers.get(name)
        if supervisor is not None and supervisor.snapshot.state is not Health.DISABLED:
            supervisor.post(Action.RESTART)

    def wake(self) -> None:
        """Look at once how every server is."""
        for supervisor in self._servers.values():
            supervisor.wake()

    async def settled(self) -> None:
        """Wait until no server is on its way."""
        while any(each.snapshot.state in ON_THE_WAY for each in self._servers.values()):
            self._moved.clear()
            await self._moved.wait()

    async def close(self) -> None:
        """Stop all servers at once; their children are gone afterwards, and none starts again."""
        self._closing = True
        await asyncio.gather(
            *(each.close() for each in self._servers.values()), *self._handovers.values()
        )

    def _supervisor(self, spec: ServerSpec) -> Supervisor:
        return Supervisor(
            spec,
            values=self._values,
            children=self._children,
            journal=self._journal,
            changed=self._server_changed,
            listed=self._server_listed,
            audience=self._audience(spec.name),
            authorize=self._authorize,
            lists=self._cache.last(spec),
        )

    def _hand_over(self, name: str, old: Supervisor | None, new: Supervisor | None) -> None:
        """Start `new` once nothing runs under its name any more; nobody else waits for that."""
        before = self._handovers.get(name)

        def start() -> None:
            if new is not None and self._servers.get(name) is new and not self._closing:
                new.start()

        if before is None and old is None:
            start()
            return

        async def hand_over() -> None:
            if before is not None:
                await asyncio.wait({before})
            if old is not None:
                await old.close()
            start()

        def over(task: asyncio.Task[None]) -> None:
            if self._handovers.get(name) is task:
                del self._handovers[name]

        task = asyncio.create_task(hand_over(), name=f"{name}-handover")
        self._handovers[name] = task
        task.add_done_callback(over)

    def _server_listed(self, name: str, announced: frozenset[str]) -> None:
        supervisor = self._servers.get(name)
        if supervisor is not None and supervisor.snapshot.state in SERVING:
            self._cache.keep(supervisor.spec, supervisor.lists)
        self._tell_listed(name, announced)

    def _server_changed(self, name: str) -> None:
        supervisor = self._servers.get(name)
        if supervisor is not None:
            now, before = supervisor.snapshot, self._told.get(name)
            self._told[name] = now
            if before is not None and (now.state, now.since) == (before.state, before.since):
                # It was used, as happens all the time: that is for doors to see, and no more.
                self._tell_changed()
                return
            if (before is None or now.state is not before.state) and now.state in WANTS_A_PERSON:
                _log.warning("%s: %s. %s", name, now.state.word, now.summary)
        self._changed()

    def _changed(self) -> None:
        self.outage.look(self._servers.values())
        self._moved.set()
        self._tell_changed()
