"""A process that shares a sign-in with others: ten calls at once, as soon as stdin says so.

Arguments: the resource's address, the file of the shared keyring, the state folder.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx2

from mcpmux_tui.auth.attach import BearerAuth
from mcpmux_tui.auth.grant import binding
from mcpmux_tui.auth.record import Record
from mcpmux_tui.auth.tokens import TokenManager
from mcpmux_tui.auth.turns import Turns
from tests.auth.rig import SERVER, FileSecrets


async def main(url: str, vault: str, folder: str) -> None:
    """Print the status of each call."""
    manager = TokenManager(
        Record(SERVER, secrets=FileSecrets(Path(vault)), folder=Path(folder)),
        binding=binding(url),
        hide=lambda secret: None,
        changed=lambda name: None,
        turns=Turns(),
    )
    await manager.load()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    async with httpx2.AsyncClient(auth=BearerAuth(manager, url), trust_env=False) as client:
        answers = await asyncio.gather(*(client.post(url) for _ in range(10)))
    await manager.close()
    sys.stdout.write(" ".join(str(answer.status_code) for answer in answers) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
