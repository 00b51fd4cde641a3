"""One engine from its lock to its last child: start-up, the wait, and shut-down in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mcpmux_tui.config import file
from mcpmux_tui.control.server import ControlServer
from mcpmux_tui.engine import logs
from mcpmux_tui.engine.fleet import WANTS_A_PERSON
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.instance import InstanceLock, Options
from mcpmux_tui.engine.login_shell import LoginShell
from mcpmux_tui.model import server

if TYPE_CHECKING:
    from mcpmux_tui.control.connection import Handler

_log = logging.getLogger(__name__)

_DESCRIPTORS = 8192
_NET_OBJECTS = 20_000

Started = Callable[[Hub], Awaitable[int | None]]


async def run(
    options: Options, *, started: Started, owned: bool = False, port_required: bool = False
) -> int:
    """Run an engine until it is told to stop; return its exit code.

    `started` is awaited when everything listens; a code it returns ends the engine at once.
    With `owned`, end of file on stdin stops the engine too, unless its owner let it go before.
    Raises AlreadyRunning, ConfigError,
    UsageError, and PortInUse if `port_required`.
    """
    instance = options.instance
    instance.prepare()
    _raise_descriptor_limit()
    lock = InstanceLock.acquire(instance)
    try:
        detached = asyncio.Event()
        async with _stop_signals(detached, owned=owned) as stop, _demo_servers(options):
            return await _serve(options, stop, detached, started, port_required=port_required)
    finally:
        lock.release()


def _raise_descriptor_limit() -> None:
    """Each child takes four descriptors; some systems give a program 256 unless it asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(
    options: Options,
    stop: asyncio.Event,
    detached: asyncio.Event,
    started: Started,
    *,
    port_required: bool,
) -> int:
    instance = options.instance
    config = await asyncio.to_thread(file.load, instance.config, required=instance.required)
    hub = Hub(
        instance,
        config,
        token=instance.token() if options.auth else None,
        demo=options.demo is not None,
        login_shell=None if options.from_shell else LoginShell(os.environ),
    )
    logs.redact(hub.redactor.clean)
    told = asyncio.Event()

    def handlers() -> Mapping[str, Handler]:
        # Here, since it knows all that people can ask for: servers start before that is imported.
        from mcpmux_tui.engine.doors import Doors

        return Doors(hub, detached, told).handlers()

    control = ControlServer(handlers=handlers, snapshot=hub.snapshot)
    hub.publish = control.publish
    try:
        port = config.proxy.port if options.port is None else options.port
        await hub.start(port, port_required=port_required)
        await control.start(instance.folder)
        _log.info("engine %d started for %s", os.getpid(), instance.config)
        _collect_less()
        return await _until_told(started(hub), stop, told)
    finally:
        # First the doors: nothing may be asked of a hub that stops.
        await control.stop()
        await hub.stop()
        _log.info("engine %d stopped", os.getpid())


def _collect_less() -> None:
    """Calls leave no cycles behind: many of them at once are no reason to look for any."""
    gc.freeze()  # what start-up has made stays
    gc.set_threshold(_NET_OBJECTS, 10, 10)


async def _until_told(started: Awaitable[int | None], *stops: asyncio.Event) -> int:
    """Wait for `started` and then for a stop, or for a stop alone; return the exit code."""
    waits = [asyncio.ensure_future(stop.wait()) for stop in stops]
    starting = asyncio.ensure_future(started)
    try:
        await asyncio.wait([starting, *waits], return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and (code := starting.result()) is not None:
            return code
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return 0
    finally:
        for task in (starting, *waits):
            task.cancel()
        await asyncio.gather(starting, *waits, return_exceptions=True)


@asynccontextmanager
async def _stop_signals(detached: asyncio.Event, *, owned: bool) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    owner = sys.stdin.fileno() if owned else -1

    def owner_says() -> None:
        if not os.read(owner, 1024):
            loop.remove_reader(owner)
            if not detached.is_set():
                stop.set()

    if owned:
        loop.add_reader(owner, owner_says)
    try:
        yield stop
    finally:
        if owned:
            loop.remove_reader(owner)
        for number in signals:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _demo_servers(options: Options) -> AsyncIterator[None]:
    if options.demo is None:
        yield
        return
    from mcpmux_tui import demo

    try:
        async with demo.HttpServer() as http:
            await asyncio.to_thread(demo.prepare, options.demo, http.origin)
            yield
    finally:
        await asyncio.to_thread(shutil.rmtree, options.demo, ignore_errors=True)


async def wait_settled(hub: Hub, limit: float | None) -> int:
    """Wait until no server is on its way, at most `limit` seconds; return what `status` would."""
    try:
        async with asyncio.timeout(limit):
            await hub.fleet.settled()
    except TimeoutError:
        _log.warning("some servers are still on their way after %s s", limit)
    servers = hub.snapshot().servers
    for each in servers:
        if each.state not in {*server.SERVING, *WANTS_A_PERSON, server.Health.DISABLED}:
            _log.warning("%s: %s. %s", each.name, each.state.word, each.summary)
    return server.exit_code(servers)
