"""Inside `dbus-run-session`: the form in a terminal, gnome-keyring, a restart that asks nobody.

form_session.py FOLDER      ends with 0 when all went as it should
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.program import RAW_STDIO, Terminal, eventually, home_at
from tests.real.keyring_session import start, stop

CANARY = "c4n4ry-of-a-secret"


def main(folder: Path) -> None:
    """Type two secrets, see the server connect, start again."""
    daemon = start("--unlock", password="pass")
    try:
        with contextmanager(home_at)(folder / "home") as home:
            for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"):
                if name in os.environ:
                    home.env[name] = os.environ[name]
            args = [str(RAW_STDIO), "--mark", home.mark]
            home.write(
                f"[servers.pg]\ncommand = {sys.executable!r}\nargs = {args!r}\n"
                "env = { URL = '${secret:URL}', PASS = '${secret:PASS}' }\n"
            )
            config = ("--config", str(home.config))
            with Terminal(home, "--port", "0", *config) as terminal:
                terminal.wait_for("2 values missing")
                terminal.press("c")
                terminal.wait_for("keyring (Secret Service)")
                terminal.press(f"{CANARY}-1\r{CANARY}-2\r")
                eventually(home.all_connected, 15, "connected")
                terminal.process.terminate()
                terminal.finish()
                assert CANARY not in terminal.text
            with Terminal(home, "--port", "0", *config) as terminal:
                eventually(home.all_connected, 15, "no prompt")
                terminal.process.terminate()
                terminal.finish()
            holding = [
                str(path)
                for path in home.folder.rglob("*")
                if path.is_file() and CANARY.encode() in path.read_bytes()
            ]
            assert holding == [], holding
    finally:
        stop(daemon)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
