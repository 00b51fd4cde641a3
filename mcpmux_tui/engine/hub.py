"""The hub joins the rooms of one engine: who knows whom, what begins and ends in which order."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, suppress
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from mcpmux_tui import __version__
from mcpmux_tui.activity.log import LogBook
from mcpmux_tui.config import file, watch
from mcpmux_tui.config.resolve import Resolver
from mcpmux_tui.engine.adopted import reap_adopted
from mcpmux_tui.engine.fleet import Fleet
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.engine.leftovers import Leftovers
from mcpmux_tui.engine.login_shell import LoginShell
from mcpmux_tui.engine.rows import Rows
from mcpmux_tui.engine.wake import wakes
from mcpmux_tui.model.errors import ConfigError, McpmuxError, PortInUse, UsageError
from mcpmux_tui.model.server import EngineSnapshot, Health, ProxySnapshot
from mcpmux_tui.model.spec import Config, HttpLaunch, ServerSpec
from mcpmux_tui.proxy import Proxy
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.list_cache import ListCache
from mcpmux_tui.vault.choice import notes, vault
from mcpmux_tui.vault.redact import Redactor
from mcpmux_tui.vault.values import NamedValues

if TYPE_CHECKING:
    # Imported when a remote server starts, or a person asks: local servers start before that.
    import httpx2

    from mcpmux_tui.engine.sign_ins import SignIns

WATCH_AFTER = 1.0
"""Seconds from the start to the watch of the config, unless all servers have settled before."""

P = ParamSpec("P")
_log = logging.getLogger(__name__)


class Hub:
    """Everything one engine runs; `publish` is called when doors have something new to see."""

    def __init__(
        self,
        instance: Instance,
        config: Config,
        *,
        token: str | None,
        demo: bool = False,
        login_shell: LoginShell | None = None,
        wakes: Callable[[], AsyncIterator[None]] = wakes,
    ) -> None:
        self.instance = instance
        self.config = config
        """The one in use: the last that could be."""
        self.token = token
        self.publish: Callable[[], None] = lambda: None
        self.redactor = Redactor()
        self.logs = LogBook(instance.folder / "logs", clean=self.redactor.clean, heard=self._heard)
        self.proxy = Proxy(
            token=token, spec=config.proxy, changed=self._changed, clean=self.redactor.clean
        )
        self.rows = Rows(self.logs, clean=self.redactor.clean, collisions=self.proxy.collisions)
        self.vault = vault(instance.folder, config.vault)
        self.stored = NamedValues(self.vault, hide=self.redactor.hide)
        self.values = Resolver(
            os.environ,
            stored=self.stored,
            inputs=lambda: self.config.inputs,
            hide=self.redactor.hide,
            completed=None if login_shell is None else login_shell.environment,
        )
        self.children = Children(instance.folder.name)
        self.leftovers = Leftovers(self.children, self._changed)
        self._cache = ListCache(instance.folder / "lists")
        self.fleet = Fleet(
            values=self.values,
            children=self.children,
            journal=self.logs,
            cache=self._cache,
            audience=self.proxy.audience,
            authorize=self.authorize,
            listed=self.proxy.lists_changed,
            changed=self._changed,
        )
        self.under_way = AsyncExitStack()
        """What people have under way: it ends as servers do."""
        self._ground = AsyncExitStack()
        """What all else stands on: it ends last, the newest first."""
        self._ground.push_async_callback(asyncio.to_thread, self.logs.close)
        self._ground.push_async_callback(self._cache.close)
        self._ground.push_async_callback(self.children.close)
        if login_shell is not None:
            self._ground.push_async_callback(login_shell.close)
        self._ground.callback(self.vault.close)
        self._started = config
        """The one this engine started with: some of it counts from a start."""
        self._config_error = ""
        self._port_trouble: McpmuxError | None = None
        self._demo = demo
        self._wakes = wakes
        self._reloading = asyncio.Lock()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._forgetting: set[asyncio.Task[None]] = set()

    @cached_property
    def sign_ins(self) -> SignIns:
        """Who is signed in where."""
        from mcpmux_tui.engine.sign_ins import SignIns

        sign_ins = SignIns(
            self.vault,
            self.instance.folder,
            hide=self.redactor.hide,
            changed=lambda _: self._changed(),
            ready=self.fleet.restart,
            failed=lambda name, why: self.logs.record(name, f"sign-in: {why}", source="mcpmux"),
        )
        self._ground.push_async_callback(sign_ins.close)
        self.rows.sign_ins = sign_ins
        return sign_ins

    def authorize(self, name: str, launch: HttpLaunch) -> httpx2.Auth | None:
        """What puts who asks on the requests to a server; see `attempt.Authorize`."""
        return self.sign_ins.authorize(name, launch)

    async def start(self, port: int, *, port_required: bool) -> None:
        """Listen, then start every server in the background.

        Raises PortInUse or UsageError if `port_required`; else doors show the port's trouble.
        """
        await asyncio.to_thread(self._prepare, self.config.servers)
        try:
            await self.proxy.bind(port)
        except (PortInUse, UsageError) as error:
            if port_required:
                raise
            self._port_trouble = error
        self._apply(self.config)
        await self.proxy.serve()
        self._tasks = [
            asyncio.create_task(self._watch(), name="config-watch"),
            asyncio.create_task(self._wake(), name="wake"),
            asyncio.create_task(self.leftovers.look(), name="leftovers"),
            asyncio.create_task(reap_adopted(), name="adopted"),
        ]

    async def stop(self) -> None:
        """Stop listening and stop all servers at once, in bounded time; once is enough."""
        if self._stopping:
            return
        self._stopping = True
        self.children.hurried = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(
            self.proxy.stop(), self.fleet.close(), self.under_way.aclose(), *self._forgetting
        )
        await self._ground.aclose()

    def snapshot(self) -> EngineSnapshot:
        """Everything a door shows."""
        trouble = self._port_trouble
        return EngineSnapshot(
            proxy=ProxySnapshot(
                url=self.proxy.url,
                pid=os.getpid(),
                auth=self.token is not None,
                error=trouble.message if trouble else "",
                hint=trouble.hint if trouble else "",
                clients=self.proxy.clients,
                knocks=self.proxy.knocks,
            ),
            servers=tuple(self.rows.of(each.snapshot) for each in self.fleet.values()),
            questions=self.proxy.questions.pending,
            warnings=(*self.config.warnings, *self._notes()),
            config_path=str(self.instance.config),
            config_error=self._config_error,
            offline=self.fleet.outage.servers,
            leftovers=self.leftovers.found,
            ui=self.config.ui,
            demo=self._demo,
            version=__version__,
        )

    def _notes(self) -> Iterator[str]:
        if self.config.proxy != self._started.proxy:
            yield "The change of [proxy] counts from the next start of mcpmux."
        yield from notes(self.vault, self._started.vault, self.config.vault)

    async def edit(
        self, change: Callable[Concatenate[Path, P], object], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Change the file of the config, and use it. Raises McpmuxError."""
        await asyncio.to_thread(change, self.instance.config, *args, **kwargs)
        await self.reload()

    async def reload(self) -> None:
        """Read the config again and apply what changed; untouched servers stay untouched.

        Raises ConfigError for a file that cannot be used; the last good set runs on.
        """
        async with self._reloading:
            if self._stopping:
                return
            try:
                config = await asyncio.to_thread(
                    file.load, self.instance.config, required=self.instance.required
                )
            except ConfigError as error:
                self._config_error = str(error)
                self._changed()
                raise
            self._config_error = ""
            await asyncio.to_thread(self._prepare, config.servers)
            self._apply(config)

    def _prepare(self, specs: Iterable[ServerSpec]) -> None:
        """Read and import what servers need, beside the loop."""
        self._cache.read(specs)
        if any(isinstance(spec.launch, HttpLaunch) for spec in specs):
            import_module("mcpmux_tui.engine.sign_ins")

    def _apply(self, config: Config) -> None:
        self.config = config
        changes = self.fleet.apply(config.servers)
        # In the same turn of the loop: no server has said anything yet.
        self.proxy.set_upstreams(self.fleet)
        for spec in changes.removed:
            self.rows.forget(spec.name)
            self._forget_sign_in(spec.name)

    def _forget_sign_in(self, name: str) -> None:
        async def forget() -> None:
            await asyncio.to_thread(import_module, "mcpmux_tui.engine.sign_ins")
            try:
                await self.sign_ins.forget(name)
            except McpmuxError as error:
                _log.warning("what was kept of the sign-in to %s stays: %s", name, error)

        task = asyncio.create_task(forget(), name=f"{name}-forget")
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    async def _watch(self) -> None:
        # What watches takes as long to import as five servers to start: they go first. The file is
        # read when the watch begins, so that nothing is missed.
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH_AFTER):
                await self.fleet.settled()
        async for _ in watch.changes(self.instance.config):
            try:
                await self.reload()
            except ConfigError as error:
                _log.warning("the changed config is not used: %s", error)

    async def _wake(self) -> None:
        async for _ in self._wakes():
            _log.info("awake after a sleep: looking how every server is")
            self.fleet.wake()

    def _heard(self, name: str) -> None:
        """A server wrote a line: while it starts, its row shows it."""
        server = self.fleet.get(name)
        if server is not None and server.snapshot.state is Health.CONNECTING:
            self.publish()

    def _changed(self) -> None:
        # Who publishes is not known when the rooms are made.
        self.publish()
