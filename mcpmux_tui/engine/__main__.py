"""The engine as a process of its own, started by a door that owns it through a pipe on stdin.

Its one argument is `run.Options` as JSON; its one line on stdout is `control.protocol.Started`.
"""

from __future__ import annotations

import asyncio
import sys

from mcpmux_tui.importing import importing

with importing():
    from mcpmux_tui.engine import logs
    from mcpmux_tui.engine.hub import Hub
    from mcpmux_tui.engine.instance import Options
    from mcpmux_tui.engine.run import run
    from mcpmux_tui.model.errors import McpmuxError


def main() -> int:
    """Run the engine; return its exit code."""
    options = Options.model_validate_json(sys.argv[1])
    try:
        options.instance.prepare()
        logs.to_file(options.log)
        return asyncio.run(run(options, started=_tell_owner, owned=True))
    except McpmuxError as error:
        _say(error)
        return error.exit_code


async def _tell_owner(_: Hub) -> None:
    await asyncio.to_thread(_say, None)


def _say(error: McpmuxError | None) -> None:
    # Here, since servers start before the protocol is imported.
    from mcpmux_tui.control.protocol import Failure, Started

    line = Started(error=None if error is None else Failure.of(error))
    sys.stdout.write(line.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
