"""Demo server over stdio: notes that live as long as the server does."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from mcpmux_tui import __version__

server = MCPServer(
    "notes",
    title="Notes",
    instructions="Keep short notes here. They are gone when the server stops.",
    version=__version__,
    log_level="WARNING",
)
READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
SCHEME = sys.argv[1] if len(sys.argv) > 1 else "note"
"""Of its addresses: a second copy of this server has its own."""
_NOTES_LIMIT = 1_000

Text = Annotated[str, Field(min_length=1, max_length=10_000, description="What the note says")]
Number = Annotated[int, Field(description="The note's number")]


@dataclass(frozen=True)
class Note:
    """One note; numbers are never used twice."""

    number: int
    text: str
    tags: list[str]
    written: str


_notes: dict[int, Note] = {}
_numbers = count(1)


@server.tool(annotations=ToolAnnotations(destructive_hint=False, open_world_hint=False))
def add(
    text: Text,
    tags: Annotated[
        list[Annotated[str, Field(max_length=50)]],
        Field(max_length=20, description="Words to find the note by"),
    ] = [],  # noqa: B006 - the schema needs the plain default, and nothing changes it
) -> Note:
    """Write a new note and return it with its number."""
    if len(_notes) >= _NOTES_LIMIT:
        raise ToolError(f"There are {_NOTES_LIMIT} notes already. Remove some first.")
    written = datetime.now(UTC).isoformat(timespec="seconds")
    note = Note(number=next(_numbers), text=text, tags=sorted(set(tags)), written=written)
    _notes[note.number] = note
    return note


@server.tool(name="list", annotations=READ_ONLY)
def list_notes(
    tag: Annotated[str, Field(description="Only notes with this tag; empty for all")] = "",
    limit: Annotated[int, Field(ge=1, le=_NOTES_LIMIT)] = 50,
) -> list[Note]:
    """List notes, newest first."""
    found = (note for note in reversed(_notes.values()) if not tag or tag in note.tags)
    return [note for note, _ in zip(found, range(limit), strict=False)]


@server.tool(annotations=READ_ONLY)
def search(
    query: Annotated[str, Field(min_length=1, description="Words that must all be in the note")],
) -> list[Note]:
    """Find notes whose text or tags hold every word of the query, newest first."""
    words = query.casefold().split()
    return [note for note in reversed(_notes.values()) if all(w in _haystack(note) for w in words)]


@server.tool(annotations=READ_ONLY)
def read(number: Number) -> Note:
    """Read one note."""
    return _notes.get(number) or _missing(number)


@server.tool(annotations=ToolAnnotations(idempotent_hint=False, open_world_hint=False))
def remove(number: Number) -> Note:
    """Remove a note for good and return what it said."""
    return _notes.pop(number, None) or _missing(number)


@server.resource(f"{SCHEME}://all", mime_type="text/plain")
def every_note() -> str:
    """All notes, newest first, one a line."""
    return "\n".join(f"{note.number}  {note.text}" for note in reversed(_notes.values()))


@server.resource(SCHEME + "://{number}", mime_type="text/plain")
def one_note(number: str) -> str:
    """One note by its number."""
    return read(int(number)).text if number.isdecimal() else _missing(0).text


@server.prompt()
def summary(
    tag: Annotated[str, Field(description="Only notes with this tag; empty for all")] = "",
) -> str:
    """Ask the model to sum the notes up."""
    which = f"the notes tagged {tag}" if tag else "all notes"
    return f"Read {which} with the `list` tool and sum them up in three sentences."


def _missing(number: int) -> Note:
    raise ToolError(f"There is no note {number}. `list` shows the notes there are.")


def _haystack(note: Note) -> str:
    return " ".join((note.text, *note.tags)).casefold()


if __name__ == "__main__":
    server.run()
