"""One server's life: events into one task, which alone moves its state and replaces its snapshot.

    disabled --enable--> connecting --up--> connected --down--> reconnecting --timer--> connecting
    idle ----connect---> connecting --down, a person must act--> needs_input, needs_sign_in, failed
    anything --disconnect, disable, restart--> stopping --over--> idle, disabled, connecting

A life is one attempt, from spawn or first connect to the end of the stop ladder, in a task of its
own. It reports by events that carry its generation; those of an older one change nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mcpmux_tui.model.channel import Channel, Lists
from mcpmux_tui.model.errors import InputMissing, McpmuxError, StartFailed, UpstreamError
from mcpmux_tui.model.ports import Journal, Values
from mcpmux_tui.model.server import ON_THE_WAY, SERVING, Action, Health, ServerSnapshot
from mcpmux_tui.model.spec import HttpLaunch, Launch, ServerSpec, StdioLaunch
from mcpmux_tui.text import NAME_LIMIT, one_line
from mcpmux_tui.upstream import words
from mcpmux_tui.upstream.backoff import Backoff
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.negotiation import Era
from mcpmux_tui.upstream.session import Session
from mcpmux_tui.upstream.stdio import StdioTransport
from mcpmux_tui.upstream.transport import Transport
from mcpmux_tui.upstream.troubles import NotUnderstood, SignInNeeded
from mcpmux_tui.upstream.words import Condition, Use

if TYPE_CHECKING:
    from mcpmux_tui.upstream.http import HttpTransport


@dataclass(frozen=True, slots=True)
class _Spawned:
    generation: int
    pid: int | None


@dataclass(frozen=True, slots=True)
class _Up:
    generation: int
    session: Session


@dataclass(frozen=True, slots=True)
class _Listed:
    generation: int
    lists: Lists | None
    error: UpstreamError | None


@dataclass(frozen=True, slots=True)
class _Down:
    generation: int
    error: McpmuxError
    on_probe: bool = False


@dataclass(frozen=True, slots=True)
class _Over:
    generation: int


@dataclass(frozen=True, slots=True)
class _Due:
    generation: int


@dataclass(frozen=True, slots=True)
class _Called:
    pass


@dataclass(frozen=True, slots=True)
class _Close:
    pass


_Event = Action | _Spawned | _Up | _Listed | _Down | _Over | _Due | _Called | _Close


class _Life:
    """One attempt; `ending` is set once it needs no cancel any more."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.ending = False
        self.task: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        return self.task is None or self.task.done()


class Supervisor:
    """Implements the Upstream port for one entry of the config."""

    def __init__(
        self,
        spec: ServerSpec,
        *,
        values: Values,
        journal: Journal,
        changed: Callable[[str], None],
        listed: Callable[[str], None],
        limits: Limits | None = None,
    ) -> None:
        self._spec = spec
        self._values = values
        self._journal = journal
        self._tell_changed = changed
        self._tell_listed = listed
        self._limits = limits = limits or Limits()
        self._events: asyncio.Queue[_Event] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._life = _Life(0)
        self._session: Session | None = None
        self._era: Era | None = None
        self._backoff = Backoff(limits.retry_first, limits.retry_most, limits.jitter)
        self._crashes: deque[float] = deque(maxlen=limits.crashes)
        self._timer: asyncio.TimerHandle | None = None
        self._after_stop = Health.IDLE
        self._use = Use()
        self._uncounted: list[str] = []
        self._moved = asyncio.Event()
        self._lists = Lists()
        self._condition = Condition(Health.IDLE if spec.enabled else Health.DISABLED)
        if spec.enabled and spec.launch is None:
            self._condition = Condition(Health.FAILED, error=words.problem_of(spec))
        self._snapshot = self._picture()

    @property
    def spec(self) -> ServerSpec:
        """The entry this server was made from."""
        return self._spec

    @property
    def snapshot(self) -> ServerSnapshot:
        """The server at this moment."""
        return self._snapshot

    @property
    def lists(self) -> Lists:
        """The last good lists; empty while the server is disabled."""
        return self._lists

    def start(self) -> None:
        """Begin to run; connects at once if the entry is enabled and can be used."""
        if self._condition.health is Health.IDLE:
            self._begin()
        self._task = asyncio.create_task(self._run(), name=f"{self._spec.name}-supervisor")

    def post(self, action: Action) -> None:
        """Do what a person asked for, as soon as the task gets to it."""
        self._events.put_nowait(action)

    async def ready(self, patience: float) -> Channel:
        """The live channel; see the port. Raises NotConnected."""
        try:
            async with asyncio.timeout(patience):
                while (session := self._session) is None:
                    condition = self._condition
                    late = (condition.retry_at or 0.0) - time.time() > patience
                    if condition.health not in ON_THE_WAY or late:
                        break
                    await self._moved.wait()
        except TimeoutError:
            session = self._session
        if session is None:
            raise words.refusal(self._spec.name, self._condition)
        return session

    def record_call(self, tool: str, *, ok: bool) -> None:
        """Count one finished call, for the row."""
        self._uncounted.append(tool)
        if len(self._uncounted) == 1:
            self._events.put_nowait(_Called())

    async def close(self) -> None:
        """Stop the server and this supervisor; its child is gone afterwards."""
        if self._task is not None:
            self._events.put_nowait(_Close())
            await asyncio.wait({self._task})
            self._task = None

    async def _run(self) -> None:
        while True:
            event = await self._events.get()
            if isinstance(event, _Close):
                break
            self._handle(event)
        self._stop(Health.IDLE)
        if self._life.task is not None:
            await asyncio.wait({self._life.task})
        self._set(Condition(Health.IDLE, self._life.generation))

    def _handle(self, event: _Event) -> None:
        match event:
            case Action():
                self._act(event)
            case _Called():
                self._count()
            case _Over(generation) if generation == self._life.generation:
                if self._condition.health is Health.STOPPING:
                    self._rest(self._after_stop)
            case (
                _Spawned(generation=generation)
                | _Up(generation=generation)
                | _Listed(generation=generation)
                | _Down(generation=generation)
                | _Due(generation=generation)
            ) if generation == self._life.generation and (
                self._condition.health is not Health.STOPPING
            ):
                self._report(event)

    def _act(self, action: Action) -> None:
        health = self._condition.health
        match action:
            case Action.DISCONNECT | Action.CANCEL:
                if health is not Health.DISABLED:
                    self._stop(Health.IDLE)
            case Action.DISABLE:
                self._stop(Health.DISABLED)
            case Action.CONNECT if health in SERVING or health is Health.CONNECTING:
                pass
            case _:
                self._backoff.reset()
                self._crashes.clear()
                self._stop(Health.CONNECTING)

    def _report(self, event: _Event) -> None:
        match event:
            case _Spawned(pid=pid):
                self._set(self._condition.with_pid(pid))
            case _Up(session=session):
                self._session = session
                self._era = session.peer.era
                self._note(f"connected, MCP {session.peer.version}")
                self._set(
                    Condition(
                        Health.CONNECTED,
                        self._life.generation,
                        pid=session.pid,
                        peer=session.peer,
                    )
                )
            case _Listed(lists=lists, error=error):
                self._take_lists(lists, error)
            case _Down(error=error, on_probe=on_probe):
                self._note(f"{error.message}")
                self._down(error, on_probe)
            case _Due():
                self._begin()

    def _take_lists(self, lists: Lists | None, error: UpstreamError | None) -> None:
        health = Health.CONNECTED if error is None else Health.DEGRADED
        if lists is not None:
            for sentence in lists.skipped:
                self._note(sentence)
            changed, self._lists = lists != self._lists, lists
            if changed:
                self._tell_listed(self._spec.name)
        if health is self._condition.health:
            self._set(replace(self._condition, error=error))
        else:
            self._set(replace(self._condition, health=health, error=error, since=time.time()))

    def _down(self, error: McpmuxError, on_probe: bool) -> None:
        """Decide what follows the end of a connection or of an attempt."""
        healthy = time.time() - self._condition.since >= self._limits.healthy
        if self._condition.health in SERVING and healthy:
            self._backoff.reset()
        self._session = None
        generation = self._life.generation
        if isinstance(error, InputMissing):
            return self._set(Condition(Health.NEEDS_INPUT, generation, error=error))
        if isinstance(error, SignInNeeded):
            return self._set(Condition(Health.NEEDS_SIGN_IN, generation, error=error))
        if isinstance(error, StartFailed | NotUnderstood) and error.permanent:
            return self._set(Condition(Health.FAILED, generation, error=error))
        if self._loops():
            count, window = self._limits.crashes, self._limits.crash_window
            gave_up = f"That was the end number {count} within {window:g} s: no timer tries again."
            return self._set(Condition(Health.FAILED, generation, error=error, gave_up=gave_up))
        if on_probe and self._era is None:
            # Some servers end at a request they do not know: the next one gets `initialize` first.
            self._era = Era.LEGACY
            return self._begin()
        wait = self._backoff.next()
        self._timer = asyncio.get_running_loop().call_later(
            wait, self._events.put_nowait, _Due(generation)
        )
        return self._set(
            Condition(
                Health.RECONNECTING,
                generation,
                error=error,
                attempt=self._backoff.count,
                retry_at=time.time() + wait,
            )
        )

    def _loops(self) -> bool:
        """Whether a child ended too often lately. An address that is away may be tried for ever."""
        if not isinstance(self._spec.launch, StdioLaunch):
            return False
        now = time.monotonic()
        self._crashes.append(now)
        full = len(self._crashes) == self._limits.crashes
        return full and now - self._crashes[0] <= self._limits.crash_window

    def _stop(self, after: Health) -> None:
        """End the life there is, then rest in `after`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._session = None
        self._after_stop = after
        life = self._life
        if life.task is None or life.over:
            return self._rest(after)
        if not life.ending:
            life.ending = True
            life.task.cancel()
        return self._set(Condition(Health.STOPPING, life.generation, pid=self._condition.pid))

    def _rest(self, health: Health) -> None:
        if health is Health.CONNECTING:
            return self._begin()
        if health is Health.DISABLED and self._lists != Lists():
            self._lists = Lists()
            self._tell_listed(self._spec.name)
        return self._set(Condition(health, self._life.generation))

    def _begin(self) -> None:
        """Start a new life; it waits for the end of the one before."""
        if self._spec.launch is None:
            return self._set(
                Condition(Health.FAILED, self._life.generation, error=words.problem_of(self._spec))
            )
        previous, self._life = self._life.task, _Life(self._life.generation + 1)
        life = self._life
        life.task = asyncio.create_task(
            self._live(life, self._spec.launch, previous), name=f"{self._spec.name}-life"
        )
        life.task.add_done_callback(lambda task: self._ended(life, task))
        return self._set(Condition(Health.CONNECTING, life.generation, attempt=self._backoff.count))

    async def _live(self, life: _Life, launch: Launch, previous: asyncio.Task[None] | None) -> None:
        """One attempt from start to end; reports by events."""
        if previous is not None:
            await asyncio.wait({previous})
        generation = life.generation
        session: Session | None = None
        try:
            try:
                session = await self._session_for(await self._values.resolve(launch), generation)
                await self._open(session, launch, generation)
                self._events.put_nowait(_Up(generation, session))
                error: McpmuxError = await session.lost_with
            except (UpstreamError, InputMissing) as met:
                error = met
            if session is not None and session.lost_with.done():
                # The transport knows more than the request that was under way.
                error = session.lost_with.result()
            life.ending = True
            on_probe = session is not None and session.probing
            self._events.put_nowait(_Down(generation, error, on_probe))
        finally:
            if session is not None:
                await session.close()

    async def _open(self, session: Session, launch: Launch, generation: int) -> None:
        """Connect and fetch the lists, in bounded time. Raises UpstreamError."""
        remote = isinstance(launch, HttpLaunch)
        limits = self._limits
        patience = limits.remote_start if remote else limits.start
        probe = limits.remote_probe if remote else limits.probe
        try:
            async with asyncio.timeout(patience):
                await session.open(self._era, probe)
        except TimeoutError:
            raise StartFailed(
                f"not ready within {patience:g} s", "Its log may say what it waits for."
            ) from None
        lists: Lists | None = None
        failure: UpstreamError | None = None
        try:
            lists = await session.start()
        except UpstreamError as error:
            if session.lost_with.done():
                raise
            failure = error
        self._events.put_nowait(_Listed(generation, lists, failure))

    async def _session_for(self, launch: Launch, generation: int) -> Session:
        name = self._spec.name
        transport: Transport
        if isinstance(launch, StdioLaunch):
            transport = StdioTransport(
                name,
                launch,
                self._values.environment(),
                journal=self._journal,
                spawned=lambda pid: self._events.put_nowait(_Spawned(generation, pid)),
                limits=self._limits,
            )
        else:
            http = await asyncio.to_thread(_http_transport)
            transport = http(launch, limits=self._limits)
        return Session(
            name,
            transport,
            silence=self._spec.timeout,
            limits=self._limits,
            listed=lambda lists, error: self._events.put_nowait(_Listed(generation, lists, error)),
            note=self._note,
        )

    def _ended(self, life: _Life, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            stumble = StartFailed(
                f"mcpmux itself stumbled: {type(error).__name__}: {error}",
                "Please report this; a retry may help.",
                permanent=True,
            )
            self._events.put_nowait(_Down(life.generation, stumble))
        self._events.put_nowait(_Over(life.generation))

    def _count(self) -> None:
        tools, self._uncounted = self._uncounted, []
        self._use = Use(self._use.calls + len(tools), time.time(), one_line(tools[-1], NAME_LIMIT))
        self._set(self._condition)

    def _set(self, condition: Condition) -> None:
        self._condition = condition
        self._snapshot = self._picture()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        self._tell_changed(self._spec.name)

    def _picture(self) -> ServerSnapshot:
        return words.snapshot(self._spec, self._condition, self._use, len(self._lists.tools))

    def _note(self, text: str) -> None:
        self._journal.record(self._spec.name, text, source="mcpmux")


def _http_transport() -> type[HttpTransport]:
    """Imports httpx2, which takes a while."""
    from mcpmux_tui.upstream.http import HttpTransport

    return HttpTransport
