"""The entry each MCP client wants for mcpmux, and which clients this machine has."""

from mcpmux_tui.clients.detect import choices
from mcpmux_tui.clients.entries import Bridge, Entry, entry

__all__ = ["Bridge", "Entry", "choices", "entry"]
