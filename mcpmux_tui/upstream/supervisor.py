"""One server's life: events into one task, which alone moves its state and replaces its snapshot.

disabled --enable--> connecting --up--> connected --down--> reconnecting --timer--> connecting
idle ----connect---> connecting --down, a person must act--> needs_input, needs_sign_in, failed
anything --disconnect, disable, restart--> stopping --over--> idle, disabled, connecting
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from mcpmux_tui.model.channel import Channel, Client, Lists, Wishes
from mcpmux_tui.model.errors import (
    ConnectionLost,
    InputMissing,
    McpmuxError,
    SignInRequired,
    UpstreamError,
)
from mcpmux_tui.model.ports import Journal, Values
from mcpmux_tui.model.server import ON_THE_WAY, SERVING, Action, Health, ServerSnapshot
from mcpmux_tui.model.spec import HttpLaunch, ServerSpec, StdioLaunch
from mcpmux_tui.text import NAME_LIMIT, one_line
from mcpmux_tui.upstream import words
from mcpmux_tui.upstream.attempt import (
    Attempt,
    Authorize,
    Down,
    Event,
    Listed,
    Over,
    Paused,
    Spawned,
    Up,
    nobody,
)
from mcpmux_tui.upstream.backoff import Backoff
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.negotiation import Era
from mcpmux_tui.upstream.session import Session
from mcpmux_tui.upstream.troubles import NotTrusted, NotUnderstood, Unreachable
from mcpmux_tui.upstream.words import Condition, Use


@dataclass(frozen=True, slots=True)
class _Due:
    """The wait before the next attempt, or the pause a server asked for, is over."""

    generation: int


class _Woken:
    """This machine was asleep, or the network is back."""


class _Wanted:
    """A call waits for a server whose next attempt is some way off."""


class _Called:
    """Calls have ended that are not counted yet."""


class _Close:
    """The supervisor is to end."""


class Supervisor:
    """Implements the Upstream port for one entry of the config."""

    def __init__(
        self,
        spec: ServerSpec,
        *,
        values: Values,
        children: Children,
        journal: Journal,
        changed: Callable[[str], None],
        listed: Callable[[str, frozenset[str]], None],
        audience: Client,
        authorize: Authorize = nobody,
        lists: Lists | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`lists` are those of an earlier run, good until the server says otherwise; `audience`
        hears what the server says that belongs to no call. `listed` is called when the lists have
        changed, or the server said so of the named capabilities."""
        self._spec = spec
        self._values = values
        self._children = children
        self._journal = journal
        self._tell_changed = changed
        self._tell_listed = listed
        self._audience = audience
        self._authorize = authorize
        self._wishes = Wishes()
        self._limits = limits = (limits or Limits()).within(spec.deadlines)
        self._events: asyncio.Queue[Action | Event | _Due | _Woken | _Wanted | _Called | _Close] = (
            asyncio.Queue()
        )
        self._task: asyncio.Task[None] | None = None
        self._generation = 0
        self._attempt: Attempt | None = None
        """The newest one, until nothing of it is left."""
        self._attempts: set[asyncio.Task[None]] = set()
        """All that are not over; an older one may still climb its stop ladder."""
        self._session: Session | None = None
        self._launch = spec.launch
        """The entry's, with the transport that turned out to be right."""
        self._era: Era | None = None
        self._backoff = Backoff(limits.retry_first, limits.retry_most, limits.jitter)
        self._crashes: deque[float] = deque(maxlen=limits.crashes)
        self._timer: asyncio.TimerHandle | None = None
        self._after_stop = Health.IDLE
        self._cut_off = False
        """Whether the last try found no way to the server."""
        self._wanted: Condition | None = None
        """The wait that a call has ended, and when that was."""
        self._wanted_at = -math.inf
        self._use = Use()
        self._uncounted: list[str] = []
        self._moved = asyncio.Event()
        self._lists = lists or Lists()
        self._condition = Condition(Health.CONNECTING if spec.enabled else Health.DISABLED)
        if spec.enabled and spec.launch is None:
            self._condition = Condition(Health.FAILED, error=words.problem_of(spec))
        self._snapshot = self._picture()

    @property
    def spec(self) -> ServerSpec:
        """The entry this server was made from."""
        return self._spec

    def describe(self, spec: ServerSpec) -> None:
        """Take over an entry that says how clients see the server, not how it runs."""
        if spec != self._spec:
            self._spec = spec
            self._set(self._condition)

    @property
    def snapshot(self) -> ServerSnapshot:
        """The server at this moment."""
        return self._snapshot

    @property
    def cut_off(self) -> bool | None:
        """Whether no way leads to a server on another machine; None: there is none, or it is not
        wanted."""
        launch = self._spec.launch
        if not isinstance(launch, HttpLaunch) or not launch.remote:
            return None
        wanted = self._condition.health in ON_THE_WAY | SERVING
        return self._cut_off if wanted else None

    @property
    def lists(self) -> Lists:
        """The last good lists; empty while the server is disabled."""
        return self._lists

    def start(self) -> None:
        """Begin to run; connects at once if the entry is enabled and can be used."""
        if self._condition.health is Health.CONNECTING:
            self._begin()
        self._task = asyncio.create_task(self._run(), name=f"{self._spec.name}-supervisor")

    def post(self, action: Action) -> None:
        """Do what a person asked for, as soon as the task gets to it."""
        self._events.put_nowait(action)

    def wake(self) -> None:
        """This machine was asleep, or the network is back: look at once how the server is."""
        self._events.put_nowait(_Woken())

    @property
    def channel(self) -> Channel | None:
        """The live channel; see the port."""
        return self._session

    async def ready(self, patience: float) -> Channel:
        """The live channel; see the port. Raises NotConnected."""
        if (session := self._session) is not None:
            return session
        try:
            async with asyncio.timeout(patience):
                while self._session is None:
                    condition = self._condition
                    late = (condition.retry_at or 0.0) - time.time() > patience
                    if condition.health not in ON_THE_WAY:
                        break
                    if not self._tries_now(condition) and late:
                        break
                    await self._moved.wait()
        except TimeoutError:
            pass
        if self._session is None:
            raise words.refusal(self._spec.name, self._condition)
        return self._session

    def _tries_now(self, condition: Condition) -> bool:
        """Have a server in back-off tried for a call, but not too often, and not against its wish.

        Whether that attempt is about to begin.
        """
        if condition is self._wanted:
            return True
        error = condition.error
        wants_a_pause = isinstance(error, UpstreamError) and error.retry_after is not None
        now = asyncio.get_running_loop().time()
        if (
            condition.health is not Health.RECONNECTING
            or wants_a_pause
            or now - self._wanted_at < self._limits.try_pause
        ):
            return False
        self._wanted, self._wanted_at = condition, now
        self._events.put_nowait(_Wanted())
        return True

    def wish(self, wishes: Wishes) -> None:
        """Have the server tell what clients want to hear; kept over reconnects."""
        self._wishes = wishes
        if self._session is not None:
            self._session.wish(wishes)

    def forget_client(self, key: str) -> None:
        """A client that may have had a session of its own is gone."""
        if self._session is not None:
            self._session.forget(key)

    def record_call(self, tool: str, *, ok: bool) -> None:
        """Count one finished call, for the row."""
        self._uncounted.append(tool)
        if len(self._uncounted) == 1:
            loop = asyncio.get_running_loop()
            loop.call_later(self._limits.count_pause, self._events.put_nowait, _Called())

    async def close(self) -> None:
        """Stop the server and this supervisor; its child is gone afterwards."""
        if self._task is not None:
            self._events.put_nowait(_Close())
            await asyncio.wait({self._task})
            self._task = None

    async def _run(self) -> None:
        while not isinstance(event := await self._events.get(), _Close):
            self._handle(event)
        self._stop(Health.IDLE)
        if self._attempts:
            await asyncio.wait(self._attempts)
        self._rest(Health.IDLE)

    def _handle(self, event: Action | Event | _Due | _Woken | _Wanted | _Called | _Close) -> None:
        stopping = self._condition.health is Health.STOPPING
        match event:
            case Action():
                self._act(event)
            case _Called():
                self._count()
            case _Woken():
                self._wake()
            case _Wanted():
                self._try_now()
            case Over(generation=generation) if generation == self._generation:
                self._attempt = None
                if stopping:
                    self._rest(self._after_stop)
            case _ if stopping or getattr(event, "generation", None) != self._generation:
                # Late news of what was given up.
                return
            case Spawned(pid=pid):
                self._set(replace(self._condition, pid=pid))
            case Up():
                self._up(event)
            case Listed() if self._condition.health in SERVING:
                self._take_lists(self._condition, event.lists, event.error, event.announced)
            case Paused(error=error) if self._condition.health is Health.CONNECTED:
                self._pause(error)
            case Down(error=error, on_probe=on_probe):
                self._note(error.message)
                self._session = None
                self._down(error, on_probe)
            case _Due() if self._condition.health is Health.RECONNECTING:
                self._begin()
            case _Due() if self._condition.retry_at is not None:
                self._set(
                    replace(
                        self._condition,
                        health=Health.CONNECTED,
                        error=None,
                        retry_at=None,
                        since=time.time(),
                    )
                )

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

    def _wake(self) -> None:
        self._backoff.reset()
        if self._session is not None:
            self._session.wake()
        else:
            self._try_now()

    def _try_now(self) -> None:
        if self._condition.health is Health.RECONNECTING:
            self._cancel_timer()
            self._begin()

    def _up(self, event: Up) -> None:
        session = self._session = event.session
        self._cut_off = False
        self._era = session.peer.era
        self._launch = event.launch
        session.wish(self._wishes)
        self._note(f"connected, MCP {session.peer.version}")
        condition = Condition(
            Health.CONNECTED, self._generation, pid=session.pid, peer=session.peer
        )
        self._take_lists(condition, event.lists, event.error)

    def _take_lists(
        self,
        condition: Condition,
        lists: Lists | None,
        error: UpstreamError | None,
        announced: frozenset[str] = frozenset(),
    ) -> None:
        """Go on in `condition`, degraded where the lists could not be had."""
        news = lists is not None and lists != self._lists
        if lists is not None:
            self._lists = lists
            for sentence in lists.skipped if news else ():
                self._note(sentence)
        health = Health.CONNECTED if error is None else Health.DEGRADED
        since = condition.since if health is condition.health else time.time()
        self._set(replace(condition, health=health, error=error, since=since, retry_at=None))
        if news or announced:
            self._tell_listed(self._spec.name, announced)

    def _down(self, error: McpmuxError, on_probe: bool) -> None:
        """Decide what follows the end of a connection or of an attempt."""
        self._cancel_timer()
        before = self._condition
        self._cut_off = isinstance(error, Unreachable)
        remembered = before.health is Health.CONNECTING and self._launch != self._spec.launch
        if remembered:
            self._launch = self._spec.launch
        if before.health in SERVING and time.time() - before.since >= self._limits.healthy:
            self._backoff.reset()
        condition = Condition(Health.FAILED, self._generation, error=error)
        if isinstance(error, InputMissing):
            self._set(replace(condition, health=Health.NEEDS_INPUT))
        elif isinstance(error, SignInRequired):
            self._set(replace(condition, health=Health.NEEDS_SIGN_IN))
        elif remembered and isinstance(error, NotUnderstood):
            # The transport that was right once is not any more.
            self._begin()
        elif isinstance(error, NotTrusted) and self._era is not None:
            # It was trusted once: a login page of the network stands before it, and passes.
            self._wait(error)
        elif not isinstance(error, UpstreamError) or error.permanent:
            self._set(condition)
        elif self._ends_too_often():
            count, window = self._limits.crashes, self._limits.crash_window
            gave_up = f"It ended {count} times within {window:g} s, so no timer starts it again."
            self._set(replace(condition, gave_up=gave_up))
        elif on_probe and self._era is None:
            # Some servers end at a request they do not know: next they get `initialize` first.
            self._era = Era.LEGACY
            self._begin()
        else:
            self._wait(error)

    def _ends_too_often(self) -> bool:
        """Whether a child is not to be started again; an absent address is tried for ever."""
        if not isinstance(self._spec.launch, StdioLaunch):
            return False
        now = time.monotonic()
        self._crashes.append(now)
        full = len(self._crashes) == self._limits.crashes
        return full and now - self._crashes[0] <= self._limits.crash_window

    def _pause(self, error: UpstreamError) -> None:
        """Connected, but the server takes nothing for a while."""
        pause = error.retry_after or 0.0
        self._set_timer(pause)
        now = time.time()
        self._set(
            replace(
                self._condition,
                health=Health.DEGRADED,
                error=error,
                since=now,
                retry_at=now + pause,
            )
        )

    def _wait(self, error: UpstreamError) -> None:
        refuses = isinstance(self._launch, HttpLaunch) and not self._cut_off
        most = self._limits.retry_most_remote if refuses else None
        wait = max(self._backoff.next(most), error.retry_after or 0.0)
        self._set_timer(wait)
        self._set(
            Condition(
                Health.RECONNECTING,
                self._generation,
                error=error,
                attempt=self._backoff.count,
                retry_at=time.time() + wait,
            )
        )

    def _set_timer(self, wait: float) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(
            wait, self._events.put_nowait, _Due(self._generation)
        )

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop(self, after: Health) -> None:
        """End what there is, then rest in `after`."""
        self._cancel_timer()
        self._session = None
        if self._attempt is None:
            self._rest(after)
        else:
            self._after_stop = after
            self._attempt.stop(
                ConnectionLost("is being restarted", "Try again in a moment.")
                if after is Health.CONNECTING
                else ConnectionLost("was stopped", "Connect it again.")
            )
            self._set(Condition(Health.STOPPING, self._generation, pid=self._condition.pid))

    def _rest(self, health: Health) -> None:
        if health is Health.CONNECTING:
            return self._begin()
        dropped = health is Health.DISABLED and self._lists != Lists()
        if dropped:
            self._lists = Lists()
        self._set(Condition(health, self._generation))
        if dropped:
            self._tell_listed(self._spec.name, frozenset())
        return None

    def _begin(self) -> None:
        """Start the next attempt; what is left of older ones ends before."""
        launch = self._launch
        if launch is None:
            error = words.problem_of(self._spec)
            return self._set(Condition(Health.FAILED, self._generation, error=error))
        self._generation += 1
        self._attempt = Attempt(
            self._generation,
            self._spec,
            self._era,
            values=self._values,
            children=self._children,
            journal=self._journal,
            audience=self._audience,
            authorize=self._authorize,
            report=self._events.put_nowait,
            limits=self._limits,
        )
        task = self._attempt.start(launch, frozenset(self._attempts))
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)
        return self._set(
            Condition(Health.CONNECTING, self._generation, attempt=self._backoff.count)
        )

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
        return words.snapshot(self._spec, self._launch, self._condition, self._use, self._lists)

    def _note(self, text: str) -> None:
        self._journal.record(self._spec.name, text, source="mcpmux")
