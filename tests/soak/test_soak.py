"""Ten minutes of random faults: what has none must not notice, and nothing may add up.

`python -m pytest -m soak -n 0 -s`; MCPMUX_SOAK_SECONDS and MCPMUX_SOAK_SEED choose length and seed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import httpx2
import psutil
import pytest

from mcpmux_tui.model import rawjson
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.errors import UpstreamError
from mcpmux_tui.model.server import SERVING, Action, Health, allowed_actions
from mcpmux_tui.model.spec import HttpLaunch, Launch, ServerSpec
from mcpmux_tui.upstream import reaper
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.supervisor import Supervisor
from tests.fixtures.leaks import INSTANCE
from tests.upstream.rig import FIXTURES, QUICK, Ears, PlainValues, raw
from tests.upstream.test_state_machine import LEGAL

SECONDS = float(os.environ.get("MCPMUX_SOAK_SECONDS", "600"))
SEED = int(os.environ.get("MCPMUX_SOAK_SEED", "0")) or random.randrange(1, 10**6)  # noqa: S311
LIMITS = replace(QUICK, ping_after=1.0, ping=0.5, wake_ping=0.5, crash_window=30.0)
MIB = 1024 * 1024
PATIENCE = 30.0
"""What a call on a server without faults may be silent: only an answer that is lost takes longer,
however busy the machine."""


class Nowhere:
    """A journal that keeps nothing."""

    def record(self, server: str, line: str, *, source: str = "stderr") -> None:
        pass


@dataclass
class Server:
    """One supervisor, and whether it ever moved as it may not."""

    name: str
    launch: Launch
    children: Children
    knobs: str = ""
    """The address of a raw HTTP server's knobs."""
    silence: float = 1.0
    """What a call may be silent: soon over where calls are made to hang."""
    illegal: list[str] = field(default_factory=list)
    state: Health = Health.CONNECTING

    def __post_init__(self) -> None:
        self.moved = asyncio.Event()
        self.supervisor = Supervisor(
            ServerSpec(self.name, self.launch, timeout=self.silence),
            values=PlainValues(),
            children=self.children,
            journal=Nowhere(),
            changed=self._changed,
            listed=lambda name, announced: None,
            audience=Ears(),
            limits=LIMITS,
        )
        self.supervisor.start()

    def _changed(self, _: str) -> None:
        now = self.supervisor.snapshot.state
        if now is not self.state and now not in LEGAL[self.state]:
            self.illegal.append(f"{self.state} -> {now}")
        self.state = now
        self.moved.set()

    async def reach(self, *states: Health) -> None:
        """Wait for one of these states; a failed server is retried as a person would."""
        async with asyncio.timeout(60):
            while self.state not in states:
                if self.state is Health.FAILED and Health.CONNECTED in states:
                    self.supervisor.post(Action.RETRY)
                elif self.state is Health.IDLE and Health.CONNECTED in states:
                    self.supervisor.post(Action.CONNECT)
                elif self.state is Health.DISABLED and Health.CONNECTED in states:
                    self.supervisor.post(Action.ENABLE)
                self.moved.clear()
                await self.moved.wait()

    async def call(self, tool: str, arguments: object, patience: float = 30.0) -> bytes:
        """One tool call."""
        channel = await self.supervisor.ready(patience)
        params = rawjson.dumps({"name": tool, "arguments": arguments})
        return await channel.request("tools/call", params, caller=Caller(), name=tool)


@dataclass
class Measured:
    """What must not add up, while nothing is connected."""

    memory: float
    tasks: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls) -> Measured:
        """At this moment."""
        gc.collect()
        process = psutil.Process()
        return cls(
            process.memory_info().rss / MIB,
            len(asyncio.all_tasks()),
            threading.active_count(),
            process.num_fds(),
        )


class Soak:
    """All servers, the calls on the steady ones, and the faults of the others."""

    def __init__(self, steady: list[Server], faulty: list[Server]) -> None:
        self.steady, self.faulty = steady, faulty
        self.random = random.Random(SEED)  # noqa: S311
        self.calls: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.failed: list[str] = []
        self.slowest = 0.0
        """The longest call of a minute on a server without faults."""
        self.lag = 0.0
        """By how much this loop was late at most: it makes calls slow that the servers do not."""
        self.measured: list[Measured] = []
        # Idle connections of its own would come and go among what is counted.
        no_pool = httpx2.Limits(max_keepalive_connections=0)
        self._client = httpx2.AsyncClient(trust_env=False, limits=no_pool)
        self._work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Minute after minute: faults, then a quiet point."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            await self.connect_all()
            stop = asyncio.Event()
            self.slowest = self.lag = 0.0
            calling = [asyncio.create_task(self._call_on(each, stop)) for each in self.steady]
            calling.append(asyncio.create_task(self._probe_lag(stop)))
            minute = min(time.monotonic() + 50, end)
            while time.monotonic() < minute:
                self._start(self._fault())
                await asyncio.sleep(0.5)
            stop.set()
            await asyncio.gather(*calling)
            await asyncio.gather(*self._work)
            await self.quiet()
        await self._client.aclose()

    async def connect_all(self) -> None:
        """Every server is connected, whatever happened to it."""
        for each in (*self.steady, *self.faulty):
            await each.reach(Health.CONNECTED)

    async def quiet(self) -> None:
        """Nothing is connected, so nothing may be left but what was there before."""
        servers = (*self.steady, *self.faulty)
        await self.connect_all()
        for each in servers:
            each.supervisor.post(Action.DISCONNECT)
        for each in servers:
            await each.reach(Health.IDLE)
        # Ends of connections are still on their way through the loop.
        await asyncio.sleep(1)
        now = Measured.now()
        self.measured.append(now)
        print(
            f"{len(self.measured):3} {now.memory:7.2f} MiB {now.tasks} tasks {now.threads} threads"
            f" {now.descriptors} descriptors, {self.faults.total()} faults,"
            f" {self.calls.total()} calls, {len(self.failed)} failed, the slowest took"
            f" {self.slowest:.2f} s, the loop was {self.lag:.2f} s late",
            flush=True,
        )

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _call_on(self, server: Server, stop: asyncio.Event) -> None:
        while not stop.is_set():
            value = f"{server.name}-{self.calls[server.name]}"
            self.calls[server.name] += 1
            began = time.monotonic()
            try:
                if value.encode() not in await server.call("echo", {"value": value}):
                    self.failed.append(f"{value}: another one's answer")
            except UpstreamError as error:
                self.failed.append(f"{value}: {error}")
            self.slowest = max(self.slowest, time.monotonic() - began)
            await asyncio.sleep(0.05)

    async def _probe_lag(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            due = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            self.lag = max(self.lag, time.monotonic() - due)

    async def _fault(self) -> None:
        server = self.random.choice(self.faulty)
        choices = [self._act, self._wake, self._call("hang"), self._call("grow"), self._slow]
        if server.knobs:
            knobs = ["drop-sessions", "close-streams", "grow", "status/503/2", "status/429/1",
                     "cut/2", "cut-stream/2"]  # fmt: skip
            choices += [self._knob(each) for each in knobs]
        else:
            signals = [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM]
            choices += [self._signal(each) for each in signals]
            choices += [self._call("crash"), self._junk]
        fault = self.random.choice(choices)
        self.faults[fault.__name__] += 1
        with suppress(UpstreamError, httpx2.HTTPError):
            await fault(server)

    async def _act(self, server: Server) -> None:
        state = server.state
        actions = sorted(allowed_actions(state))
        server.supervisor.post(self.random.choice(actions))

    async def _wake(self, server: Server) -> None:
        server.supervisor.wake()

    async def _slow(self, server: Server) -> None:
        await asyncio.gather(
            *(server.call("slow", {"seconds": 0.3, "progress": 0.1}, 1.0) for _ in range(3)),
            return_exceptions=True,
        )

    async def _junk(self, server: Server) -> None:
        broken = '{"jsonrpc":"2.0","id":$ID,"result":{]}\n'
        text = self.random.choice(["junk\n" * 100, broken, "\xff\xfe\n", "x" * 100_000])
        await server.call("write", {"stdout": text, "stderr": "y" * 100_000}, 1.0)

    def _call(self, tool: str) -> Callable[[Server], Awaitable[None]]:
        async def call(server: Server) -> None:
            await server.call(tool, {"seconds": 3}, 1.0)

        call.__name__ = tool
        return call

    def _knob(self, knob: str) -> Callable[[Server], Awaitable[None]]:
        async def turn(server: Server) -> None:
            await self._client.post(f"{server.knobs}/do/{knob}")
            await server.call("echo", {}, 1.0)

        turn.__name__ = knob
        return turn

    def _signal(self, number: signal.Signals) -> Callable[[Server], Awaitable[None]]:
        async def send(server: Server) -> None:
            pid = server.supervisor.snapshot.pid
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

        send.__name__ = number.name
        return send


@asynccontextmanager
async def raw_http(*flags: str) -> AsyncIterator[str]:
    """A raw HTTP server in a process of its own; its address."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(FIXTURES / "raw_http.py"), *flags, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        yield (await child.stdout.readline()).decode().strip()
    finally:
        child.kill()
        await child.wait()


async def warm_up() -> None:
    """Start all threads that the default executor may ever have."""
    barrier = threading.Barrier(min(32, (os.cpu_count() or 1) + 4))
    await asyncio.gather(*(asyncio.to_thread(barrier.wait) for _ in range(barrier.parties)))


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.behaviour("X18")
async def test_ten_minutes_of_faults_harm_nobody_else_and_leave_nothing() -> None:
    print(f"\nseed {SEED}, {SECONDS:g} s")
    await warm_up()
    children = Children(INSTANCE, LIMITS)
    async with AsyncExitStack() as stack:

        async def http(name: str, *flags: str, silence: float = 1.0) -> Server:
            url = await stack.enter_async_context(raw_http(*flags))
            knobs = url.removesuffix("/mcp")
            return Server(name, HttpLaunch(url), children, knobs, silence)

        steady = [
            Server("steady-stdio-2025", raw("--legacy-only"), children, silence=PATIENCE),
            Server("steady-stdio-2026", raw("--modern-only"), children, silence=PATIENCE),
            await http("steady-http-2025", "--legacy-only", silence=PATIENCE),
            await http("steady-http-2026", "--modern-only", "--sse", silence=PATIENCE),
        ]
        faulty = [
            Server("stdio-2025", raw("--legacy-only"), children),
            Server("stdio-2026", raw("--modern-only"), children),
            Server("stdio-family", raw("--grandchild"), children),
            Server("stdio-stubborn", raw("--stubborn", "--grandchild"), children),
            await http("http-2025", "--legacy-only"),
            await http("http-2025-sse", "--legacy-only", "--sse", "--event-ids"),
            await http("http-2026", "--modern-only", "--retry-after", "1"),
            await http("old-sse", "--old-sse", "--legacy-only"),
        ]
        soak = Soak(steady, faulty)
        try:
            await soak.run()
        finally:
            await asyncio.gather(*(each.supervisor.close() for each in (*steady, *faulty)))
            await children.close()
    print(json.dumps(soak.faults.most_common()))
    assert soak.failed == []
    assert [each.illegal for each in (*steady, *faulty)] == [[]] * 12
    assert reaper.marked(f"{INSTANCE}/") == set()
    first, *_, last = soak.measured[min(1, len(soak.measured) - 1) :] * 2
    assert {(each.tasks, each.threads, each.descriptors) for each in soak.measured} == {
        (last.tasks, last.threads, last.descriptors)
    }
    assert last.memory - first.memory < 2
    assert all(each.state not in SERVING for each in (*steady, *faulty))
