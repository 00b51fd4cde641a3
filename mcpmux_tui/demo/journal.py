"""Demo server over Streamable HTTP that one signs in to: a journal for each person."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Final

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from mcpmux_tui import __version__
from mcpmux_tui.demo.accounts import CONSENT, Accounts

PATH: Final = "/journal/mcp"
_ENTRIES: Final = 1_000

Text = Annotated[str, Field(min_length=1, max_length=10_000, description="What happened")]


def journal(origin: str) -> MCPServer:
    """The server at `origin`, which is its own authorization server too."""
    accounts = Accounts(origin)
    server = MCPServer(
        "journal",
        title="Journal",
        instructions="Each person's own journal, as long as the demo runs.",
        version=__version__,
        log_level="CRITICAL",
        auth_server_provider=accounts,
        # As text: an address made first would end in a slash, and `iss` is compared to the letter.
        auth=AuthSettings.model_validate(
            {
                "issuer_url": origin,
                "resource_server_url": f"{origin}{PATH}",
                "validate_token_resource": True,
                "client_registration_options": {"enabled": True},
                "revocation_options": {"enabled": True},
            }
        ),
    )
    server.custom_route(CONSENT, methods=["GET", "POST"])(accounts.consent)
    entries: defaultdict[str, list[str]] = defaultdict(list)

    @server.tool(annotations=ToolAnnotations(destructive_hint=False, open_world_hint=False))
    def write(text: Text) -> str:
        """Write an entry into your journal."""
        own = entries[_person()]
        if len(own) >= _ENTRIES:
            raise ToolError(f"There are {_ENTRIES} entries already.")
        own.append(f"{datetime.now(UTC).isoformat(timespec='seconds')}  {text}")
        return f"Entry {len(own)} of {_person()}."

    @server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    def read() -> list[str]:
        """Read your journal, oldest entry first."""
        return entries[_person()]

    @server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    def whoami() -> str:
        """Tell whose journal this is."""
        return _person()

    return server


def _person() -> str:
    token = get_access_token()
    if token is None or token.subject is None:
        raise ToolError("Nobody is signed in.")
    return token.subject
