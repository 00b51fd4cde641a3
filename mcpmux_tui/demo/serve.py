"""Serves the `text` tools over Streamable HTTP on a free loopback port, until stdin ends.

The first line on stdout is the address.
"""

from __future__ import annotations

import os
import socket
import sys
import threading


def main() -> None:
    """Bind, name the address, and serve until the parent closes stdin or is gone."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_exit_with_stdin, daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    # The address is out before these half-second imports: callers wait in the listener's queue.
    import uvicorn

    from mcpmux_tui.demo.text import server

    config = uvicorn.Config(
        server.streamable_http_app(),
        log_level="critical",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _exit_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4_096):
        pass
    # Nothing here is worth saving, and an open stream must not keep an orphan alive.
    os._exit(0)


if __name__ == "__main__":
    main()
