"""A server that is in no config, run once to see whether it works; no client ever sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from mcpmux_tui.control.protocol import DraftOutcome
from mcpmux_tui.model import jsonrpc
from mcpmux_tui.model.ports import Values
from mcpmux_tui.model.protocol import METHOD_NOT_FOUND
from mcpmux_tui.model.server import Health
from mcpmux_tui.model.spec import ServerSpec
from mcpmux_tui.upstream.attempt import Authorize
from mcpmux_tui.upstream.children import Children
from mcpmux_tui.upstream.supervisor import Supervisor

_UNDER_WAY: Final = frozenset({Health.CONNECTING, Health.STOPPING})


class _Nobody:
    """Implements Client and Journal: nobody is asked or told, and nothing is written down."""

    owner = None

    def notified(self, method: str, params: bytes) -> None:
        """Let it pass."""

    def takes(self, method: str, params: bytes) -> bool:
        return True

    async def asked(self, method: str, params: bytes) -> bytes:
        raise jsonrpc.rpc_error(
            jsonrpc.error_object(METHOD_NOT_FOUND, "Nobody answers while mcpmux tests a server.")
        )

    def record(self, server: str, line: str, *, source: str = "stderr") -> None:
        """Let it pass; the last lines are in the error anyway."""


class Trial:
    """One server on a supervisor of its own."""

    def __init__(
        self,
        spec: ServerSpec,
        *,
        values: Values,
        children: Children,
        authorize: Authorize,
        clean: Callable[[str], str],
    ) -> None:
        self._clean = clean
        self._moved = asyncio.Event()
        nobody = _Nobody()
        self._supervisor = Supervisor(
            spec,
            values=values,
            children=children,
            journal=nobody,
            changed=lambda _: self._moved.set(),
            listed=lambda *_: None,
            audience=nobody,
            authorize=authorize,
        )

    async def outcome(self) -> DraftOutcome:
        """Connect, and tell what came of it; the first failure is the answer."""
        began = time.monotonic()
        self._supervisor.start()
        while (now := self._supervisor.snapshot).state in _UNDER_WAY:
            self._moved.clear()
            await self._moved.wait()
        return DraftOutcome(
            name=now.name,
            state=now.state,
            seconds=time.monotonic() - began,
            tools=now.tools,
            prompts=now.prompts,
            resources=now.resources,
            server_info=now.server_info,
            missing=now.missing,
            summary=self._clean(now.summary),
            detail=self._clean(now.detail),
        )

    async def close(self) -> None:
        """Stop it; its child is gone afterwards."""
        await self._supervisor.close()
