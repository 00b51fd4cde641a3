"""One attempt at one server: from placeholders to the end of the stop ladder, in a task of its own.

It reports by events that carry its generation; those of an older one change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from mcpmux_tui.model.channel import Caller, Client, Lists
from mcpmux_tui.model.errors import (
    ConnectionLost,
    McpmuxError,
    SignInRequired,
    StartFailed,
    UpstreamError,
)
from mcpmux_tui.model.ports import Journal, Values
from mcpmux_tui.model.spec import HttpLaunch, Launch, ServerSpec, StdioLaunch
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.negotiation import Era
from mcpmux_tui.upstream.session import Session
from mcpmux_tui.upstream.stdio import StdioTransport
from mcpmux_tui.upstream.transport import Transport
from mcpmux_tui.upstream.troubles import Ended, NotUnderstood

if TYPE_CHECKING:
    import httpx2

    from mcpmux_tui.upstream.http import HttpTransport
    from mcpmux_tui.upstream.sse import SseTransport


Authorize = Callable[[str, HttpLaunch], "httpx2.Auth | None"]
"""What puts who asks on the requests to a server at a filled address; None where its own headers
say so. Called where httpx2 is imported already."""


def nobody(name: str, launch: HttpLaunch) -> None:
    """No server is signed in to."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A child runs."""

    generation: int
    pid: int


@dataclass(frozen=True, slots=True)
class Up:
    """Connected; with the first lists, or why there are none."""

    generation: int
    launch: Launch
    """What worked: its transport is no question any more."""
    session: Session
    lists: Lists | None
    error: UpstreamError | None


@dataclass(frozen=True, slots=True)
class Listed:
    """New lists, or why they could not be refreshed."""

    generation: int
    lists: Lists | None
    error: UpstreamError | None
    announced: frozenset[str] = frozenset()
    """Capabilities whose lists the server itself said have changed."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The server wants to be left alone for `error.retry_after` seconds."""

    generation: int
    error: UpstreamError


@dataclass(frozen=True, slots=True)
class Down:
    """The connection is gone or never came about; what is left of it is being cleaned up.

    `on_probe`: a child ended before it answered anything but perhaps the era probe.
    """

    generation: int
    error: McpmuxError
    on_probe: bool = False


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing is left of the attempt."""

    generation: int


Event = Spawned | Up | Listed | Paused | Down | Over


class Attempt:
    """Connects, serves and cleans up once; `era` is the one of an earlier connection."""

    def __init__(
        self,
        generation: int,
        spec: ServerSpec,
        era: Era | None,
        *,
        values: Values,
        children: Children,
        journal: Journal,
        audience: Client,
        authorize: Authorize,
        report: Callable[[Event], None],
        limits: Limits,
    ) -> None:
        self.generation = generation
        self._spec = spec
        self._era = era
        self._values = values
        self._children = children
        self._journal = journal
        self._audience = audience
        self._authorize = authorize
        self._report = report
        self._limits = limits
        self._ending = False
        self._farewell = ConnectionLost("was stopped")
        self._session: Session | None = None

    def start(self, launch: Launch, previous: Set[asyncio.Task[None]]) -> asyncio.Task[None]:
        """Begin once the `previous` attempts are over; the task ends with everything cleaned up."""
        self._task = asyncio.create_task(
            self._run(launch, previous), name=f"{self._spec.name}-attempt"
        )
        self._task.add_done_callback(self._over)
        return self._task

    def stop(self, farewell: ConnectionLost) -> None:
        """Begin to clean up, unless that is under way; calls in flight fail with `farewell`."""
        if not self._ending:
            self._farewell = farewell
            self._ending = True
            self._task.cancel()

    async def _run(self, launch: Launch, previous: Set[asyncio.Task[None]]) -> None:
        if previous:
            await asyncio.wait(previous)
        try:
            try:
                async with self._turn(launch):
                    up = await self._connect(launch)
                self._report(up)
                error: McpmuxError = await up.session.lost_with
            except McpmuxError as met:
                error = met
            session = self._session
            if session is not None and session.lost_with.done():
                # The transport knows more than the request that was under way.
                error = session.lost_with.result()
            # From here on a cancel would only disturb the stop ladder.
            self._ending = True
            self._farewell = ConnectionLost(error.message, error.hint)
            on_probe = isinstance(error, Ended) and session is not None and session.probing
            self._report(Down(self.generation, error, on_probe))
        finally:
            await self._close_session()

    async def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            # In a task of its own: before 3.11.4 no timeout ends in time in a cancelled one.
            closing = asyncio.create_task(session.close(self._farewell))
            await asyncio.wait({closing})
            closing.result()

    def _turn(self, launch: Launch) -> AbstractAsyncContextManager[None]:
        """Only children cost a machine something to start."""
        return self._children.starting() if isinstance(launch, StdioLaunch) else nullcontext()

    async def _connect(self, launch: Launch) -> Up:
        """Connect; to an address that does not speak Streamable HTTP, over the older transport.

        Raises McpmuxError.
        """
        try:
            return await self._open(launch)
        except NotUnderstood as error:
            older = _older(launch, error)
            if older is None:
                raise
            refusal = error
        await self._close_session()
        try:
            return await self._open(older)
        except SignInRequired:
            raise
        except UpstreamError:
            # It speaks neither; what it said to the newer one is to be shown.
            await self._close_session()
            raise refusal from None

    async def _open(self, launch: Launch) -> Up:
        """Connect and fetch the lists, in bounded time.

        Raises McpmuxError where no connection came about.
        """
        session = self._session = await self._session_for(launch)
        older = isinstance(launch, HttpLaunch) and launch.transport == "sse"
        await session.open(Era.LEGACY if older else self._era)
        try:
            lists, failure = await session.start(), None
        except UpstreamError as error:
            if session.lost_with.done():
                raise
            lists, failure = None, error
        return Up(self.generation, launch, session, lists, failure)

    async def _session_for(self, configured: Launch) -> Session:
        name = self._spec.name
        resolved = await self._values.resolve(configured)
        limits = self._limits
        # A launch resolves to its own kind.
        if isinstance(configured, StdioLaunch):

            def process(spawned: Callable[[int], None]) -> Transport:
                return StdioTransport(
                    name,
                    cast("StdioLaunch", resolved),
                    self._values.environment(),
                    configured=configured,
                    children=self._children,
                    journal=self._journal,
                    spawned=spawned,
                    limits=limits,
                )

            return self._session_over(process, limits.start, limits.probe)
        make = await asyncio.to_thread(_http_transport, configured)

        def connection(_: Callable[[int], None]) -> Transport:
            launch = cast("HttpLaunch", resolved)
            auth = self._authorize(name, launch)
            return make(launch, configured=configured, auth=auth, limits=limits)

        return self._session_over(connection, limits.remote_start, limits.remote_probe)

    def _session_over(
        self,
        connect: Callable[[Callable[[int], None]], Transport],
        start: float,
        probe: float,
        caller: Caller | None = None,
        main: Session | None = None,
    ) -> Session:
        name = self._spec.name

        def another(caller: Caller, main: Session) -> Session:
            return self._session_over(connect, start, probe, caller, main)

        def spawned(pid: int) -> None:
            if main is None:
                self._report(Spawned(self.generation, pid))

        return Session(
            name,
            connect(spawned),
            start=start,
            probe=probe,
            silence=self._spec.timeout or None,
            limits=self._limits,
            listed=lambda lists, error, announced: self._report(
                Listed(self.generation, lists, error, announced)
            ),
            paused=lambda error: self._report(Paused(self.generation, error)),
            note=lambda text: self._journal.record(name, text, source="mcpmux"),
            audience=self._audience,
            caller=caller,
            another=another if main is None else None,
            main=main,
            concurrency=self._spec.concurrency,
            per_client=self._spec.per_client,
        )

    def _over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            stumble = StartFailed(
                f"mcpmux itself stumbled: {type(error).__name__}: {error}",
                "Please report this; a retry may help.",
                permanent=True,
            )
            self._report(Down(self.generation, stumble))
        self._report(Over(self.generation))


def _older(launch: Launch, error: NotUnderstood) -> HttpLaunch | None:
    """The launch over the older HTTP transport, if `error` says that it may be the right one.

    Spec: 2025-11-25 basic/transports, backwards compatibility.
    """
    if not isinstance(launch, HttpLaunch) or launch.transport != "auto":
        return None
    return replace(launch, transport="sse") if error.status in {400, 404, 405} else None


def _http_transport(launch: HttpLaunch) -> type[HttpTransport | SseTransport]:
    """Imports httpx2, which takes a while."""
    from mcpmux_tui.upstream.http import HttpTransport
    from mcpmux_tui.upstream.sse import SseTransport

    return SseTransport if launch.transport == "sse" else HttpTransport
