"""Calls of 2026-07-28 clients, held while a 2025 server waits for what it asked on the way.

The question is the answer to the request (`input_required`), and the client comes back with what
the server wants to know. Spec: 2026-07-28, multi round-trip requests.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from mcpmux_tui.model import jsonrpc, rawjson
from mcpmux_tui.model.channel import Caller
from mcpmux_tui.model.protocol import LOG_MESSAGE
from mcpmux_tui.model.rawjson import Member
from mcpmux_tui.proxy.audience import LEVELS, grave_enough, may_be_asked, refusal
from mcpmux_tui.proxy.catalog import Listing
from mcpmux_tui.proxy.limits import Limits
from mcpmux_tui.proxy.router import Router, members_of
from mcpmux_tui.proxy.stream import Reply


@dataclass(slots=True, eq=False)
class HeldCall:
    """Implements Client for one 2026 call, over all the requests in which it is answered."""

    caller: Caller
    what: tuple[object, ...]
    """Endpoint, method and subject: a retry must mean the same."""
    reply: Reply | None = None
    task: asyncio.Task[bytes] | None = None
    questions: dict[str, tuple[bytes, asyncio.Future[bytes]]] = field(default_factory=dict)
    asking: asyncio.Future[None] | None = None
    """Done when its server asks something; made while a request of the client waits."""
    expiry: asyncio.TimerHandle | None = None

    @property
    def owner(self) -> None:
        return

    def notified(self, method: str, params: bytes) -> None:
        if method == LOG_MESSAGE and not self._wants(params):
            return
        if self.reply is not None:
            self.reply.tell(jsonrpc.notification(method, params))

    def takes(self, method: str, params: bytes) -> bool:
        return may_be_asked(self.caller, method, params)

    async def asked(self, method: str, params: bytes) -> bytes:
        if not self.takes(method, params):
            raise refusal(method)
        key = secrets.token_hex(8)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        asked = b'{"method":%b,"params":%b}' % (rawjson.dumps(method), params)
        self.questions[key] = (asked, answer)
        if self.asking is not None and not self.asking.done():
            self.asking.set_result(None)
        try:
            return await answer
        finally:
            self.questions.pop(key, None)

    def _wants(self, params: bytes) -> bool:
        level = (self.caller.log_level or b"").decode("utf-8").strip('"')
        return level in LEVELS and grave_enough(params, level)


class HeldCalls:
    """All such calls, by the `requestState` under which their clients come back."""

    def __init__(self, router: Router, limits: Limits) -> None:
        self._router = router
        self._limits = limits
        self._held: dict[str, HeldCall] = {}

    def close(self) -> None:
        """Give all of them up."""
        for state in list(self._held):
            self._expire(state)

    async def answer(
        self,
        reply: Reply,
        endpoint: str | None,
        listing: Listing,
        method: str,
        params: dict[str, Member],
        caller: Caller,
    ) -> bytes:
        """The result of a request of a client that can be asked, or what its server asks before
        it. Raises Fault."""
        member = params.get("name") or params.get("uri")
        subject = None if member is None else member.text
        what = (endpoint, method, subject, caller)
        state = params["requestState"].text if "requestState" in params else None
        held = self._held.get(state or "")
        if held is not None and held.what == what:
            self._take_answers(state or "", held, params)
        else:
            held = HeldCall(caller, what)
            work = self._router.forward(listing, method, params, caller, held, modern=True)
            held.task = asyncio.create_task(work, name="held-call")
        held.reply = reply
        try:
            return await self._next(held)
        finally:
            held.reply = None

    def _take_answers(self, state: str, held: HeldCall, params: Mapping[str, Member]) -> None:
        """Hand the client's answers on; what it left unanswered stays asked. Raises Fault."""
        given = params.get("inputResponses")
        responses = {} if given is None else members_of(given.raw, '"inputResponses"')
        del self._held[state]
        if held.expiry is not None:
            held.expiry.cancel()
        for key, (_, answer) in list(held.questions.items()):
            if key in responses:
                del held.questions[key]
                answer.set_result(responses[key].raw)

    async def _next(self, held: HeldCall) -> bytes:
        """The result, or what the server asks before it."""
        task = held.task
        if task is None:
            raise RuntimeError("a held call needs a task")
        loop = asyncio.get_running_loop()
        if not held.questions:
            held.asking = loop.create_future()
            either: set[asyncio.Future[bytes] | asyncio.Future[None]] = {task, held.asking}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                task.cancel()
                raise
        if task.done() or not held.questions:
            return await task
        state = f"mcpmux-{secrets.token_hex(16)}"
        while len(self._held) >= self._limits.held:
            self._expire(next(iter(self._held)))
        self._held[state] = held
        held.expiry = loop.call_later(self._limits.question, self._expire, state)
        requests = b",".join(
            b'"%b":%b' % (key.encode(), raw) for key, (raw, _) in held.questions.items()
        )
        return b'{"resultType":"input_required","inputRequests":{%b},"requestState":"%b"}' % (
            requests,
            state.encode("ascii"),
        )

    def _expire(self, state: str) -> None:
        """Nobody came back in time."""
        held = self._held.pop(state, None)
        if held is not None and held.task is not None:
            if held.expiry is not None:
                held.expiry.cancel()
            held.task.cancel()
