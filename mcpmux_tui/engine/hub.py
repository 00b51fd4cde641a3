"""The hub: one supervisor a server, the proxy before them, the log behind them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Final

from mcpmux_tui import __version__
from mcpmux_tui.activity.log import LogBook
from mcpmux_tui.config import edit, file, plan, watch
from mcpmux_tui.config.plain import plain_secrets
from mcpmux_tui.config.resolve import Resolver, names_in
from mcpmux_tui.engine.adopted import reap_adopted
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.engine.login_shell import LoginShell
from mcpmux_tui.engine.outage import Outage
from mcpmux_tui.engine.wake import wakes
from mcpmux_tui.model.channel import Item, Kind
from mcpmux_tui.model.errors import (
    ConfigError,
    ControlError,
    McpmuxError,
    PortInUse,
    UsageError,
)
from mcpmux_tui.model.secret import Secret
from mcpmux_tui.model.server import (
    ON_THE_WAY,
    SERVING,
    Action,
    EngineSnapshot,
    Health,
    ProxySnapshot,
    ServerSnapshot,
    allowed_actions,
    suggested_action,
)
from mcpmux_tui.model.settings import UiChange
from mcpmux_tui.model.spec import Config, HttpLaunch, ServerSpec
from mcpmux_tui.proxy import Proxy
from mcpmux_tui.text import one_line
from mcpmux_tui.upstream.attempt import nobody
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.list_cache import ListCache
from mcpmux_tui.upstream.supervisor import Supervisor
from mcpmux_tui.vault.choice import vault
from mcpmux_tui.vault.redact import Redactor
from mcpmux_tui.vault.values import NamedValues

if TYPE_CHECKING:
    # What a door asks for is imported when one does: servers start before that.
    import httpx2

    from mcpmux_tui.control.protocol import Check
    from mcpmux_tui.engine.drafts import Drafts
    from mcpmux_tui.engine.given import Given
    from mcpmux_tui.engine.securing import Securing
    from mcpmux_tui.engine.sign_ins import SignIns
    from mcpmux_tui.engine.trial import Trial
    from mcpmux_tui.engine.trying import Trying

LEFTOVERS_AFTER = 6.0
"""Seconds from the start to a look at what earlier runs left behind."""

WATCH_AFTER = 1.0
"""Seconds from the start to the watch of the config, unless all servers have settled before."""

WANTS_A_PERSON: Final = frozenset({Health.NEEDS_INPUT, Health.NEEDS_SIGN_IN, Health.FAILED})
"""States that the log tells of: a headless engine has no other way to say so."""

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
        self.token = token
        self.redactor = Redactor()
        self.logs = LogBook(instance.folder / "logs", clean=self.redactor.clean, heard=self._said)
        self.publish: Callable[[], None] = lambda: None
        self.proxy = Proxy(
            token=token, spec=config.proxy, changed=self._changed, clean=self.redactor.clean
        )
        self._config = config
        self._config_error = ""
        self._demo = demo
        self._wakes = wakes
        self._login_shell = login_shell
        self._children = Children(instance.folder.name)
        self._vault_choice = config.vault
        self._vault = vault(instance.folder, config.vault)
        self.stored = stored = NamedValues(self._vault, hide=self.redactor.hide)
        self._values = Resolver(
            os.environ,
            stored=stored,
            inputs=lambda: self._config.inputs,
            hide=self.redactor.hide,
            completed=None if login_shell is None else login_shell.environment,
        )
        self._sign_ins: SignIns | None = None
        self._drafts: Drafts | None = None
        self._cache = ListCache(instance.folder / "lists")
        self._supervisors: dict[str, Supervisor] = {}
        self._told: dict[str, ServerSnapshot] = {}
        self._redacted: dict[str, tuple[ServerSnapshot, ServerSnapshot]] = {}
        self._port_trouble: McpmuxError | None = None
        self._reloading = asyncio.Lock()
        self._stopping = False
        self._handovers: dict[str, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._forgetting: set[asyncio.Task[None]] = set()
        self._outage = Outage()
        self._leftovers: tuple[str, ...] = ()
        self._moved = asyncio.Event()

    @cached_property
    def given(self) -> Given:
        """The values that people give."""
        from mcpmux_tui.engine.given import Given

        return Given(
            self.stored,
            self._vault,
            self._values,
            servers=lambda: self._supervisors,
            inputs=lambda: self._config.inputs,
        )

    @cached_property
    def securing(self) -> Securing:
        """What moves secrets out of the config."""
        from mcpmux_tui.engine.securing import Securing

        return Securing(self.instance.config, self.stored, self._vault)

    @cached_property
    def trying(self) -> Trying:
        """What people try out."""
        from mcpmux_tui.engine.trying import Trying

        return Trying(self.supervisor, self.proxy.public_name, self.proxy.questions.ask)

    @property
    def drafts(self) -> Drafts:
        """The servers that people are about to add or change."""
        if self._drafts is None:
            from mcpmux_tui.engine.drafts import Drafts

            async def rename(old: str, new: str) -> None:
                await self.sign_ins.rename(old, new)

            self._drafts = Drafts(
                self.instance.config, self.securing, self._trial, lambda: self.url, rename
            )
        return self._drafts

    @property
    def sign_ins(self) -> SignIns:
        """Who is signed in where."""
        if self._sign_ins is None:
            from mcpmux_tui.engine.sign_ins import SignIns

            self._sign_ins = SignIns(
                self._vault,
                self.instance.folder,
                hide=self.redactor.hide,
                changed=lambda _: self._changed(),
                ready=self._retry_sign_in,
                failed=lambda name, why: self.logs.record(name, f"sign-in: {why}", source="mcpmux"),
            )
        return self._sign_ins

    async def start(self, port: int, *, port_required: bool) -> None:
        """Listen, then start every server in the background.

        Raises PortInUse or UsageError if `port_required`; else doors show the port's trouble.
        """
        servers = self._config.servers
        await asyncio.to_thread(self._prepare, servers)
        self._supervisors = {spec.name: self._supervisor(spec) for spec in servers}
        try:
            await self.proxy.bind(port)
        except (PortInUse, UsageError) as error:
            if port_required:
                raise
            self._port_trouble = error
        self.proxy.set_upstreams(self._supervisors)
        for supervisor in self._supervisors.values():
            supervisor.start()
        await self.proxy.serve()
        self._tasks = [
            asyncio.create_task(self._watch(), name="config-watch"),
            asyncio.create_task(self._wake(), name="wake"),
            asyncio.create_task(self._look_for_leftovers(), name="leftovers"),
            asyncio.create_task(reap_adopted(), name="adopted"),
        ]

    async def stop(self) -> None:
        """Stop listening and stop all servers at once, in bounded time; once is enough."""
        if self._stopping:
            return
        self._stopping = True
        self._children.hurried = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(
            self.proxy.stop(),
            *(each.close() for each in self._supervisors.values()),
            *self._handovers.values(),
            *self._forgetting,
        )
        if self._drafts is not None:
            await self._drafts.close()
        if self._sign_ins is not None:
            await self._sign_ins.close()
        self._vault.close()
        if self._login_shell is not None:
            await self._login_shell.close()
        await self._children.close()
        await self._cache.close()
        await asyncio.to_thread(self.logs.close)

    @property
    def url(self) -> str | None:
        """The proxy's address, or None while it cannot listen."""
        return None if self._port_trouble else self.proxy.url

    def snapshot(self) -> EngineSnapshot:
        """Everything a door shows."""
        trouble = self._port_trouble
        return EngineSnapshot(
            proxy=ProxySnapshot(
                url=self.url,
                pid=os.getpid(),
                auth=self.token is not None,
                error=trouble.message if trouble else "",
                hint=trouble.hint if trouble else "",
                clients=self.proxy.clients,
                knocks=self.proxy.knocks,
            ),
            servers=tuple(map(self._shown, self._supervisors.values())),
            questions=self.proxy.questions.pending,
            warnings=(*self._config.warnings, *self._about_the_vault()),
            config_path=str(self.instance.config),
            config_error=self._config_error,
            offline=self._outage.servers,
            leftovers=self._leftovers,
            ui=self._config.ui,
            demo=self._demo,
            version=__version__,
        )

    def _about_the_vault(self) -> Iterator[str]:
        """What a person should know of where secrets are kept, a sentence each."""
        if self._vault_choice == "file":
            yield 'Secrets are kept in a plain file: [vault] backend = "file".'
        if self._vault_choice == "auto" and (why := self._vault.passing):
            yield f'Sign-ins are not kept ({why}). [vault] backend = "file" keeps them in a file.'
        if self._config.vault != self._vault_choice:
            yield "The change of [vault] counts from the next start of mcpmux."

    def _shown(self, supervisor: Supervisor) -> ServerSnapshot:
        snapshot = self._without_secrets(supervisor.snapshot)
        changes: dict[str, object] = {}
        warnings = self.proxy.collisions(snapshot.name)
        sign_ins = self._sign_ins
        if sign_ins is not None and (signed := sign_ins.signed(snapshot.name)) is not None:
            warnings += (signed.warning,) if signed.warning else ()
            if signed.signed_in:
                changes = {
                    "signed_in": True,
                    "account": signed.account or "",
                    "renews_at": signed.renews_at,
                }
        if snapshot.state is Health.NEEDS_SIGN_IN:
            changes |= self._signing_in(snapshot)
        if snapshot.state is Health.CONNECTING and (said := self._last_said(snapshot)):
            changes["summary"] = f"{snapshot.summary}: {said}"
        if warnings:
            changes["warnings"] = (*snapshot.warnings, *warnings)
        return snapshot.model_copy(update=changes) if changes else snapshot

    def _said(self, name: str) -> None:
        """A server wrote a line: while it starts, its row shows it."""
        supervisor = self._supervisors.get(name)
        if supervisor is not None and supervisor.snapshot.state is Health.CONNECTING:
            self.publish()

    def _last_said(self, snapshot: ServerSnapshot) -> str:
        """What a server last wrote of its start: a package runner may take minutes."""
        for last in self.logs.page(snapshot.name, limit=1):
            if last.source == "stderr" and last.time >= (snapshot.since or 0):
                return last.text[:100]
        return ""

    def _without_secrets(self, snapshot: ServerSnapshot) -> ServerSnapshot:
        """The same, each looked through once: most rows stay as they are most of the time."""
        known = self._redacted.get(snapshot.name)
        if known is None or known[0] is not snapshot:
            texts = ("summary", "detail", "target")
            cleaned = {
                name: text
                for name in texts
                if (text := self.redactor.clean(getattr(snapshot, name))) != getattr(snapshot, name)
            }
            known = (snapshot, snapshot.model_copy(update=cleaned) if cleaned else snapshot)
            self._redacted[snapshot.name] = known
        return known[1]

    def _signing_in(self, snapshot: ServerSnapshot) -> dict[str, object]:
        """What a sign-in under way, or the end of the last one, changes in a row."""
        if (under_way := self.sign_ins.under_way(snapshot.name)) is not None:
            step = under_way.step
            return {
                "state": Health.SIGNING_IN,
                "since": step.since,
                "summary": f"at {step.host}",
                "detail": f"It waits for you at {step.host}. `Sign in` on its row shows the address"
                f" again, and so does `mcpmux login {snapshot.name}`.",
                "action": suggested_action(Health.SIGNING_IN),
            }
        if (failure := self.sign_ins.failure(snapshot.name)) is not None:
            return {"summary": failure.message, "detail": f"{failure}\n{snapshot.detail}"}
        return {}

    def supervisor(self, name: str) -> Supervisor:
        """The named server. Raises ControlError."""
        try:
            return self._supervisors[name]
        except KeyError:
            raise ControlError(
                f"There is no server named {one_line(name)}.", "`mcpmux list` shows the names."
            ) from None

    def items(self, name: str | None, kind: Kind) -> list[tuple[str, Item]]:
        """What one server, or all of them, list of one kind. Raises ControlError."""
        names = list(self._supervisors) if name is None else [name]
        return [(each, item) for each in names for item in self.supervisor(each).lists.of(kind)]

    async def act(self, name: str, action: Action) -> None:
        """Do what a person asked of a server.

        Raises ControlError where the server's state does not allow it.
        """
        supervisor = self.supervisor(name)
        state = self._shown(supervisor).state
        if state is Health.SIGNING_IN and action is Action.CANCEL:
            self.sign_ins.cancel(name)
            return
        if action is Action.ENTER_VALUES:
            missing = " ".join(supervisor.snapshot.missing[:1])
            raise ControlError(
                f"{name} waits for values of yours.", f"`mcpmux secret set {missing}` asks for one."
            )
        if action is Action.SIGN_IN:
            raise ControlError(
                "A sign-in needs a browser of yours.", f"`mcpmux login {name}` opens it."
            )
        if action not in allowed_actions(state):
            raise ControlError(
                f"{name} is {state.word} now, so {action.value} does not apply.",
                "Look at its row again and press the key it shows.",
            )
        if action in {Action.ENABLE, Action.DISABLE}:
            await asyncio.to_thread(
                edit.set_enabled, self.instance.config, name, action is Action.ENABLE
            )
            await self.reload()
        else:
            supervisor.post(action)

    async def remove(self, name: str) -> tuple[str, ...]:
        """Take a server out of the config; its sign-in goes too.

        Returns the names of the kept values it used, which stay. Raises McpmuxError.
        """
        launch = self.supervisor(name).spec.launch
        used = names_in(launch, self._config.inputs) if launch is not None else frozenset()
        await asyncio.to_thread(edit.remove_server, self.instance.config, name)
        await self.reload()
        kept = {each.name for each in await asyncio.to_thread(self.stored.names)}
        return tuple(sorted(used & kept))

    async def examine(self, name: str) -> tuple[Check, ...]:
        """Check one server, up to the first thing that does not hold. Raises ControlError."""
        supervisor = self.supervisor(name)
        await asyncio.to_thread(import_module, "mcpmux_tui.engine.doctor")
        from mcpmux_tui.engine.doctor import examine

        checks = examine(
            supervisor.spec,
            self._values,
            self.sign_ins,
            lambda: self._shown(supervisor),
            self.redactor.clean,
        )
        return tuple([each async for each in checks])

    async def remote_launch(self, name: str) -> HttpLaunch:
        """The address of a remote server, placeholders filled.

        Raises ControlError for another server, InputMissing, ConfigError.
        """
        launch = self.supervisor(name).spec.launch
        if not isinstance(launch, HttpLaunch):
            raise ControlError(
                f"{name} runs on this machine: nobody signs in to it.",
                "What it needs to know goes into `env` of its entry.",
            )
        resolved = await self._values.resolve(launch)
        if not isinstance(resolved, HttpLaunch):
            raise TypeError("a launch resolves to its own kind")
        return resolved

    async def logout(self, name: str, *, reset: bool) -> bool:
        """Log a server out; whether its authorization server was told. Raises McpmuxError."""
        launch = await self.remote_launch(name)
        told = await self.sign_ins.logout(name, launch, reset=reset)
        supervisor = self.supervisor(name)
        if supervisor.snapshot.state is not Health.DISABLED:
            supervisor.post(Action.RESTART)
        return told

    def _retry_sign_in(self, name: str) -> None:
        supervisor = self._supervisors.get(name)
        if supervisor is not None and supervisor.snapshot.state is not Health.DISABLED:
            supervisor.post(Action.RESTART)

    async def settled(self) -> None:
        """Wait until no server is on its way."""
        while any(each.snapshot.state in ON_THE_WAY for each in self._supervisors.values()):
            self._moved.clear()
            await self._moved.wait()

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

    async def change_ui(self, change: UiChange) -> None:
        """Write a person's choice into the config. Raises ConfigError where that cannot be."""
        path = self.instance.config
        await asyncio.to_thread(edit.set_ui, path, change, create=not self.instance.required)
        await self.reload()

    def _apply(self, config: Config) -> None:
        changes = plan.diff(self._config, config)
        self._config = config
        gone = {
            spec.name: self._supervisors.pop(spec.name)
            for spec in (*changes.removed, *changes.changed)
        }
        self._supervisors = {
            spec.name: self._supervisors.get(spec.name) or self._supervisor(spec)
            for spec in config.servers
        }
        for spec in changes.unchanged:
            self._supervisors[spec.name].describe(spec)
        for spec in changes.removed:
            self._cache.forget(spec.name)
            self._redacted.pop(spec.name, None)
            self._forget_sign_in(spec.name)
        self.proxy.set_upstreams(self._supervisors)
        self._changed()
        for name in (*gone, *(spec.name for spec in changes.added)):
            self._hand_over(name, gone.get(name), self._supervisors.get(name))

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

    def _hand_over(self, name: str, old: Supervisor | None, new: Supervisor | None) -> None:
        """Start `new` once nothing runs under its name any more; nobody else waits for that."""
        before = self._handovers.get(name)

        async def hand_over() -> None:
            if before is not None:
                await asyncio.wait({before})
            if old is not None:
                await old.close()
            if new is not None and self._supervisors.get(name) is new and not self._stopping:
                new.start()

        def over(task: asyncio.Task[None]) -> None:
            if self._handovers.get(name) is task:
                del self._handovers[name]

        task = asyncio.create_task(hand_over(), name=f"{name}-handover")
        self._handovers[name] = task
        task.add_done_callback(over)

    async def _watch(self) -> None:
        # What watches takes as long to import as five servers to start: they go first. The file is
        # read when the watch begins, so that nothing is missed.
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH_AFTER):
                await self.settled()
        async for _ in watch.changes(self.instance.config):
            try:
                await self.reload()
            except ConfigError as error:
                _log.warning("the changed config is not used: %s", error)

    async def end_leftovers(self) -> None:
        """End what an earlier run left behind, in bounded time."""
        await asyncio.to_thread(self._children.end_leftovers)
        self._leftovers = await asyncio.to_thread(self._children.leftovers)
        self._changed()

    async def _look_for_leftovers(self) -> None:
        # The watchdog of an engine that was killed just now may still be at its work.
        await asyncio.sleep(LEFTOVERS_AFTER)
        self._leftovers = await asyncio.to_thread(self._children.leftovers)
        if self._leftovers:
            _log.warning("left behind by an earlier run: %s", ", ".join(self._leftovers))
            self._changed()

    async def _wake(self) -> None:
        async for _ in self._wakes():
            _log.info("awake after a sleep: looking how every server is")
            for supervisor in self._supervisors.values():
                supervisor.wake()

    def _prepare(self, specs: Iterable[ServerSpec]) -> None:
        """Read and import what servers need, beside the loop."""
        self._cache.read(specs)
        if any(isinstance(spec.launch, HttpLaunch) for spec in specs):
            import_module("mcpmux_tui.engine.sign_ins")

    def _authorize(self, name: str, launch: HttpLaunch) -> httpx2.Auth | None:
        return self.sign_ins.authorize(name, launch)

    def _supervisor(self, spec: ServerSpec) -> Supervisor:
        return Supervisor(
            spec,
            values=self._values,
            children=self._children,
            journal=self.logs,
            changed=self._server_changed,
            listed=self._listed,
            audience=self.proxy.audience(spec.name),
            authorize=self._authorize,
            lists=self._cache.last(spec),
        )

    def _trial(self, spec: ServerSpec) -> Trial:
        """A server of a draft; signed in only where it is exactly one that there is."""
        live = self._supervisors.get(spec.name)
        same = live is not None and live.spec.launch == spec.launch
        if spec.launch is not None:
            for plain in plain_secrets(spec.name, spec.launch):
                self.redactor.hide(Secret(plain.value))
        from mcpmux_tui.engine.trial import Trial

        return Trial(
            spec,
            values=self._values,
            children=self._children,
            authorize=self._authorize if same else nobody,
            clean=self.redactor.clean,
        )

    def _listed(self, name: str, announced: frozenset[str]) -> None:
        supervisor = self._supervisors.get(name)
        if supervisor is not None and supervisor.snapshot.state in SERVING:
            self._cache.keep(supervisor.spec, supervisor.lists)
        self.proxy.lists_changed(name, announced)

    def _server_changed(self, name: str) -> None:
        supervisor = self._supervisors.get(name)
        if supervisor is not None:
            now, before = supervisor.snapshot, self._told.get(name)
            self._told[name] = now
            if before is not None and (now.state, now.since) == (before.state, before.since):
                # It was used, as happens all the time: that is for doors to see, and no more.
                self.publish()
                return
            if (before is None or now.state is not before.state) and now.state in WANTS_A_PERSON:
                _log.warning("%s: %s. %s", name, now.state.word, now.summary)
        self._changed()

    def _changed(self) -> None:
        self._outage.look(self._supervisors.values())
        self._moved.set()
        self.publish()
