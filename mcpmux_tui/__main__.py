"""`mcpmux`, also as `python -m mcpmux_tui`: the bridge, or the whole command line.

Which one is chosen before the command line's library is imported: clients that start the bridge
wait for it.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run what the arguments ask for."""
    from mcpmux_tui.bridge import options

    if (asked := options.quick(sys.argv[1:])) is not None:
        from mcpmux_tui.bridge import start

        sys.exit(start.main(asked))
    from mcpmux_tui.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
