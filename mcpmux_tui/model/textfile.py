"""Reading of text files that people and other programs write."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from mcpmux_tui.model.errors import ConfigError
from mcpmux_tui.paths import shown

MIB = 1024 * 1024


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of the regular file `path`, of at most `limit` bytes.

    Raises FileNotFoundError where there is none, ConfigError for all else.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{shown(path)} is not a file.", path=path)
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"{shown(path)} cannot be read: {reason}.",
            "Check its permissions and those of its folder.",
            path=path,
        ) from error
    if len(data) > limit:
        raise ConfigError(f"{shown(path)} is larger than {limit // MIB} MiB.", path=path)
    return data


def decode(data: bytes, path: Path) -> str:
    """Return `data`, the content of `path`, as text without a byte order mark.

    Raises ConfigError where it is not UTF-8.
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{shown(path)} is not UTF-8 text (line {line}).",
            "Save it as UTF-8 in your editor.",
            path=path,
            line=line,
        ) from None


def read(path: Path, limit: int) -> str:
    """Return the text of `path`; raises as `read_bytes` and `decode` do."""
    return decode(read_bytes(path, limit), path)
