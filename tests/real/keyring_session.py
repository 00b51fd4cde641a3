"""Inside `dbus-run-session`: a vault on gnome-keyring, over a restart of the daemon and locked.

keyring_session.py FOLDER       prints what happened as JSON
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.vault.backend import choose
from mcpmux_tui.vault.index import Index
from mcpmux_tui.vault.parts import InParts
from mcpmux_tui.vault.store import Limits, Vault

LONG = "x" * 8_000


def start(*flags: str, password: str = "") -> subprocess.Popen[bytes]:
    """The daemon; it says its environment once it serves."""
    daemon = subprocess.Popen(
        ["gnome-keyring-daemon", "--foreground", "--components=secrets", *flags],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert daemon.stdin is not None
    assert daemon.stdout is not None
    daemon.stdin.write(password.encode())
    daemon.stdin.close()
    daemon.stdout.readline()
    return daemon


def stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    daemon.wait(10)


def vault(folder: Path) -> Vault:
    limits = Limits(call=5, prompt=5)
    return Vault(lambda: InParts(choose("mcpmux/real")), Index(folder / "index"), limits=limits)


async def main(folder: Path) -> dict[str, object]:
    """Write, restart, read, lock."""
    said: dict[str, object] = {}
    daemon = start("--unlock", password="pass")
    first = vault(folder)
    await first.write("server/a", "one")
    await first.write("server/long", LONG)
    said["keeps"] = await first.keeps()
    stop(daemon)
    daemon = start("--unlock", password="pass")
    second = vault(folder)
    said["kept"] = [await second.read("server/a"), await second.read("server/long") == LONG]
    await second.delete("server/long")
    said["deleted"] = await second.read("server/long", fresh=True)
    stop(daemon)
    daemon = start()
    try:
        said["locked"] = await vault(folder).read("server/a")
    except VaultError as error:
        said["locked"] = error.trouble
    stop(daemon)
    return said


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
