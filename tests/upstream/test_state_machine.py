"""Random walks over the supervisor: whatever happens in whatever order, its rules hold."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpmux_tui.model.channel import Item, Kind, Lists
from mcpmux_tui.model.errors import ConnectionLost, InputMissing, McpmuxError, StartFailed
from mcpmux_tui.model.server import Action, Health, ServerSnapshot, allowed_actions
from mcpmux_tui.model.spec import Launch, ServerSpec, StdioLaunch
from mcpmux_tui.upstream import supervisor as room
from mcpmux_tui.upstream.attempt import Down, Event, Listed, Over, Paused, Spawned, Up
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.negotiation import Peer
from mcpmux_tui.upstream.session import Session
from mcpmux_tui.upstream.supervisor import Supervisor
from mcpmux_tui.upstream.troubles import Ended, NotUnderstood, not_authorized
from tests.upstream.rig import DEADLINE, Ears, Lines, PlainValues

LIMITS = Limits(retry_first=0.0, retry_most=0.0, jitter=0.0, crashes=3)
LAUNCH = StdioLaunch("server")
LISTS = Lists({Kind.TOOLS: (Item("one", b'{"name":"one"}'),)})

_DOWNS = {
    Health.FAILED,
    Health.NEEDS_INPUT,
    Health.NEEDS_SIGN_IN,
    Health.RECONNECTING,
    Health.CONNECTING,
}
_RESTS = {Health.STOPPING, Health.IDLE, Health.DISABLED, Health.CONNECTING}
LEGAL = {
    Health.DISABLED: {Health.CONNECTING},
    Health.IDLE: {Health.CONNECTING, Health.DISABLED},
    Health.CONNECTING: {Health.CONNECTED, Health.DEGRADED, Health.STOPPING} | _DOWNS,
    Health.CONNECTED: {Health.DEGRADED, Health.STOPPING} | _DOWNS,
    Health.DEGRADED: {Health.CONNECTED, Health.STOPPING} | _DOWNS,
    Health.STOPPING: {Health.IDLE, Health.DISABLED, Health.CONNECTING},
    Health.RECONNECTING: _RESTS,
    Health.NEEDS_INPUT: _RESTS,
    Health.NEEDS_SIGN_IN: _RESTS,
    Health.FAILED: _RESTS,
}
DOWNS: dict[str, McpmuxError] = {
    "crash": Ended("exited with code 1 after 0.1 s"),
    "lost": ConnectionLost("broke", "Try again."),
    "permanent": StartFailed("command not found", "Install it.", permanent=True),
    "input": InputMissing(("KEY",)),
    "sign-in": not_authorized(),
}


class ScriptedAttempt:
    """Stands in for an attempt; the walk says what it reports and when nothing is left of it."""

    all: list[ScriptedAttempt]

    def __init__(
        self, generation: int, *_: object, report: Callable[[Event], None], **__: object
    ) -> None:
        self.generation = generation
        self.report = report
        self.stopped = False
        self.down = False
        self.over = asyncio.Event()
        ScriptedAttempt.all.append(self)

    def start(self, launch: Launch, previous: Set[asyncio.Task[None]]) -> asyncio.Task[None]:
        async def last() -> None:
            if previous:
                await asyncio.wait(previous)
            await self.over.wait()

        task = asyncio.create_task(last())
        task.add_done_callback(lambda _: self.report(Over(self.generation)))
        return task

    def stop(self, farewell: ConnectionLost) -> None:
        self.stopped = True

    @property
    def live(self) -> bool:
        return not (self.stopped or self.down or self.over.is_set())


@dataclass(frozen=True)
class Walker:
    supervisor: Supervisor
    seen: list[ServerSnapshot]

    async def settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    async def step(self, kind: str, which: str, back: int) -> None:
        attempts = ScriptedAttempt.all
        attempt = attempts[-1 - back % len(attempts)] if attempts else None
        before = self.supervisor.snapshot
        if kind == "act":
            action = Action(which)
            if action in allowed_actions(before.state):
                self.supervisor.post(action)
        elif kind == "wake":
            self.supervisor.wake()
        elif kind == "late":
            for old in attempts[:-1]:
                old.report(Spawned(old.generation, 1))
                old.report(Up(old.generation, LAUNCH, _session(), Lists(), None))
                old.report(Down(old.generation, DOWNS[which]))
            await self.settle()
            after = self.supervisor.snapshot
            assert after.generation > before.generation or after.state is before.state
        elif attempt is not None:
            ending = kind == "over" or attempt.down
            late = attempt.generation != before.generation or attempt.stopped
            self.tell(attempt, kind, which)
            await self.settle()
            if late and not ending:
                after = self.supervisor.snapshot
                assert after.generation > before.generation or after.state is before.state
        await self.settle()

    def tell(self, attempt: ScriptedAttempt, kind: str, which: str) -> None:
        """Report only what a real attempt can: nothing after `Down` but `Over`."""
        generation = attempt.generation
        if attempt.down or attempt.over.is_set():
            attempt.over.set()
            return
        match kind:
            case "spawned":
                attempt.report(Spawned(generation, 100 + generation))
            case "up":
                attempt.report(Up(generation, LAUNCH, _session(), LISTS, None))
            case "listed":
                error = ConnectionLost("no list") if which == "lost" else None
                attempt.report(Listed(generation, None if error else LISTS, error))
            case "paused":
                busy = NotUnderstood("busy", permanent=False, retry_after=60.0)
                attempt.report(Paused(generation, busy))
            case "down":
                attempt.down = True
                attempt.report(Down(generation, DOWNS[which]))
            case _:
                if attempt.stopped:
                    attempt.over.set()

    def check(self) -> None:
        states = [each.state for each in self.seen]
        for one, two in itertools.pairwise(states):
            assert one is two or two in LEGAL[one], f"{one} -> {two}"
        for each in self.seen:
            assert each.action is not None or each.state is Health.STOPPING
            waits = each.retry_at is not None
            assert waits or each.state is not Health.RECONNECTING
            assert not waits or each.state in {Health.RECONNECTING, Health.DEGRADED}
            if each.state in {Health.FAILED, Health.NEEDS_INPUT, Health.NEEDS_SIGN_IN}:
                assert each.detail
                assert each.summary
        generations = [each.generation for each in self.seen]
        assert generations == sorted(generations)
        assert sum(attempt.live for attempt in ScriptedAttempt.all) <= 1


def _session() -> Session:
    members = {
        "peer": Peer("2025-11-25"),
        "pid": 7,
        "wake": lambda self: None,
        "wish": lambda self, wishes: None,
    }
    session: Any = type("Up", (), members)()
    return cast("Session", session)


STEPS = st.one_of(
    st.tuples(st.just("act"), st.sampled_from(sorted(Action)), st.just(0)),
    st.tuples(st.sampled_from(["down", "late"]), st.sampled_from(sorted(DOWNS)), st.integers(0, 2)),
    st.tuples(
        st.sampled_from(["spawned", "up", "listed", "paused", "wake", "over"]),
        st.sampled_from(["", "lost"]),
        st.integers(0, 2),
    ),
)


@pytest.mark.behaviour(
    "MUX-C01", "MUX-C04", "MUX-C05", "MUX-S01", "MUX-S02", "LIB-C08", "PRX-H01", "P21", "P22", "P23"
)
@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=40), enabled=st.booleans())
def test_no_walk_makes_an_illegal_move_or_a_dead_end(
    steps: list[tuple[str, str, int]], enabled: bool
) -> None:
    async def walk() -> None:
        ScriptedAttempt.all = []
        seen: list[ServerSnapshot] = []
        supervisor = Supervisor(
            ServerSpec("walker", LAUNCH, enabled=enabled),
            values=PlainValues(),
            children=Children("test"),
            journal=Lines(),
            changed=lambda _: seen.append(supervisor.snapshot),
            listed=lambda name, announced: None,
            audience=Ears(),
            limits=LIMITS,
        )
        walker = Walker(supervisor, seen)
        seen.append(supervisor.snapshot)
        supervisor.start()
        for kind, which, back in steps:
            await walker.step(kind, which, back)
            walker.check()
        closing = asyncio.create_task(supervisor.close())
        async with asyncio.timeout(DEADLINE):
            while not closing.done():
                for attempt in ScriptedAttempt.all:
                    attempt.over.set()
                await walker.settle()
        assert supervisor.snapshot.state is Health.IDLE

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "Attempt", ScriptedAttempt)
        asyncio.run(walk())
