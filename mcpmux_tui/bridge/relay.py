"""Every message of the client to the server it is for, and everything that comes back.

Each request is a POST of its own; notifications and answers go one after the other. An engine that
was restarted is found again, and a session it has forgotten is opened again: a client notices at
most that calls under way failed. A call is never sent twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Final

from mcpmux_tui.bridge import message as messages
from mcpmux_tui.bridge.http import JSON, Gates, Pool
from mcpmux_tui.bridge.message import Malformed, Message, one_line
from mcpmux_tui.bridge.params import ParamHeaders
from mcpmux_tui.bridge.session import Session
from mcpmux_tui.bridge.target import Target
from mcpmux_tui.bridge.trouble import Lost, NotSent, Trouble, say
from mcpmux_tui.http1 import Broken, Response
from mcpmux_tui.model.events import EventReader, TooLarge
from mcpmux_tui.model.lines import Line
from mcpmux_tui.model.protocol import CANCELLED, PARSE_ERROR, SERVER_UNAVAILABLE

INITIALIZE: Final = "initialize"
LISTEN: Final = "subscriptions/listen"
REPEATABLE: Final = frozenset(
    {
        *(INITIALIZE, "ping", "server/discover", "completion/complete", "prompts/get"),
        *("tools/list", "prompts/list", "resources/list", "resources/templates/list"),
        *("resources/read", "resources/subscribe", "resources/unsubscribe", "logging/setLevel"),
    }
)
"""Requests that do no harm when a server works on them twice."""
CAP: Final = 64 * 1024 * 1024
FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 2.0
_TRIES: Final = 5
_GOODBYE: Final = 1.0


class Forgotten(Exception):
    """The server does not know the session any more."""


class Refused(Exception):
    """The server wants other credentials."""


class Relay:
    """One client's messages; `write` takes those to the client."""

    def __init__(self, target: Target, gates: Gates, write: Callable[[bytes], None]) -> None:
        self._target = target
        self._gates = gates
        self._write = write
        self._pool: Pool | None = None
        self._finding = asyncio.Lock()
        self._session: Session | None = None
        self._opened = asyncio.Event()
        """Not set while the client's `initialize` is under way."""
        self._opened.set()
        self._reopening = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._params = ParamHeaders()
        self._requests: dict[str | None, tuple[Message, asyncio.Task[None]]] = {}
        self._notices: deque[Message] = deque()
        self._noticing: asyncio.Task[None] | None = None
        self._quiet = asyncio.Event()
        """No notification waits to be taken: requests come after those before them."""
        self._quiet.set()

    def take(self, line: Line) -> None:
        """One line of the client."""
        data = line.data.strip()
        if not data:
            return
        try:
            if line.left_out:
                raise Malformed(f"longer than {CAP >> 20} MiB")
            message = messages.parse(data)
        except Malformed as error:
            self._write(messages.error(None, PARSE_ERROR, f"This line is {error}."))
            return
        if message.is_request:
            if message.method == INITIALIZE:
                self._opened.clear()
            task = asyncio.create_task(self._request(message))
            self._requests[message.id] = message, task
        elif message.method != CANCELLED or not self._take_back(message):
            self._quiet.clear()
            self._notices.append(message)
            if self._noticing is None:
                self._noticing = asyncio.create_task(self._notice())

    async def finished(self) -> None:
        """Wait until every message is taken and every request but open streams is answered."""
        await self._quiet.wait()
        while tasks := [
            task for message, task in self._requests.values() if message.method != LISTEN
        ]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Leave in order: end the session, and what was started for it."""
        for task in (self._following, *(task for _, task in self._requests.values())):
            if task is not None:
                task.cancel()
        if self._session is not None and self._session.id and self._pool is not None:
            with suppress(Trouble, TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self._pool.delete(self._session.headers)
        self.abandon()
        await self._target.close()

    def abandon(self) -> None:
        """Leave at once."""
        if self._pool is not None:
            self._pool.close()

    def _take_back(self, notice: Message) -> bool:
        """End a stateless request, which its connection's end takes back; whether it is one."""
        message, task = self._requests.get(messages.cancelled_id(notice), (None, None))
        if message is None or task is None or message.version is None:
            # Without a session nobody is there to be told.
            return self._session is None and self._opened.is_set()
        return task.cancel()

    async def _request(self, message: Message) -> None:
        try:
            await (self._listen(message) if message.method == LISTEN else self._ask(message))
        except Trouble as trouble:
            self._write(messages.error(message.id, SERVER_UNAVAILABLE, str(trouble)))
        finally:
            if message.method == INITIALIZE:
                self._opened.set()
            self._requests.pop(message.id, None)

    async def _ask(self, message: Message) -> None:
        """Have a request answered. Raises Trouble."""
        in_session = message.version is None and message.method != INITIALIZE
        if in_session and not (self._opened.is_set() and self._quiet.is_set()):
            await self._opened.wait()
            await self._quiet.wait()
        tries = 0
        while True:
            tries += 1
            pool = self._pool or await self._find(start=True)
            session = self._session if in_session else None
            stale = session.id if session is not None else b""
            try:
                response = await pool.post(self._headers(message, session), message.raw)
                await self._answer(message, response, session, pool)
            except Forgotten:
                if session is None or tries > _TRIES:
                    raise Trouble("The server does not keep its sessions.") from None
                await self._reopen(session, stale)
            except Refused:
                await self._other_credentials(pool)
            except NotSent:
                self._leave(pool)
                if tries > (_TRIES if self._target.moves else 1):
                    raise
            except Lost as lost:
                self._leave(pool)
                if message.method not in REPEATABLE or tries > 1:
                    raise Lost(_lost(lost, message)) from None
            else:
                return

    def _headers(self, message: Message, session: Session | None) -> bytes:
        if session is not None:
            session.note(message)
            return session.headers
        if message.version is None:
            return b""
        own = message.headers()
        return own + self._params.of(message) if message.method == "tools/call" else own

    async def _answer(
        self, message: Message, response: Response, session: Session | None, pool: Pool
    ) -> None:
        """Hand on what came. Raises Trouble, Forgotten, Refused."""
        speaks = response.streams or response.kind == JSON
        if message.method == INITIALIZE and response.status == 200 and speaks:
            await self._open(message, response)
        elif response.streams:
            await self._stream(message, response, session, pool)
        elif response.status == 200 and response.kind == JSON and response.body:
            if message.method == "tools/list":
                self._params.learn(response.body)
            self._write(one_line(response.body))
        else:
            self._refuse(message, response, session, pool)

    def _refuse(
        self, message: Message, response: Response, session: Session | None, pool: Pool
    ) -> None:
        if response.status == 401:
            raise Refused
        if response.status == 404 and session is not None and session.id:
            raise Forgotten
        if (body := messages.error_for(message, response.body)) is None:
            raise Trouble(f"{pool.address} answered HTTP {response.status} and no message.")
        self._write(body)

    async def _open(self, message: Message, response: Response) -> None:
        """The server's answer to the client's `initialize`."""
        body = await _whole(response)
        session = Session.of(message)
        with suppress(Malformed):  # an error: there is no session
            session.opened(response, body)
            self._session = session
        self._write(one_line(body))

    async def _reopen(self, session: Session, stale: bytes) -> None:
        """Open a forgotten session again, as the client would. Raises Trouble."""
        async with self._reopening:
            if session.id != stale or session is not self._session:
                return
            pool = self._pool or await self._find(start=True)
            response = await pool.post(b"", session.again())
            try:
                if response.status != 200:
                    raise Malformed
                session.opened(response, await _whole(response))
            except Malformed:
                raise Trouble(f"{pool.address} does not take the session up again.") from None
            for message in session.kept():
                (await pool.post(session.headers, message)).close()
            for notice in session.changed():
                self._write(notice)

    async def _stream(
        self, message: Message, response: Response, session: Session | None, pool: Pool
    ) -> None:
        """Hand on a stream that ends with the answer; a broken one is resumed where it can be.

        Spec: 2025-11-25 basic/transports, resumability. Raises Lost.
        """
        reader = EventReader(CAP)
        fruitless = 0
        while True:
            reached = reader.last_id
            lost = Lost("the answer's stream ended before it")
            answered = False
            try:
                async with aclosing(_events(response, reader)) as events:
                    async for data in events:
                        self._write(data)
                        answered = answered or _answers(data, message)
            except Lost as error:
                lost = error
            if answered:
                return
            fruitless = fruitless + 1 if reader.last_id == reached else 0
            if session is None or not reader.last_id or fruitless > _TRIES:
                raise lost
            await asyncio.sleep(max(reader.retry, FIRST_WAIT * fruitless))
            response = await pool.get(session.headers + _after(reader))
            if not response.streams:
                raise lost
            reader.restart()

    async def _listen(self, message: Message) -> None:
        """Keep a 2026 subscription open over restarts of the server. Raises Trouble."""
        acknowledged: Message | None = None
        wait = FIRST_WAIT
        while True:
            pool: Pool | None = None
            try:
                pool = self._pool or await self._find(start=acknowledged is None)
                response = await pool.post(message.headers(), message.raw)
                if not response.streams and acknowledged is None:
                    await self._answer(message, response, None, pool)
                    return
                async with aclosing(_events(response, EventReader(CAP))) as events:
                    async for data in events:
                        wait = FIRST_WAIT
                        if messages.acknowledges(data):
                            again, acknowledged = acknowledged, messages.parse(data)
                            if again is not None:
                                for notice in messages.changed(acknowledged):
                                    self._write(notice)
                                continue
                        if _answers(data, message):
                            # An engine that stops ends its streams in order.
                            if self._target.moves and acknowledged is not None:
                                break
                            self._write(data)
                            return
                        self._write(data)
            except Refused:
                await self._other_credentials(pool)
            except Trouble:
                if acknowledged is None:
                    raise
            if pool is not None:
                self._leave(pool)
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    async def _follow(self, session: Session) -> None:
        """Hand on what a server says outside of answers, as long as it keeps a stream for it."""
        reader = EventReader(CAP)
        wait = FIRST_WAIT
        while session is self._session:
            pool: Pool | None = None
            stale = session.id
            try:
                pool = self._pool or await self._find(start=False)
                response = await pool.get(session.headers + _after(reader))
                if response.streams:
                    async with aclosing(_events(response, reader)) as events:
                        async for data in events:
                            wait = FIRST_WAIT
                            self._write(data)
                elif response.status == 404 and session.id:
                    reader = EventReader(CAP)
                    await self._reopen(session, stale)
                    continue
                elif response.status < 500 and response.status != 401:
                    return
            except Trouble:
                # It is away: whoever asks something next is told, or has it started.
                pass
            if pool is not None:
                self._leave(pool)
            reader.restart()
            await asyncio.sleep(max(wait, reader.retry))
            wait = min(2 * wait, LONGEST_WAIT)

    async def _notice(self) -> None:
        """Deliver notifications and answers, one after the other."""
        while self._notices:
            message = self._notices.popleft()
            await self._opened.wait()
            try:
                await self._deliver(message)
            except Trouble as trouble:
                say(f"{message.method or 'an answer'} was not delivered: {trouble}")
        self._noticing = None
        self._quiet.set()

    async def _deliver(self, message: Message) -> None:
        for _ in range(_TRIES):
            pool = self._pool or await self._find(start=False)
            session = self._session if message.version is None else None
            stale = session.id if session is not None else b""
            try:
                response = await pool.post(self._headers(message, session), message.raw)
            except (NotSent, Lost):
                self._leave(pool)
                continue
            response.close()
            if response.status == 404 and session is not None and stale:
                await self._reopen(session, stale)
                continue
            if response.status >= 400:
                raise Trouble(f"{pool.address} answered HTTP {response.status}")
            if session is not None and message.raw is session.initialized:
                self._following = asyncio.create_task(self._follow(session))
            return
        raise Trouble("the connection broke again and again")

    async def _find(self, *, start: bool) -> Pool:
        """Where the server is now. Raises Trouble."""
        async with self._finding:
            if self._pool is None:
                self._pool = Pool(await self._target.find(start=start), self._gates)
            return self._pool

    async def _other_credentials(self, pool: Pool | None) -> None:
        """The server may have been started anew with others. Raises Trouble where it was not."""
        if pool is None:
            return
        self._leave(pool)
        if (await self._find(start=False)).address != pool.address:
            return
        if self._target.moves:
            raise Trouble("mcpmux refused the token. Is MCPMUX_TOKEN another one where it runs?")
        raise Trouble(
            f"{pool.address} wants credentials (HTTP 401). Give them with --header, or add the"
            " server to mcpmux, sign in there and leave --url out."
        )

    def _leave(self, pool: Pool) -> None:
        """It may be elsewhere by now; what is under way there goes on."""
        if self._pool is pool:
            self._pool = None


def _lost(lost: Lost, message: Message) -> str:
    what = "" if message.method in REPEATABLE else " The call may have been carried out."
    return f"The connection broke before the answer came ({lost}).{what} Try again."


def _answers(data: bytes, message: Message) -> bool:
    try:
        found = messages.parse(data)
    except Malformed:
        return False
    return found.method is None and found.id == message.id


def _after(reader: EventReader) -> bytes:
    return f"last-event-id: {reader.last_id}\r\n".encode("ascii") if reader.last_id else b""


async def _whole(response: Response) -> bytes:
    """The one answer in a response. Raises Lost."""
    if not response.streams:
        return response.body
    async with aclosing(_events(response, EventReader(CAP))) as events:
        async for data in events:
            if b'"result"' in data or b'"error"' in data:
                return data
    raise Lost("the answer's stream ended before it")


async def _events(response: Response, reader: EventReader) -> AsyncGenerator[bytes]:
    """The messages of a stream, a line each. Raises Lost, Trouble."""
    try:
        while chunk := await response.read():
            for event in reader.feed(chunk):
                if event.type == "message":
                    yield one_line(event.data)
    except TooLarge:
        raise Trouble(f"A message is larger than {CAP >> 20} MiB.") from None
    except Broken as broken:
        raise Lost(str(broken)) from None
    finally:
        response.close()
