"""Values that a server needs and its config does not hold: what is known about each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

InputType = Literal["text", "password", "number", "boolean", "url", "choice", "file", "directory"]
VALUE_LIMIT: Final = 64 * 1024
"""Characters of one value."""
_SECRET_WORDS: Final = (
    "token", "secret", "password", "passwd", "passphrase", "apikey", "api_key", "api-key",
    "access_key", "private_key", "credential", "authorization", "database_url", "dsn",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the config's `inputs` say of one `${input:ID}`."""

    id: str
    type: InputType = "text"
    description: str = ""
    required: bool = True
    default: str | None = None
    """May hold placeholders."""
    placeholder: str = ""
    choices: tuple[str, ...] = ()
    obtain: str = ""
    """Where one gets it: an address, or a sentence."""

    @property
    def secret(self) -> bool:
        """Whether nobody may look on while it is typed."""
        return self.type == "password"

    def problem(self, value: str) -> str:
        """Why `value` is none of its type, a sentence that does not hold it; else empty.

        Blocks on a look at the disk for a file or a folder.
        """
        match self.type:
            case "number" if not _is_number(value):
                return "It must be a number."
            case "boolean" if value not in {"true", "false"}:
                return "It must be true or false."
            case "choice" if value not in self.choices:
                return f"It must be one of {', '.join(self.choices)}."
            case "url" if not _is_address(value):
                return "It must be an address with https:// or http://."
            case "file" if not _path(value).is_file():
                return "There is no such file."
            case "directory" if not _path(value).is_dir():
                return "There is no such folder."
        return value_problem(value)


def value_problem(value: str) -> str:
    """Why `value` can be nobody's value, a sentence that does not hold it; else empty."""
    if not value.strip():
        return "It is empty. Write `:-` behind the name in the config where it may be."
    if len(value) > VALUE_LIMIT:
        return f"It is longer than {VALUE_LIMIT // 1024} KiB."
    if "\0" in value:
        return "It holds a NUL character."
    return ""


def looks_secret(name: str) -> bool:
    """Whether a value under this name is one that nobody else should see."""
    plain = name.lower().replace("-", "_")
    compact = plain.replace("_", "")
    return plain.endswith(("_key", "_pat", "_pwd")) or any(
        word in plain or word in compact for word in _SECRET_WORDS
    )


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _path(value: str) -> Path:
    return Path("" if "\0" in value else value).expanduser()


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
