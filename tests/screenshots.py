"""The pictures of the README, from the program as it runs: `python -m tests.screenshots`.

Real engines, real servers, real calls. Only what differs from run to run and from machine to
machine (times, process ids, ports, paths) is replaced on its way to the screen, so that two runs
give the same bytes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel
from textual import events
from textual.pilot import Pilot

from mcpmux_tui.control.client import Client
from mcpmux_tui.control.protocol import (
    Checkup,
    ClientChoices,
    ClientEntry,
    Draft,
    DraftKept,
    DraftTested,
    Entry,
    EntryForm,
    Found,
    GiveValues,
    Gone,
    Imported,
    ItemForm,
    ItemName,
    ItemPage,
    Items,
    Keeping,
    LoggedOut,
    Login,
    LoginDone,
    LoginStep,
    LogPage,
    LogSearch,
    Moved,
    Offer,
    Outcome,
    Place,
    Reading,
    SecretList,
    TryItem,
    TryProgress,
    ValueFields,
    ValuesGiven,
)
from mcpmux_tui.engine.instance import Options
from mcpmux_tui.engine.spawn import EngineProcess
from mcpmux_tui.model.question import Verdict
from mcpmux_tui.model.server import ON_THE_WAY, Action, EngineSnapshot
from mcpmux_tui.model.settings import UiChange
from mcpmux_tui.ui.app import McpmuxApp
from mcpmux_tui.ui.status import UNICODE
from mcpmux_tui.ui.theme import CB_DARK, DARK, LIGHT
from tests.end_to_end.wire import http_wire

M = TypeVar("M", bound=BaseModel)

_FOLDER = Path(__file__).parents[1] / "screenshots"
_NOW = 1_790_000_000.0
_PORT = 4114
_PATIENCE = 20.0
_THEMES = (LIGHT.name, CB_DARK.name, "nord", "ansi-dark")
_PASTED = 'npx -y @acme/docs --region EUROPE --index "all pages"'
_CALLS: tuple[tuple[str, str, dict[str, str], int], ...] = (
    ("notes", "list", {}, 4),
    ("text", "count", {"text": "one two three"}, 9),
    ("clock", "zones", {}, 2),
)


class Posed:
    """An engine whose answers look the same on every machine; implements the UI's `Engine`."""

    def __init__(self, client: Client, home: Path) -> None:
        self._client = client
        self._home = str(home)

    def pose(self, answer: M) -> M:
        """Replace what belongs to this machine and this run."""
        text = answer.model_dump_json()
        text = text.replace(f"{sys.executable} -P -m", "python -m").replace(self._home, "~")
        return type(answer).model_validate_json(text)

    async def watch(self) -> AsyncIterator[EngineSnapshot]:
        async for snapshot in self._client.watch():
            yield self._still(self.pose(snapshot))

    def _still(self, snapshot: EngineSnapshot) -> EngineSnapshot:
        own = f"http://127.0.0.1:{_PORT}/mcp"
        names = sorted(server.name for server in snapshot.servers)
        servers = tuple(
            server.model_copy(
                update={
                    "pid": server.pid and 20_000 + names.index(server.name),
                    "since": _NOW - 754,
                    "last_activity": server.last_activity
                    and _NOW - 2 - 7 * names.index(server.name),
                    "target": re.sub(r"(127\.0\.0\.1):\d+", r"\1:8931", server.target),
                }
            )
            for server in snapshot.servers
        )
        proxy = snapshot.proxy.model_copy(update={"url": own, "pid": 20_100})
        return snapshot.model_copy(update={"servers": servers, "proxy": proxy})

    async def draft_read(self, draft: Draft) -> Reading:
        return self.pose(await self._client.draft_read(draft))

    async def draft_test(self, key: str, draft: Draft) -> DraftTested:
        return self.pose(await self._client.draft_test(key, draft))

    async def draft_cancel(self, key: str) -> None:
        await self._client.draft_cancel(key)

    async def draft_keep(self, draft: Draft) -> DraftKept:
        return await self._client.draft_keep(draft)

    async def entry_form(self, server: str, *, copy_of: bool = False) -> EntryForm:
        return self.pose(await self._client.entry_form(server, copy_of=copy_of))

    async def place(self, server: str) -> Place:
        return await self._client.place(server)

    async def delete_server(self, server: str) -> Gone:
        return await self._client.delete_server(server)

    async def reload(self) -> None:
        await self._client.reload()

    async def detach(self) -> None:
        await self._client.detach()

    async def end_leftovers(self) -> None:
        await self._client.end_leftovers()

    async def act(self, server: str, action: Action) -> None:
        await self._client.act(server, action)

    async def login(self, wish: Login) -> LoginStep:
        step = self.pose(await self._client.login(wish))
        address = re.sub(r"(127\.0\.0\.1(?:%3A|:))\d+", r"\g<1>8931", step.address)
        address = re.sub(r"(client_id|state|code_challenge)=[\w-]+", _made_up, address)
        return step.model_copy(update={"address": address, "since": _NOW - 42})

    async def login_wait(self, server: str) -> LoginDone:
        return await self._client.login_wait(server)

    async def login_paste(self, server: str, address: str) -> None:
        await self._client.login_paste(server, address)

    async def login_cancel(self, server: str) -> None:
        await self._client.login_cancel(server)

    async def logout(self, server: str, *, reset: bool) -> LoggedOut:
        return await self._client.logout(server, reset=reset)

    async def answer(self, question: int, verdict: Verdict, typed: Mapping[str, str]) -> None:
        await self._client.answer(question, verdict, typed)

    async def items(self, page: ItemPage) -> Items:
        return await self._client.items(page)

    async def item_form(self, name: ItemName) -> ItemForm:
        return await self._client.item_form(name)

    async def try_item(self, wish: TryItem) -> Outcome:
        outcome = await self._client.try_item(wish)
        return outcome.model_copy(update={"seconds": 0.02})

    async def try_progress(self, key: str) -> TryProgress:
        return await self._client.try_progress(key)

    async def offer(self, offer: Offer) -> None:
        await self._client.offer(offer)

    async def entry(self, server: str) -> Entry:
        return self.pose(await self._client.entry(server))

    async def try_cancel(self, key: str) -> None:
        await self._client.try_cancel(key)

    async def doctor(self, server: str) -> Checkup:
        return self.pose(await self._client.doctor(server))

    async def values(self, server: str) -> ValueFields:
        return self.pose(await self._client.values(server))

    async def give_values(self, given: GiveValues) -> ValuesGiven:
        return await self._client.give_values(given)

    async def refer_to_secret(self, server: str, name: str) -> None:
        await self._client.refer_to_secret(server, name)

    async def secure(self, server: str) -> Moved:
        return await self._client.secure(server)

    async def undo_secure(self) -> Moved:
        return await self._client.undo_secure()

    async def keeping(self) -> Keeping:
        return await self._client.keeping()

    async def change_ui(self, change: UiChange) -> None:
        await self._client.change_ui(change)

    async def secrets(self) -> SecretList:
        return await self._client.secrets()

    async def secret_remove(self, name: str) -> None:
        await self._client.secret_remove(name)

    async def logs(self, search: LogSearch) -> LogPage:
        page = self.pose(await self._client.logs(search))
        # Servers start side by side: which is the first differs from run to run.
        lines = sorted(page.lines, key=lambda line: (line.server, line.seq))
        numbers = [line.seq for line in page.lines]
        return LogPage(
            lines=tuple(
                line.model_copy(update={"seq": seq, "time": _NOW - 754})
                for seq, line in zip(numbers, lines, strict=True)
            )
        )

    async def client_choices(self) -> ClientChoices:
        return await self._client.client_choices()

    async def client_entry(self, client: str) -> ClientEntry:
        entry = await self._client.client_entry(client)
        text = re.sub(r"(127\.0\.0\.1):\d+", rf"\1:{_PORT}", entry.text)
        return entry.model_copy(update={"text": text})

    async def find_imports(self) -> Found:
        return self.pose(await self._client.find_imports())

    async def import_servers(self, keys: tuple[str, ...]) -> Imported:
        return await self._client.import_servers(keys)


def _made_up(match: re.Match[str]) -> str:
    """A random value, the same in every run."""
    length = len(match[0]) - len(match[1]) - 1
    return f"{match[1]}={('r4nd0m-' * 10)[:length]}"


@dataclass(frozen=True)
class Studio:
    """One engine to take pictures of."""

    client: Client
    home: Path

    async def settled(self, calls: int = 0) -> None:
        """Wait until no server is on its way and so many calls were counted."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                servers = (await self.client.hello()).snapshot.servers
                moving = any(server.state in ON_THE_WAY for server in servers)
                if not moving and sum(server.calls for server in servers) >= calls:
                    return
                await asyncio.sleep(0.1)

    async def picture(
        self,
        name: str,
        size: tuple[int, int],
        *presses: tuple[str, str],
        folder: Path,
        theme: str = DARK.name,
    ) -> None:
        """Press keys, each until a text is shown, and save what is on the screen."""
        app = McpmuxApp(
            Posed(self.client, self.home),
            owner=False,
            state=self.home,
            clock=lambda: _NOW,
            glyphs=UNICODE,
            animated=False,
            theme=theme,
        )
        async with app.run_test(size=size) as pilot:
            for key, text in presses:
                if key:
                    app.post_message(events.Key(key, key if len(key) == 1 else None))
                    await pilot.pause()
                await _shown(pilot, text)
            picture = app.export_screenshot()
        (folder / name).write_text(_trimmed(picture), encoding="utf-8")


async def _shown(pilot: Pilot[int], text: str) -> None:
    async with asyncio.timeout(_PATIENCE):
        while text not in "\n".join(
            strip.text for strip in pilot.app.screen._compositor.render_strips()
        ):
            await asyncio.sleep(0.05)
            await pilot.pause()


def _trimmed(svg: str) -> str:
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


@asynccontextmanager
async def studio(home: Path, options: Options) -> AsyncIterator[Studio]:
    """Run an engine."""
    engine = await EngineProcess.start(options)
    try:
        async with await Client.connect(options.folder) as client:
            yield Studio(client, home)
    finally:
        await engine.stop()


def _other_tools(home: Path) -> None:
    """The configs of two other tools."""
    cursor = {
        "github": {
            "command": "npx",
            "args": ["-y", "@modelcontextprotocol/server-github"],
            "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "${env:GITHUB_TOKEN}"},
        },
        "files": {
            "command": "npx",
            "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv/projects"],
        },
    }
    code = {"docs": {"type": "http", "url": "https://mcp.example.com/docs"}}
    (home / ".cursor").mkdir()
    (home / ".cursor/mcp.json").write_text(json.dumps({"mcpServers": cursor}), encoding="utf-8")
    user = home / ".config/Code/User"
    user.mkdir(parents=True)
    (user / "mcp.json").write_text(json.dumps({"servers": code}), encoding="utf-8")


async def take(folder: Path) -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory(prefix="mcpmux-pictures-") as temporary:
        home = Path(temporary)
        os.environ.update({"HOME": temporary, "PATH": "/usr/bin:/bin", "TZ": "UTC"})
        time.tzset()
        os.environ["BROWSER"] = "true"
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX"):
            os.environ.pop(name, None)
        for name in [name for name in os.environ if name.startswith(("XDG_", "MCPMUX_"))]:
            del os.environ[name]
        await _servers(home, folder)
        await _first_run(home, folder)


async def _servers(home: Path, folder: Path) -> None:
    demo = home / "demo"
    demo.mkdir(mode=0o700)
    state = demo / "state"
    options = Options(config=demo / "config.toml", required=True, folder=state, port=0, demo=demo)
    async with studio(home, options) as one:
        await one.settled()
        url = (await one.client.hello()).snapshot.proxy.url or ""
        token = (state / "token").read_text(encoding="ascii").strip()
        total = 0
        async with http_wire("legacy", url, token) as agent:
            for server, tool, arguments, times in _CALLS:
                for _ in range(times):
                    await agent.call(f"{server}__{tool}", arguments)
                total += times
            await one.settled(total)
            await _demo_pictures(one, folder)


async def _demo_pictures(one: Studio, folder: Path) -> None:
    async def take(name: str, width: int, *steps: tuple[str, str], theme: str = DARK.name) -> None:
        size = (width, 24)
        await one.picture(name, size, ("", "2 values"), *steps, folder=folder, theme=theme)

    to_journal = ("j", "journal/mcp")
    to_search = (
        to_journal,
        ("j", "not on the PATH"),
        ("", "command not found: acme-search-server"),
    )
    to_clock = (to_journal, ("j", "acme-search"), ("j", "clock__now"), ("", "connected, MCP"))
    await take("servers.svg", 120, *to_clock)
    await take("server.svg", 120, *to_clock, ("j", "notes__add"), ("t", "arguments"))
    await take("logs.svg", 120, ("4", "connected, MCP"))
    await take("servers-80x24.svg", 80, *to_search)
    for theme in _THEMES:
        await take(f"theme-{theme}.svg", 80, *to_search, theme=theme)
    await take("palette.svg", 80, *to_search, ("colon", "Search for"), ("r", "Restart search"))
    await take("secrets.svg", 80, ("c", "Save and connect"))
    await take("client-entry.svg", 80, ("y", "Cursor"), ("3", "Cursor: copied"))
    typed = tuple((each, "") for each in _PASTED)
    await take("add.svg", 80, ("a", "Paste a command"), *typed, ("", "--index "))
    # At the end: a tool that is hidden stays so, and a sign-in goes on.
    to_remove = (*((("j", ""),) * 9), ("", "clients see notes__remove"))
    hide = (("space", "clients do not get it"), ("j", ""), ("j", "clients see text__diff"))
    await take("tools.svg", 120, ("2", "clients see"), *to_remove, *hide, ("", "arguments"))
    await take("sign-in.svg", 80, to_journal, ("c", "your browser"))


async def _first_run(home: Path, folder: Path) -> None:
    _other_tools(home)
    config = home / ".config/mcpmux/config.toml"
    options = Options(config=config, required=False, folder=home / "state", port=0)
    async with studio(home, options) as one:
        await one.picture("first-run.svg", (80, 24), ("", "Found: "), folder=folder)
        await one.picture(
            "import.svg", (80, 24), ("", "Found: "), ("i", "[x] github"), ("enter", "Add 3"),
            folder=folder,
        )  # fmt: skip


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else _FOLDER
    target.mkdir(exist_ok=True)
    asyncio.run(take(target))
