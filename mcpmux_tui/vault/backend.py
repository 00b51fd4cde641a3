"""Where values are kept, one blocking call at a time; every failure as VaultError.

keyring picks a backend by itself, which may be one that keeps values in plain text, or none at all
(SECURITY F1): only those named here are used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from mcpmux_tui.model.errors import VaultError, VaultTrouble

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

ALLOWED: Final[Mapping[str, str]] = {
    "keyring.backends.SecretService.Keyring": "Secret Service",
    "keyring.backends.libsecret.Keyring": "libsecret",
    "keyring.backends.kwallet.DBusKeyring": "KWallet",
    "keyring.backends.macOS.Keyring": "macOS Keychain",
    "keyring.backends.Windows.WinVaultKeyring": "Windows Credential Manager",
}
"""Backends that keep values encrypted or by the system's own means, with their names."""

_LOCKED: Final = frozenset({"LockedException", "PromptDismissedException"})
_AWAY: Final = frozenset(
    {"SecretServiceNotAvailableException", "DBusErrorResponse", "ConnectionRefusedError"}
)
"""Errors of libraries below keyring, by name: they are there on some systems only."""
_SENTENCES: Final[Mapping[VaultTrouble, str]] = {
    "locked": "The keyring is locked.",
    "unavailable": "The keyring service does not answer ({kind}).",
    "refused": "The keyring could not be {done} ({kind}).",
}
_HINTS: Final[Mapping[VaultTrouble, str]] = {
    "locked": "Unlock it, then retry.",
    "unavailable": "Start it, then retry.",
    "refused": "Look at it with the program your system has for it, then retry.",
}
T = TypeVar("T")


class Backend(Protocol):
    """Keeps values under names. Every method blocks, and raises VaultError."""

    lasting: bool
    """Whether they outlive this process."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    def get(self, item: str) -> str | None:
        """The value; None where there is none."""
        ...

    def set(self, item: str, value: str) -> None:
        """Keep a value."""
        ...

    def delete(self, item: str) -> None:
        """Keep it no longer."""
        ...


class Session:
    """Keeps values as long as this process runs; `why` says what it stands in for."""

    lasting = False

    def __init__(self, why: str) -> None:
        self.name = f"this session only: {why}"
        self._values: dict[str, str] = {}

    def get(self, item: str) -> str | None:
        return self._values.get(item)

    def set(self, item: str, value: str) -> None:
        self._values[item] = value

    def delete(self, item: str) -> None:
        self._values.pop(item, None)


class Keyring:
    """One backend of keyring; items are named within `service`."""

    lasting = True

    def __init__(self, ring: KeyringBackend, service: str) -> None:
        self.name = f"keyring ({ALLOWED.get(_kind(ring), _kind(ring))})"
        self._ring = ring
        self._service = service

    def get(self, item: str) -> str | None:
        return _in_our_words(lambda: self._ring.get_password(self._service, item), "read")

    def set(self, item: str, value: str) -> None:
        _in_our_words(lambda: self._ring.set_password(self._service, item, value), "written")

    def delete(self, item: str) -> None:
        from keyring.errors import PasswordDeleteError

        def delete() -> None:
            try:
                self._ring.delete_password(self._service, item)
            except PasswordDeleteError:
                # Some say so of what is not there; anything else is still there.
                if self._ring.get_password(self._service, item) is not None:
                    raise

        _in_our_words(delete, "deleted")


def choose(service: str, environ: Mapping[str, str] = os.environ) -> Backend:
    """The best keyring that may be used, else this session only. Blocks: it asks the system.

    `PYTHON_KEYRING_BACKEND` names one; where `MCPMUX_ALLOW_KEYRING` is "any", it may be any.
    """
    import keyring.backend
    import keyring.core

    if named := environ.get("PYTHON_KEYRING_BACKEND"):
        if named not in ALLOWED and environ.get("MCPMUX_ALLOW_KEYRING") != "any":
            return Session(f"the keyring {named} is not one that keeps secrets safe")
        try:
            return Keyring(keyring.core.load_keyring(named), service)
        except Exception as error:  # noqa: BLE001 - whatever a module does when it is imported
            return Session(f"the keyring {named} cannot be used ({type(error).__name__})")
    rings = [ring for ring in keyring.backend.get_all_keyring() if _kind(ring) in ALLOWED]
    if not rings:
        return Session("no keyring service runs")
    return Keyring(max(rings, key=lambda ring: ring.priority), service)


def _kind(ring: KeyringBackend) -> str:
    return f"{type(ring).__module__}.{type(ring).__qualname__}"


def _in_our_words(act: Callable[[], T], done: str) -> T:
    """What `act` returns; whatever a backend raises becomes VaultError, without its words: they
    may repeat the value."""
    from keyring.errors import InitError, KeyringLocked, NoKeyringError

    try:
        return act()
    except Exception as error:  # noqa: BLE001 - backends raise what their libraries do
        kind = type(error).__name__
        trouble: VaultTrouble = "refused"
        if isinstance(error, KeyringLocked) or kind in _LOCKED:
            trouble = "locked"
        elif isinstance(error, InitError | NoKeyringError) or kind in _AWAY:
            trouble = "unavailable"
    # Raised here, so that no traceback holds what the backend was given.
    raise VaultError(_SENTENCES[trouble].format(done=done, kind=kind), _HINTS[trouble], trouble)
