"""The engine as a process of its own, started by a door that owns it through a pipe on stdin.

Its one argument is `run.Options` as JSON; its one line on stdout is `control.protocol.Started`.
"""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import sys

from mcpmux_tui.control.protocol import Failure, Started
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.instance import Options
from mcpmux_tui.engine.run import run
from mcpmux_tui.model.errors import McpmuxError

_LOG_SIZE = 2 * 1024 * 1024


def main() -> int:
    """Run the engine; return its exit code."""
    options = Options.model_validate_json(sys.argv[1])
    try:
        options.instance.prepare()
        logging.basicConfig(
            level=logging.INFO,
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
            handlers=[
                logging.handlers.RotatingFileHandler(
                    options.folder / "engine.log",
                    maxBytes=_LOG_SIZE,
                    backupCount=1,
                    encoding="utf-8",
                )
            ],
        )
        return asyncio.run(run(options, started=_tell_owner, owned=True))
    except McpmuxError as error:
        _say(Started(error=Failure.of(error)))
        return error.exit_code


async def _tell_owner(_: Hub) -> None:
    _say(Started())


def _say(line: Started) -> None:
    sys.stdout.write(line.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
