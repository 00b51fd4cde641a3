"""Demo server over HTTP (see `serve`): exact work on text, which models are bad at."""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import quote, unquote_to_bytes

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from mcpmux_tui import __version__

server = MCPServer(
    "text",
    title="Text",
    instructions="Count, compare, hash and encode text here instead of by eye.",
    version=__version__,
    log_level="WARNING",
)
READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)

Text = Annotated[str, Field(max_length=200_000)]
Comparable = Annotated[str, Field(max_length=20_000)]
Format = Literal["base64", "base64url", "hex", "url"]


@dataclass(frozen=True)
class Counts:
    """How much of everything a text holds."""

    characters: int
    words: int
    lines: int
    bytes: int


@server.tool(annotations=READ_ONLY)
def count(text: Text) -> Counts:
    """Count the characters, words, lines and UTF-8 bytes of a text."""
    return Counts(
        characters=len(text),
        words=len(re.findall(r"\S+", text)),
        lines=len(text.splitlines()),
        bytes=len(_utf8(text)),
    )


@server.tool(annotations=READ_ONLY)
def diff(
    before: Comparable,
    after: Comparable,
    context: Annotated[int, Field(ge=0, le=20, description="Unchanged lines around a change")] = 3,
) -> str:
    """Compare two texts line by line, as a unified diff; empty when they are the same."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=context
    )
    return "\n".join(lines)


@server.tool(name="hash", annotations=READ_ONLY)
def digest(text: Text, algorithm: Literal["sha256", "sha512", "sha1", "md5"] = "sha256") -> str:
    """Hash the UTF-8 bytes of a text, in hexadecimal."""
    return hashlib.new(algorithm, _utf8(text), usedforsecurity=False).hexdigest()


@server.tool(annotations=READ_ONLY)
def encode(text: Text, format: Format = "base64") -> str:
    """Encode the UTF-8 bytes of a text."""
    data = _utf8(text)
    match format:
        case "base64":
            return base64.b64encode(data).decode("ascii")
        case "base64url":
            return base64.urlsafe_b64encode(data).decode("ascii")
        case "hex":
            return data.hex()
        case "url":
            return quote(data, safe="")


@server.tool(annotations=READ_ONLY)
def decode(text: Text, format: Format = "base64") -> str:
    """Decode text that was encoded from UTF-8."""
    try:
        return _decoded(text.strip(), format).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise ToolError(f"This is not UTF-8 text in {format}: {error}.") from error


def _decoded(text: str, format: Format) -> bytes:
    match format:
        case "base64":
            return base64.b64decode(text, validate=True)
        case "base64url":
            padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
            return base64.b64decode(padded, altchars=b"-_", validate=True)
        case "hex":
            return bytes.fromhex(text)
        case "url":
            return unquote_to_bytes(text)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
