"""What the user configured for one server, after validation and before placeholders are filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from mcpmux_tui.model.hosts import is_loopback
from mcpmux_tui.model.inputs import InputSpec
from mcpmux_tui.model.settings import UiSettings


@dataclass(frozen=True, slots=True)
class StdioLaunch:
    """A server that is a child process speaking MCP on its stdin and stdout."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    inherit_env: bool | tuple[str, ...] = False
    """True: the whole environment of mcpmux; names or globs: these besides the default groups."""


@dataclass(frozen=True, slots=True)
class OAuthSpec:
    """The `oauth` table of an entry."""

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    client_metadata_url: str = ""
    """Given as the client id where the authorization server takes such a document's address."""
    scopes: tuple[str, ...] = ()
    allow_missing_pkce_metadata: bool = False
    """Go on where the authorization server does not say that it knows PKCE (S256)."""


@dataclass(frozen=True, slots=True)
class HttpLaunch:
    """A server at an HTTP address."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    transport: Literal["auto", "http", "sse"] = "auto"
    """"http": Streamable HTTP; "sse": the older HTTP with SSE; "auto": whichever it speaks."""
    oauth: OAuthSpec = OAuthSpec()

    @property
    def remote(self) -> bool:
        """Whether requests leave this machine, as far as the address tells."""
        try:
            return not is_loopback(urlsplit(self.url).hostname or "")
        except ValueError:
            return True

    @property
    def brings_authorization(self) -> bool:
        """Whether its headers say who asks: then mcpmux signs in nowhere for it (no OAuth)."""
        return any(name.strip().lower() == "authorization" for name in self.headers)


Launch = StdioLaunch | HttpLaunch
TransportName = Literal["stdio", "http", "sse"]


def transport_of(launch: Launch | None) -> TransportName | None:
    """The transport's name; "http" until an address has turned out to speak the older one."""
    match launch:
        case StdioLaunch():
            return "stdio"
        case HttpLaunch(transport="sse"):
            return "sse"
        case HttpLaunch():
            return "http"
        case None:
            return None


@dataclass(frozen=True, slots=True)
class EntryProblem:
    """Why an entry of the config cannot be used, and on which line of the file it stands."""

    reason: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class ToolFilter:
    """Globs over a server's own tool names; `deny` wins."""

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that the phases of a connection may last; None: the usual ones."""

    connect: float | None = None
    """One TCP and TLS connect."""
    start: float | None = None
    """From the spawn, or the first connect, to an initialized session."""
    list: float | None = None
    """One page of a list."""
    call: float | None = None
    """A whole call, however lively."""


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One entry of the config. Exactly one of `launch` and `problem` is set."""

    name: str
    launch: Launch | None
    problem: EntryProblem | None = None
    enabled: bool = True
    prefix: str | None = None
    """What stands before `__` in public names; None: the server's name; "": bare names."""
    tools: ToolFilter = ToolFilter()
    timeout: float = 300.0
    """Seconds of silence a call may last; 0: any."""
    deadlines: Deadlines = Deadlines()
    concurrency: int = 32
    """Calls it works on at once."""
    instructions: bool = False
    """Whether clients are told what it has to say to the model."""
    per_client: bool = False
    """Whether each client gets a process of its own (stdio)."""
    warnings: tuple[str, ...] = ()
    """Keys nobody knows and the like: kept in the file, said on screen."""


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """The `[proxy]` table; `allowed_origins` are those of web pages that may talk to the proxy."""

    port: int = 4114
    allowed_origins: tuple[str, ...] = ()
    page_size: int = 0
    """Items in one answer to a list request; 0: all."""
    sse: bool = False
    """Whether old clients find the SSE transport at `/sse`."""


VaultBackend = Literal["auto", "file", "session"]
"""Where secrets are kept: the keyring, else for this session; in a plain file; for this session."""


@dataclass(frozen=True, slots=True)
class Config:
    """A whole config file."""

    servers: tuple[ServerSpec, ...] = ()
    proxy: ProxySpec = ProxySpec()
    vault: VaultBackend = "auto"
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    """What is known of each `${input:ID}`, by id."""
    ui: UiSettings = field(default_factory=UiSettings)
    warnings: tuple[str, ...] = ()
