"""What each server offered last, on disk: clients are answered at once after a restart.

The files belong to mcpmux alone; one that cannot be read is as none, and made anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from mcpmux_tui.model import rawjson
from mcpmux_tui.model.channel import Item, Kind, Lists
from mcpmux_tui.model.frozen import Frozen
from mcpmux_tui.model.rawjson import Malformed
from mcpmux_tui.model.spec import HttpLaunch, Launch, ServerSpec, StdioLaunch

_log = logging.getLogger(__name__)

PAUSE = 0.5
"""Seconds from new lists to their file: a start has more urgent things to do."""


class _KeptItem(Frozen):
    name: str
    definition: str
    description: str


class _Kept(Frozen):
    launch: str
    """What was started or called; what another command offers is not this one's."""
    items: dict[Kind, list[_KeptItem]]
    skipped: list[str]
    capabilities: list[str]
    instructions: str


class ListCache:
    """One file a server in `folder`, written beside the event loop, the newest lists last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, str], Lists] = {}
        self._unsaved: dict[str, tuple[str, Lists] | None] = {}
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def read(self, specs: Iterable[ServerSpec]) -> None:
        """Read what is kept of enabled servers. Blocks on the disk."""
        for spec in specs:
            if spec.launch is None or not spec.enabled:
                continue
            launch = _fingerprint(spec.launch)
            if (spec.name, launch) not in self._known and (lists := self._load(spec.name, launch)):
                self._known[spec.name, launch] = lists

    def last(self, spec: ServerSpec) -> Lists:
        """The lists of a server's last connection, empty where none are known."""
        if spec.launch is None or not spec.enabled:
            return Lists()
        return self._known.get((spec.name, _fingerprint(spec.launch)), Lists())

    def keep(self, spec: ServerSpec, lists: Lists) -> None:
        """Remember new lists of a connected server."""
        if spec.launch is not None:
            launch = _fingerprint(spec.launch)
            self._known[spec.name, launch] = lists
            self._save(spec.name, (launch, lists))

    def forget(self, name: str) -> None:
        """A server was removed."""
        for key in [key for key in self._known if key[0] == name]:
            del self._known[key]
        self._save(name, None)

    async def close(self) -> None:
        """Write what waits."""
        self._closing.set()
        if self._writing is not None:
            await self._writing

    def _save(self, name: str, kept: tuple[str, Lists] | None) -> None:
        self._unsaved[name] = kept
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="list-cache")

    async def _write_all(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await self._closing.wait()
        while self._unsaved:
            name, kept = self._unsaved.popitem()
            try:
                await asyncio.to_thread(self._write, name, kept)
            except OSError as error:
                # The lists are in memory all the same; only the next start is slower.
                _log.warning("the lists of %s are not kept: %s", name, error)

    def _path(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.json"

    def _write(self, name: str, kept: tuple[str, Lists] | None) -> None:
        path = self._path(name)
        if kept is None:
            path.unlink(missing_ok=True)
            return
        launch, lists = kept
        items = {
            kind: [
                _KeptItem(
                    name=each.name,
                    definition=each.definition.decode(),
                    description=each.description,
                )
                for each in of_kind
            ]
            for kind, of_kind in lists.items.items()
        }
        text = _Kept(
            launch=launch,
            items=items,
            skipped=list(lists.skipped),
            capabilities=sorted(lists.capabilities),
            instructions=lists.instructions,
        ).model_dump_json()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=self._folder, prefix=f".{path.name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
                file.write(text)
            Path(draft).replace(path)
        finally:
            with suppress(FileNotFoundError):
                Path(draft).unlink()

    def _load(self, name: str, launch: str) -> Lists | None:
        try:
            kept = _Kept.model_validate_json(self._path(name).read_bytes())
            items = {
                kind: tuple(
                    Item(each.name, _checked(each.definition.encode()), each.description)
                    for each in of_kind
                )
                for kind, of_kind in kept.items.items()
            }
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, Malformed) as error:
            _log.info("the kept lists of %s cannot be used: %s", name, type(error).__name__)
            return None
        if kept.launch != launch:
            return None
        capabilities = frozenset(kept.capabilities)
        return Lists(items, tuple(kept.skipped), capabilities, kept.instructions)


def _checked(definition: bytes) -> bytes:
    rawjson.parse_object(definition)
    return definition


def _fingerprint(launch: Launch) -> str:
    parts: tuple[object, ...]
    match launch:
        case StdioLaunch(command, args, env, cwd):
            parts = (command, args, sorted(env.items()), cwd)
        case HttpLaunch(url, headers):
            parts = (url, sorted(headers.items()))
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()
