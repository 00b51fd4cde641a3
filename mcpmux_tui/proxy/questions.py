"""Questions of servers that wait for a person: what no client's call accounts for.

Spec: 2025-11-25 client/elicitation. Nothing is opened or fetched for one.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mcpmux_tui.model import jsonrpc, rawjson
from mcpmux_tui.model.errors import ControlError, RpcError
from mcpmux_tui.model.protocol import ELICIT, INVALID_PARAMS, METHOD_NOT_FOUND, QUESTIONS
from mcpmux_tui.model.question import Question, Unaskable, Verdict, parse
from mcpmux_tui.proxy.limits import Limits

_TOO_OFTEN: Final = -32000


@dataclass(frozen=True, slots=True)
class _Pending:
    question: Question
    params: bytes
    answer: asyncio.Future[bytes]


class Questions:
    """All that wait; `changed` is called when one comes or goes."""

    def __init__(self, changed: Callable[[], None], limits: Limits) -> None:
        self._changed = changed
        self._limits = limits
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}

    @property
    def pending(self) -> tuple[Question, ...]:
        """Those a person has not answered yet, oldest first."""
        return tuple(each.question for each in self._pending.values())

    async def ask(self, server: str, method: str, params: bytes) -> bytes:
        """Have a person answer; the raw result, "cancel" where nobody does in time.

        Only elicitation is for people: what a model or a client's folders are to answer has nobody
        else to ask. Raises RpcError.
        """
        if method != ELICIT:
            what = QUESTIONS.get(method, method)
            raise _refusal(METHOD_NOT_FOUND, f"No client of this call takes {what} requests.")
        waiting = [each for each in self._pending.values() if each.question.server == server]
        if len(waiting) >= self._limits.questions or any(each.params == params for each in waiting):
            raise _refusal(_TOO_OFTEN, "Too many questions wait for the person already.")
        try:
            question = parse(next(self._numbers), server, params, time.time())
        except Unaskable as error:
            raise _refusal(INVALID_PARAMS, f"The person was not asked: {error}.") from None
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pending[question.id] = _Pending(question, params, answer)
        self._changed()
        try:
            async with asyncio.timeout(self._limits.question):
                return await answer
        except TimeoutError:
            return _result("cancel")
        finally:
            del self._pending[question.id]
            self._changed()

    def answer(self, number: int, verdict: Verdict, typed: Mapping[str, str]) -> None:
        """Give a person's answer to a server. Raises ControlError where it does not fit."""
        pending = self._pending.get(number)
        if pending is None or pending.answer.done():
            raise ControlError(
                f"Question {number} does not wait for an answer.",
                "`mcpmux answer` lists those that do.",
            )
        if verdict != "accept" or pending.question.url:
            pending.answer.set_result(_result(verdict))
        else:
            content = rawjson.dumps(pending.question.content(typed))
            pending.answer.set_result(b'{"action":"accept","content":%b}' % content)


def _result(verdict: Verdict) -> bytes:
    return b'{"action":"%b"}' % verdict.encode("ascii")


def _refusal(code: int, text: str) -> RpcError:
    return jsonrpc.rpc_error(jsonrpc.error_object(code, text))
