"""What the tests of this room share: a supervisor on real peers, and waits for its states."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from mcpmux_tui.model import jsonrpc, rawjson
from mcpmux_tui.model.channel import Caller, Channel, Client
from mcpmux_tui.model.errors import RpcError
from mcpmux_tui.model.server import Health, ServerSnapshot
from mcpmux_tui.model.spec import Launch, ServerSpec, StdioLaunch
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.supervisor import Supervisor
from tests.fixtures.leaks import INSTANCE

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
DEADLINE = 15.0

QUICK = Limits(
    retry_first=0.05,
    retry_most=0.4,
    jitter=0.0,
    refresh_pause=0.05,
    probe=0.5,
    eof=0.3,
    term=0.3,
)
"""The real limits with shorter waits."""
UNHURRIED = replace(QUICK, eof=DEADLINE, term=DEADLINE)
"""What comes before the stop ladder has come so far does not wait for it."""


def raw(*flags: str, env: Mapping[str, str] | None = None) -> StdioLaunch:
    """The raw stdio server with these flags."""
    return StdioLaunch(sys.executable, (str(FIXTURES / "raw_stdio.py"), *flags), env=env or {})


class PlainValues:
    """Values without placeholders."""

    async def resolve(self, launch: Launch) -> Launch:
        return launch

    def environment(self) -> Mapping[str, str]:
        return os.environ


class Lines:
    """A journal that keeps everything."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def record(self, server: str, line: str, *, source: str = "stderr") -> None:
        self.lines.append((source, line))

    def of(self, source: str) -> list[str]:
        """The lines of one source."""
        return [line for each, line in self.lines if each == source]


class Ears:
    """Who keeps what it hears, and answers nothing."""

    owner = None

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._heard = asyncio.Event()

    def notified(self, method: str, params: bytes) -> None:
        self.heard.append((method, params))
        self._heard.set()

    async def hears_more(self) -> None:
        """Wait for the next thing it hears."""
        self._heard.clear()
        await self._heard.wait()

    def takes(self, method: str, params: bytes) -> bool:
        return True

    async def asked(self, method: str, params: bytes) -> bytes:
        raise RpcError(jsonrpc.error_object(-32601, "nobody"), -32601, "nobody")


class Rig:
    """One supervisor under test."""

    def __init__(self, spec: ServerSpec, limits: Limits, values: PlainValues | None = None) -> None:
        self.journal = Lines()
        self.seen: list[ServerSnapshot] = []
        self.listings = 0
        self.audience = Ears()
        self._moved = asyncio.Event()
        self.children = Children(INSTANCE, limits)
        self.supervisor = Supervisor(
            spec,
            values=values or PlainValues(),
            children=self.children,
            journal=self.journal,
            changed=self._changed,
            listed=self._listed,
            audience=self.audience,
            limits=limits,
        )

    @property
    def snapshot(self) -> ServerSnapshot:
        return self.supervisor.snapshot

    @property
    def states(self) -> list[str]:
        """The states so far, without repeats."""
        states: list[str] = []
        for each in self.seen:
            if not states or states[-1] != each.state:
                states.append(each.state)
        return states

    def _changed(self, name: str) -> None:
        self.seen.append(self.supervisor.snapshot)
        self._moved.set()

    def _listed(self, name: str, announced: frozenset[str]) -> None:
        self.listings += 1
        self._moved.set()

    async def until(self, met: Callable[[ServerSnapshot], object]) -> ServerSnapshot:
        """Wait for a snapshot that meets the condition."""
        async with asyncio.timeout(DEADLINE):
            while not met(self.snapshot):
                self._moved.clear()
                await self._moved.wait()
        return self.snapshot

    async def reach(self, state: Health) -> ServerSnapshot:
        """Wait for a state."""
        return await self.until(lambda snapshot: snapshot.state is state)

    async def channel(self) -> Channel:
        """The live channel."""
        return await self.supervisor.ready(DEADLINE)

    async def call(
        self, tool: str, arguments: str = "{}", *, client: Client | None = None, **meta: object
    ) -> bytes:
        """The raw result of one tool call; `client` hears what the server says meanwhile."""
        more = b',"_meta":%b' % rawjson.dumps(meta) if meta else b""
        params = b'{"name":%b,"arguments":%b%b}' % (
            rawjson.dumps(tool),
            arguments.encode(),
            more,
        )
        channel = await self.channel()
        return await channel.request(
            "tools/call", params, caller=Caller(), name=tool, client=client
        )


@asynccontextmanager
async def running(
    launch: Launch | None,
    *,
    limits: Limits = QUICK,
    spec: ServerSpec | None = None,
    silence: float = 300.0,
    values: PlainValues | None = None,
) -> AsyncIterator[Rig]:
    """A started supervisor; closed at the end."""
    rig = Rig(spec or ServerSpec("fixture", launch, timeout=silence), limits, values)
    rig.supervisor.start()
    try:
        yield rig
    finally:
        await rig.supervisor.close()
        await rig.children.close()


def group(pgid: int) -> list[psutil.Process]:
    """The live processes of a process group."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == pgid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return found
