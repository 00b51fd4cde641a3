"""One MCP session over a transport: era, request ids, cancel, silence.

Implements Channel. Spec: 2025-11-25 basic/lifecycle, basic/utilities; 2026-07-28 basic/index,
server/utilities/subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.channel import Caller, Client, Lists, Wishes
from mcpmux_tui.model.errors import (
    ConnectionLost,
    RequestTimeout,
    RpcError,
    SignInRequired,
    StartFailed,
    UpstreamError,
)
from mcpmux_tui.model.jsonrpc import Message
from mcpmux_tui.model.params import progress_token, with_progress_token
from mcpmux_tui.model.protocol import (
    ACKNOWLEDGED,
    CANCELLED,
    LIST_CHANGED,
)
from mcpmux_tui.upstream.calls import Calls, Turns
from mcpmux_tui.upstream.changes import Changes, Listed
from mcpmux_tui.upstream.envelope import (
    ANYBODY,
    NOBODY,
    OLDER_CLIENTS,
    enveloped,
    initialize_params,
)
from mcpmux_tui.upstream.inbox import Inbox
from mcpmux_tui.upstream.limits import Limits
from mcpmux_tui.upstream.lists import merged
from mcpmux_tui.upstream.liveness import Liveness
from mcpmux_tui.upstream.negotiation import Era, Peer, negotiate
from mcpmux_tui.upstream.personal import PersonalSessions
from mcpmux_tui.upstream.transport import Request, Transport
from mcpmux_tui.upstream.troubles import (
    NotUnderstood,
    SessionExpired,
    Unreachable,
    outward,
)

_CHANGED: Final = {method: capability for capability, method in LIST_CHANGED.items()}


class Session:
    """One connection to one server; `lost_with` is done once it cannot be used any more."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        start: float,
        probe: float,
        silence: float | None,
        limits: Limits,
        listed: Listed,
        paused: Callable[[UpstreamError], None],
        note: Callable[[str], None],
        audience: Client,
        caller: Caller | None = None,
        another: Callable[[Caller, Session], Session] | None = None,
        main: Session | None = None,
        concurrency: int = 32,
        per_client: bool = False,
    ) -> None:
        """`start` and `probe` are the seconds that becoming ready, and the first question about
        the era, may take. `caller` is who a session of its own is for, `main` then the one that
        everybody shares; `another` makes such a session, `per_client` one for each client."""
        self.peer = Peer("")
        self.probing = False
        """Whether a first probe was sent to a server that did not settle on an era yet."""
        self.lost_with: asyncio.Future[UpstreamError] = asyncio.get_running_loop().create_future()
        self._name = name
        self._transport = transport
        self._start = start
        self._probe = probe
        self._silence = silence
        self._limits = limits
        self._paused = paused
        self._note = note
        self._calls = Calls(self.heard)
        self._turns: Turns = Turns(concurrency, limits.queue) if main is None else main._turns
        self._tasks: set[asyncio.Task[None]] = set()
        self._caller = caller or (ANYBODY if transport.shared else NOBODY)
        self._main = main or self
        self._personal: PersonalSessions | None = None
        self._per_client = per_client
        if another is not None:
            make = another
            self._personal = PersonalSessions(lambda caller: make(caller, self), limits)
        self._inbox = Inbox(
            self._calls, audience, reply=self._tell, spawn=self.spawn, limits=limits
        )
        self._listed = listed
        self._lists = Lists()
        self._own_lists: dict[Session, Lists] = {}
        """What processes beside this one have changed in their lists."""
        self._changes = Changes(self, transport, limits=limits, listed=self._took, note=note)
        self._renewing = asyncio.Lock()
        self.epoch = 0
        """How often a new 2025 session replaced an expired one."""
        self._checking = False
        self._closing = False
        self._under_way = 0
        self._liveness = Liveness(
            self._ping,
            busy=lambda: self._under_way > 0,
            late=self._changes.watch,
            lost=self.lost,
            note=note,
            limits=limits,
        )

    @property
    def protocol_version(self) -> str:
        """The negotiated version."""
        return self.peer.version

    @property
    def pid(self) -> int | None:
        """The direct child's, while it lives."""
        return self._transport.pid

    async def open(self, known: Era | None) -> None:
        """Agree on an era, in bounded time; `known` is the one of an earlier connection.

        Raises UpstreamError. `close` must follow in any case.
        """
        try:
            async with asyncio.timeout(self._start):
                await self._open(known)
        except TimeoutError:
            raise StartFailed(
                f"not ready within {self._start:g} s", "Its log may say what it waits for."
            ) from None

    async def _open(self, known: Era | None) -> None:
        await self._transport.open(self)
        self.probing = known is None
        try:
            greeting = initialize_params(self._caller)
            self.peer = await negotiate(self._negotiating, known, self._probe, greeting)
        except RpcError as error:
            raise StartFailed(
                f"refused to start a session: {error.message}", "Its log may say more."
            ) from error
        self.probing = False
        self._transport.version = self.peer.version
        if self.peer.era is Era.LEGACY:
            await self._transport.send(jsonrpc.notification("notifications/initialized"))

    async def start(self) -> Lists:
        """Fetch the lists, and from now on follow the server's changes. Raises UpstreamError."""
        try:
            self._lists = await self._changes.fetch()
            return self._lists
        except UpstreamError:
            self._changes.missed()
            raise
        finally:
            self._changes.start()
            self._serve()

    async def open_alone(self) -> None:
        """Open this session beside the main one. Raises UpstreamError."""
        older = self._caller.askable and not self._caller.modern
        era = Era.LEGACY if older else self._main.peer.era
        await self.open(era)
        if self.peer.era is not era:
            raise StartFailed("does not speak the MCP era of this client", permanent=True)
        self._changes.start()
        self._serve()

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._under_way > 0

    def wish(self, wishes: Wishes) -> None:
        """Have the server tell what clients want to hear from now on."""
        self._changes.wish(wishes)
        if self._personal is not None and self._transport.shared:
            # What one process is told to follow, another one does not know of.
            self._personal.wish(wishes)

    def forget(self, key: str) -> None:
        """The client with a session of its own is gone."""
        if self._personal is not None:
            self._personal.forget(key)

    async def request(
        self,
        method: str,
        params: bytes,
        *,
        caller: Caller,
        name: str | None = None,
        client: Client | None = None,
    ) -> bytes:
        """Send one request; see Channel. The server's name is added to errors here."""
        stands_for = self._stands_for(caller)
        if stands_for and (own := await self._own_session(stands_for)) is not None:
            if own._caller is not OLDER_CLIENTS and client is not None and client.owner is not None:
                own._inbox.owner = client.owner
            return await own.request(method, params, caller=caller, name=name, client=client)
        self._under_way += 1
        try:
            if not self._turns.take():
                await self._turns.come()
            try:
                return await self._ask(
                    method,
                    self._enveloped(params, caller),
                    self._silence,
                    cancel=True,
                    cap=self._limits.call_cap,
                    name=name,
                    token=progress_token(params),
                    client=client,
                )
            finally:
                self._turns.leave()
        except UpstreamError as error:
            if isinstance(error, RequestTimeout):
                self._liveness.doubt()
            raise outward(self._name, error) from error
        finally:
            self._under_way -= 1

    async def _own_session(self, stands_for: Caller) -> Session | None:
        """A caller's own session, if it can have one here. Raises UpstreamError."""
        if self._personal is None:
            return None
        try:
            return await self._personal.of(stands_for)
        except UpstreamError as error:
            if self._per_client or self.peer.era is Era.LEGACY:
                self.suspect()
                raise outward(self._name, error) from error
            self._note(f"no session in the older era: {error.message}")
            if error.permanent or self._transport.shared:
                # In the era it speaks, what it asks comes as a result: nobody needs one.
                await self._personal.close()
                self._personal = None
            return None

    def _stands_for(self, caller: Caller) -> Caller | None:
        """Whose session beside this one a request goes to; None for this one."""
        modern = self.peer.era is Era.MODERN
        if self._per_client:
            return caller if caller.key else None
        if not caller.askable or (modern and caller.modern):
            return None
        if not self._transport.shared:
            return caller
        return OLDER_CLIENTS if modern else None

    def wake(self) -> None:
        """This machine was asleep: find out whether the server is still there."""
        if self._transport.pid is None:
            self._liveness.wake()
            self._changes.watch()
        elif not self._under_way:
            # Pipes outlive any sleep, and a busy child need not answer at once.
            self._liveness.doubt()

    async def close(self, farewell: ConnectionLost) -> None:
        """Fail what waits with `farewell`, and end the connection; the transport bounds that."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        self._calls.fail_all(farewell)
        if self._main._own_lists.pop(self, None) is not None and not self._main._closing:
            self._main._took(self._main._lists, None, frozenset())
        ending = asyncio.create_task(self._end_personal())
        try:
            async with asyncio.timeout(self._limits.goodbye):
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await self._calls.drained()
        except TimeoutError:
            self._note("some calls did not end in time")
        finally:
            self._calls.close()
            await self._transport.close()
            await ending

    async def _end_personal(self) -> None:
        if self._personal is not None:
            await self._personal.close()

    def heard(self) -> None:
        """Learn that something arrived, whoever waits for it."""
        self._liveness.heard()

    def received(self, message: Message, of: bytes | None = None) -> None:
        """Take a request or notification of the server."""
        self._liveness.heard()
        method = message.method or ""
        if message.id is not None:
            # The 2026 era has no requests from servers.
            if self.peer.era is Era.LEGACY:
                self._inbox.asked(message, of)
        elif (capability := _CHANGED.get(method)) is not None:
            # Each process has lists of its own, sessions over HTTP have one server's.
            owner = self if self._transport.shared else self._main
            owner._changes.announce(capability)
        elif method == ACKNOWLEDGED:
            self._changes.following()
        else:
            self._inbox.notified(method, message.params or b"{}", of)

    def _took(
        self, lists: Lists | None, error: UpstreamError | None, announced: frozenset[str]
    ) -> None:
        """Take new lists, or why there are none, of this process or of one beside it."""
        main = self._main
        if lists is None:
            if self is main:
                self._listed(None, error, announced)
            return
        if self is main:
            self._lists = lists
        else:
            main._own_lists[self] = lists
        self._listed(merged(main._lists, main._own_lists.values()), None, announced)

    def lost(self, error: UpstreamError) -> None:
        """Learn that this connection cannot be used any more."""
        if not self.lost_with.done():
            self.lost_with.set_result(error)

    async def ask(self, method: str, params: bytes, patience: float | None) -> bytes:
        """Send a request of mcpmux's own. Raises UpstreamError."""
        return await self._ask(method, self._enveloped(params, NOBODY), patience, cancel=True)

    def _enveloped(self, params: bytes, caller: Caller) -> bytes:
        """`params` as this server's era wants them."""
        modern = self.peer.era is Era.MODERN
        return enveloped(params, self.peer.version, caller) if modern else params

    async def _negotiating(
        self, method: str, version: str | None, params: bytes, patience: float | None
    ) -> bytes:
        self._transport.version = version
        if version is not None:
            params = enveloped(params, version, NOBODY)
        # A server before `initialize` need not know what a cancel is.
        return await self._ask(method, params, patience, cancel=False)

    async def _ask(
        self,
        method: str,
        params: bytes,
        patience: float | None,
        *,
        cancel: bool,
        cap: float | None = None,
        name: str | None = None,
        token: bytes | None = None,
        client: Client | None = None,
    ) -> bytes:
        raw_id: bytes | None = None
        try:
            with self._calls.begin(method, patience, cap, token, client) as call:
                raw_id = call.id
                if token is not None:
                    params = with_progress_token(params, raw_id)

                request = Request(raw_id, method, params, name, call.heard)
                epoch = self.epoch
                try:
                    message = await self._transport.exchange(request)
                except UpstreamError as error:
                    message = await self._second_chance(request, error, epoch)
        except (RequestTimeout, asyncio.CancelledError):
            if cancel and raw_id is not None:
                self._cancel(raw_id)
            raise
        self._liveness.heard()
        if message.error is not None:
            raise jsonrpc.rpc_error(message.error)
        return message.result or b"{}"

    async def _second_chance(self, request: Request, error: UpstreamError, epoch: int) -> Message:
        """What can still be done for a request that failed with `error`, which is raised again
        where that is nothing."""
        match error:
            case SessionExpired():
                await self._renew(epoch)
                # The request never ran, so it may be sent once more.
                return await self._transport.exchange(request)
            case SignInRequired():
                if error.scopes:
                    # A ping needs no such rights: it would find nothing wrong.
                    self.lost(error)
                self.suspect()
            case Unreachable():
                self.suspect()
            case NotUnderstood() if error.retry_after is not None:
                self._paused(error)
        raise error

    def _cancel(self, raw_id: bytes) -> None:
        leaving_is_enough = self._transport.closing_cancels and self.peer.era is Era.MODERN
        if leaving_is_enough or self._closing:
            return
        params = b'{"requestId":%b}' % raw_id
        self.spawn(self._tell(jsonrpc.notification(CANCELLED, params)))

    async def _tell(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(self._limits.goodbye):
                await self._transport.send(message)
        except (UpstreamError, TimeoutError) as error:
            self._note(f"a message could not be delivered: {error}")

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run a task until the session is closed."""
        task = asyncio.create_task(work, name=f"{self._name}-session")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _serve(self) -> None:
        """Hear what the server says outside of any request, and whether it is there."""
        self._changes.watch()
        self._liveness.heard()
        self.spawn(self._liveness.run())

    async def _renew(self, epoch: int) -> None:
        """Open a new 2025 session in place of an expired one, once for all who noticed."""
        async with self._renewing:
            if self.epoch != epoch:
                return
            if self.lost_with.done():
                raise ConnectionLost("lost its session", "It is being reconnected.")
            try:
                await self._ask(
                    "initialize",
                    initialize_params(self._caller),
                    self._limits.remote_start,
                    cancel=False,
                )
                await self._transport.send(jsonrpc.notification("notifications/initialized"))
            except UpstreamError as error:
                self.lost(error)
                raise ConnectionLost(
                    f"its session expired, and no new one came about: {error.message}",
                    "It is being reconnected.",
                ) from error
            self.epoch += 1
            self._changes.renewed()
            self._note("its session had expired; a new one is open")

    def suspect(self) -> None:
        """One request met a closed door: find out whether the server is gone for all."""
        if self.peer.version and not (self._checking or self._closing or self.lost_with.done()):
            self._checking = True
            self.spawn(self.check())

    async def check(self) -> None:
        """Ping, and end the session if the server is gone."""
        try:
            await self._ping(self._limits.ping)
        except (Unreachable, SignInRequired, SessionExpired) as error:
            self.lost(error)
        except UpstreamError as error:
            # Busy or odd, but there.
            self._note(f"a ping failed: {error.message}")
        finally:
            self._checking = False

    async def _ping(self, patience: float) -> None:
        method = "server/discover" if self.peer.era is Era.MODERN else "ping"
        await self.ask(method, b"{}", patience)
