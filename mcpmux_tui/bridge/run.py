"""The bridge from its start to its end."""

from __future__ import annotations

import asyncio
import signal

from mcpmux_tui.bridge.http import Gates
from mcpmux_tui.bridge.options import Options
from mcpmux_tui.bridge.pipes import Input, Output
from mcpmux_tui.bridge.relay import Relay
from mcpmux_tui.bridge.target import Fixed, Target
from mcpmux_tui.bridge.trouble import Trouble, say

_LAST_ANSWERS = 10.0
"""Seconds for answers under way when the client has nothing more to say."""


def main(options: Options) -> int:
    """Serve one client until it leaves; return the exit code."""
    try:
        target = _target(options)
    except Trouble as trouble:
        say(str(trouble))
        return 2
    return asyncio.run(_serve(target))


def _target(options: Options) -> Target:
    if options.url is not None:
        return Fixed(options.url, options.headers)
    # Imported here: an address needs none of it.
    from mcpmux_tui.bridge.engine import Engine

    return Engine(options.config, may_start=options.start)


async def _serve(target: Target) -> int:
    loop = asyncio.get_running_loop()
    gates = Gates()
    ended, gone = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, gone.set)
    output = Output(gone.set, gates.inward)
    relay = Relay(target, gates, output.write)
    source = Input(relay.take, ended.set, gates.outward)
    await output.open()
    await source.open()
    leaving = [asyncio.create_task(each.wait()) for each in (ended, gone)]
    try:
        await asyncio.wait(leaving, return_when=asyncio.FIRST_COMPLETED)
        if not gone.is_set():
            last = asyncio.create_task(_finish(relay, output))
            await asyncio.wait(
                {last, leaving[1]}, timeout=_LAST_ANSWERS, return_when=asyncio.FIRST_COMPLETED
            )
            last.cancel()
            closing = asyncio.create_task(relay.close())
            await asyncio.wait({closing, leaving[1]}, return_when=asyncio.FIRST_COMPLETED)
            closing.cancel()
    finally:
        for task in leaving:
            task.cancel()
        relay.abandon()
        source.close()
        output.close()
    return 0


async def _finish(relay: Relay, output: Output) -> None:
    await relay.finished()
    await output.drained()
