"""Where an instance's control socket is.

A socket address holds about 100 bytes, so a state folder with a long path keeps its socket in a
private folder under the system's temporary one, and a small file says where.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LINE_LIMIT = 8 * 1024 * 1024
"""Bytes of a line on the socket."""

_ADDRESS_LIMIT = 100
_POINTER = "control.path"
_SOCKET = "control.sock"


def choose_address(instance: Path) -> Path:
    """A path for the control socket of an instance, recorded for its doors; the folder exists."""
    if (left := read_address(instance)) is not None:
        forget_address(instance, left)
    address = instance / _SOCKET
    if len(os.fsencode(address)) > _ADDRESS_LIMIT:
        import tempfile  # here: doors that only read an address start faster without it

        address = Path(tempfile.mkdtemp(prefix="mcpmux-", dir=_short_temp())) / _SOCKET
    (instance / _POINTER).write_text(str(address), encoding="utf-8")
    return address


def read_address(instance: Path) -> Path | None:
    """The recorded address, or None where no record can be read."""
    try:
        return Path((instance / _POINTER).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def forget_address(instance: Path, address: Path) -> None:
    """Remove the socket, its record and, where there is one, its private folder."""
    address.unlink(missing_ok=True)
    (instance / _POINTER).unlink(missing_ok=True)
    if address.parent != instance:
        # A cleaner of temporary files may have been here first.
        with suppress(OSError):
            address.parent.rmdir()


def _short_temp() -> str | None:
    common = Path("/tmp")  # noqa: S108 - the shortest one there is; the folder in it is private
    return str(common) if common.is_dir() else None
