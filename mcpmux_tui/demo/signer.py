"""Demo server over stdio that needs two values from its environment: it signs text with a key."""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations
from pydantic import Field

from mcpmux_tui import __version__

NAME = "SIGNER_NAME"
KEY = "SIGNER_KEY"

server = MCPServer(
    "signer",
    title="Signer",
    instructions="Signs text in the user's name and checks such signatures.",
    version=__version__,
    log_level="WARNING",
)
READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
Text = Annotated[str, Field(max_length=200_000)]


@server.tool(annotations=READ_ONLY)
def sign(text: Text) -> str:
    """Sign a text with the user's key: `name:signature` (HMAC-SHA256)."""
    name = os.environ[NAME]
    return f"{name}:{_signature(name, text)}"


@server.tool(annotations=READ_ONLY)
def verify(
    text: Text, signature: Annotated[str, Field(description="As `sign` returned it")]
) -> bool:
    """Tell whether a signature belongs to a text and was made with the user's key."""
    name, _, value = signature.strip().rpartition(":")
    return hmac.compare_digest(value.encode(), _signature(name, text).encode())


def _signature(name: str, text: str) -> str:
    message = f"{name}\0{text}".encode("utf-8", "surrogatepass")
    return hmac.new(os.environ[KEY].encode(), message, hashlib.sha256).hexdigest()


if __name__ == "__main__":
    if missing := [name for name in (NAME, KEY) if not os.environ.get(name)]:
        sys.exit(f"signer: set {' and '.join(missing)} in its environment.")
    server.run()
