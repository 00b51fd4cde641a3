"""Serves the demo's remote servers on a free loopback port, until stdin ends.

`/mcp` is `text`; `/journal/mcp` is `journal`, which one signs in to. The first line on stdout is
the origin of both.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.applications import Starlette


def main() -> None:
    """Bind, name the address, and serve until the parent closes stdin or is gone."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_exit_with_stdin, daemon=True).start()
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    sys.stdout.write(f"{origin}\n")
    sys.stdout.flush()
    # The address is out before these half-second imports: callers wait in the listener's queue.
    import uvicorn

    config = uvicorn.Config(
        _application(origin),
        log_level="critical",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _application(origin: str) -> Starlette:
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route

    from mcpmux_tui.demo.journal import PATH, journal
    from mcpmux_tui.demo.text import server

    text = server.streamable_http_app()
    guarded = journal(origin).streamable_http_app(streamable_http_path=PATH)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # One that is mounted is not told of start and end.
        async with text.router.lifespan_context(text), guarded.router.lifespan_context(guarded):
            yield

    return Starlette(routes=[Route("/mcp", text), Mount("/", guarded)], lifespan=lifespan)


def _exit_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4_096):
        pass
    # Nothing here is worth saving, and an open stream must not keep an orphan alive.
    os._exit(0)


if __name__ == "__main__":
    main()
