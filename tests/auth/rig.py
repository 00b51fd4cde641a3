"""What the tests of this room share: a token manager with fakes around it that count."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from mcpmux_tui.auth.attach import BearerAuth
from mcpmux_tui.auth.clock import Clock
from mcpmux_tui.auth.grant import Endpoints, Grant, Registration, Tokens, binding, item
from mcpmux_tui.auth.limits import Limits
from mcpmux_tui.auth.record import Record
from mcpmux_tui.auth.tokens import TokenManager
from mcpmux_tui.auth.turns import Turns
from mcpmux_tui.model.errors import VaultError
from mcpmux_tui.model.secret import Secret
from tests.auth.token_server import TokenServer
from tests.fixtures.evil_as import NO_TLS

SERVER = "acme"
ITEM = item(SERVER)
QUICK = Limits(answer=2.0, patience=5.0, lock=5.0, revocation=0.5, closing=2.0)


class Hands:
    """Two clocks that go on only when told."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.monotonic = 5_000.0
        self.clock = Clock(lambda: self.wall, lambda: self.monotonic)

    def pass_by(self, seconds: float) -> None:
        """Time goes by."""
        self.wall += seconds
        self.monotonic += seconds

    def set_date(self, by: float) -> None:
        """Somebody sets the date, or the machine was asleep."""
        self.wall += by


class FakeSecrets:
    """A keyring that counts, and fails on demand; `disk` may be shared."""

    def __init__(self, disk: dict[str, str] | None = None) -> None:
        self.disk = {} if disk is None else disk
        self.reads = 0
        self.writes: list[str] = []
        self.reads_fail = False
        self.writes_fail = False
        self.on_write: Callable[[], None] = lambda: None

    async def read(self, item: str, *, fresh: bool = False) -> str | None:
        self.reads += 1
        if self.reads_fail:
            raise VaultError("The keyring is locked.", "Unlock it, then press `r`.")
        return self.disk.get(item)

    async def write(self, item: str, value: str) -> None:
        if self.writes_fail:
            raise VaultError("The keyring took nothing.", "Unlock it.")
        self.on_write()
        self.writes.append(value)
        self.disk[item] = value

    async def delete(self, item: str) -> None:
        if self.writes_fail:
            raise VaultError("The keyring took nothing.", "Unlock it.")
        self.disk.pop(item, None)

    @property
    def grant(self) -> Grant | None:
        """What is stored for the server under test."""
        text = self.disk.get(ITEM)
        return None if text is None else Grant.parse(text, SERVER)


class FileSecrets:
    """A keyring that processes share, with a cache as the real one has."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cache: dict[str, str] | None = None

    async def read(self, item: str, *, fresh: bool = False) -> str | None:
        if fresh or self._cache is None:
            self._cache = self._all()
        return self._cache.get(item)

    async def write(self, item: str, value: str) -> None:
        self._put({**self._all(), item: value})

    async def delete(self, item: str) -> None:
        self._put({name: value for name, value in self._all().items() if name != item})

    def _all(self) -> dict[str, str]:
        kept: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return kept

    def _put(self, kept: dict[str, str]) -> None:
        self._cache = kept
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(kept))
        new.replace(self._path)


def new_grant(
    server: TokenServer,
    hands: Hands,
    *,
    life: float | None = 3600,
    age: float = 0,
    refresh: str | None = "refresh-0",
    access: str = "access-0",
    made_here: bool = True,
    client_secret: str | None = None,
    revocation: bool = True,
    scopes: tuple[str, ...] = ("files:read",),
) -> Grant:
    """A grant that `age` seconds ago was good for `life`."""
    then = hands.wall - age
    return Grant(
        binding=binding(f"{server.url}/mcp"),
        resource=f"{server.url}/mcp",
        issuer=server.url,
        endpoints=Endpoints(
            authorization=f"{server.url}/authorize",
            token=f"{server.url}/token",
            revocation=f"{server.url}/revoke" if revocation else None,
        ),
        registration=Registration(
            issuer=server.url,
            client_id="client-1",
            client_secret=Secret(client_secret) if client_secret else None,
            auth_method="client_secret_basic" if client_secret else "none",
            redirect_uri="http://127.0.0.1:1/cb",
            made_here=made_here,
        ),
        tokens=Tokens(
            access=Secret(access),
            refresh=Secret(refresh) if refresh else None,
            obtained_at=then,
            expires_at=None if life is None else then + life,
            scopes=scopes,
        ),
        account="ada@example.com",
    )


@dataclass
class Rig:
    """One manager, its keyring, its clocks, and an HTTP client with its tokens."""

    server: TokenServer
    folder: Path
    hands: Hands = field(default_factory=Hands)
    secrets: FakeSecrets = field(default_factory=FakeSecrets)
    limits: Limits = QUICK
    hidden: list[Secret] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    turns: Turns = field(default_factory=Turns)

    def store(self, grant: Grant) -> None:
        """Have the keyring hold `grant`; its access token is one that the resource accepts."""
        self.secrets.disk[ITEM] = grant.to_item()
        if grant.tokens is not None:
            self.server.good.add(grant.tokens.access.reveal())

    def record(self) -> Record:
        """A record as another process would have it."""
        return Record(SERVER, secrets=self.secrets, folder=self.folder, limits=self.limits)

    def manager(self, bound_to: str | None = None) -> TokenManager:
        """A manager as after a start."""
        return TokenManager(
            self.record(),
            binding=bound_to or binding(f"{self.server.url}/mcp"),
            hide=self.hidden.append,
            changed=self.changes.append,
            turns=self.turns,
            clock=self.hands.clock,
            limits=self.limits,
        )

    @asynccontextmanager
    async def client(self, manager: TokenManager) -> AsyncIterator[httpx2.AsyncClient]:
        """A client of the resource."""
        url = f"{self.server.url}/mcp"
        async with httpx2.AsyncClient(
            auth=BearerAuth(manager, url), base_url=url, trust_env=False, verify=NO_TLS
        ) as client:
            yield client

    @property
    def refreshes(self) -> int:
        """Requests to the token endpoint."""
        return len(self.server.to("/token"))
