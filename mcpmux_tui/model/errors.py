"""Every error a person can meet, each with one sentence and what to do.

McpmuxError                 message (one sentence), hint (what to do), exit code of a command
├── ConfigError             the file, or one entry of it, cannot be used (path, line)
├── UsageError              a command was asked for something that cannot be
│   └── NoSuchServer        no server has the name that was given
├── InputMissing            placeholders without a value (their names)
├── NoEngine                no engine runs for this instance
├── AlreadyRunning          an engine runs for this instance (its pid)
├── PortInUse               the proxy's port belongs to another process
├── ControlError            the engine refused a request of a door
├── VaultError              the keyring cannot be read or written now
└── UpstreamError           one server
    ├── StartFailed         it never came to speak MCP
    ├── NotConnected        it cannot take a call now (its state says why)
    │   ├── SignInRequired  a person has to sign in (the scopes it asks for)
    │   └── TokenUnavailable  its token cannot be renewed now; a later try may do
    ├── ConnectionLost      it went away while a request waited
    ├── RequestTimeout      it was silent for too long
    └── RpcError            it answered with a JSON-RPC error, kept as received
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal


class McpmuxError(Exception):
    """Something a person has to know: `message` says what, `hint` what to do about it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigError(McpmuxError):
    """A config file, or one entry of it, cannot be used."""

    def __init__(
        self, message: str, hint: str = "", *, path: Path | None = None, line: int | None = None
    ) -> None:
        super().__init__(message, hint)
        self.path = path
        self.line = line


class UsageError(McpmuxError):
    """A command was asked for something that cannot be."""

    exit_code = 2


class NoSuchServer(UsageError):
    """No server has the name that was given; `name` as it may stand in a sentence."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no server named {name}.", "`mcpmux list` shows the names.")


class InputMissing(McpmuxError):
    """Placeholders of one server have no value.

    `names` are the bare names, in order of use; `variables` those that would give each a value;
    `fixed` are the names that nothing but the environment gives; `trouble` says why nobody can
    tell whether a person gave them.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        variables: tuple[str, ...] = (),
        *,
        fixed: tuple[str, ...] = (),
        trouble: VaultError | None = None,
    ) -> None:
        one = len(names) == 1
        count = "1 value" if one else f"{len(names)} values"
        told = dict(zip(names, variables or names, strict=True))
        self.entered = tuple(name for name in names if name not in fixed)
        """The names that a person can enter."""
        if trouble is None:
            hints = [environment_alone(*fixed)] if fixed else []
            if self.entered:
                them = "it" if one else "them" if not fixed else ", ".join(self.entered)
                variables = tuple(told[name] for name in self.entered)
                hints.insert(
                    0,
                    f"Enter {them}: press `Enter values` on its row, or run `mcpmux secret set"
                    f" {self.entered[0]}`; or start mcpmux with {', '.join(variables)} set.",
                )
            super().__init__(
                f"{count} {'is' if one else 'are'} missing: {', '.join(names)}.", " ".join(hints)
            )
        else:
            why = trouble.message.rstrip(".")
            super().__init__(f"{count} cannot be read: {', '.join(names)}. {why}.", trouble.hint)
        self.names = names
        self.variables = tuple(told.values())
        self.fixed = fixed
        self.trouble = trouble


def environment_alone(*names: str) -> str:
    """What to do where `${env:NAME}` has no value."""
    return (
        f"`${{env:{names[0]}}}` reads the environment alone: start mcpmux with {', '.join(names)}"
        f" set, or write `${{{names[0]}}}` in its place to be asked."
    )


class NoEngine(McpmuxError):
    """No engine runs for this instance."""

    exit_code = 3

    def __init__(
        self,
        message: str = "mcpmux is not running for this config.",
        hint: str = "Start it with `mcpmux` or `mcpmux serve`.",
    ) -> None:
        super().__init__(message, hint)


class AlreadyRunning(McpmuxError):
    """An engine runs for this instance already."""

    exit_code = 4

    def __init__(self, pid: int) -> None:
        super().__init__(
            f"mcpmux already runs for this config (pid {pid}).",
            "Open it with `mcpmux`, or end it with `mcpmux stop`.",
        )
        self.pid = pid


class PortInUse(McpmuxError):
    """The proxy's port belongs to another process; `owner` names it where that can be seen."""

    exit_code = 2

    def __init__(self, port: int, owner: str = "") -> None:
        by = f" by {owner}" if owner else ""
        super().__init__(
            f"Port {port} is in use{by}.",
            "End that program, or choose another port with --port or `port` in [proxy].",
        )
        self.port = port


class ControlError(McpmuxError):
    """The engine refused a request of a door, or the door and the engine do not understand
    each other."""


VaultTrouble = Literal["unavailable", "locked", "silent", "refused", "damaged"]
"""Why: no service, not unlocked, no answer in time, an error, or a value that is not whole."""


class VaultError(McpmuxError):
    """The keyring, or what stands in for it, cannot be read or written now."""

    def __init__(self, message: str, hint: str = "", trouble: VaultTrouble = "damaged") -> None:
        super().__init__(message, hint)
        self.trouble = trouble


class UpstreamError(McpmuxError):
    """One server could not do what was asked of it."""

    status: int | None = None
    """The HTTP status it answered with, where that is the reason."""
    retry_after: float | None = None
    """Seconds it wants to be left alone."""
    permanent = False
    """No timer can mend it."""


class StartFailed(UpstreamError):
    """A server never came to speak MCP."""

    def __init__(self, message: str, hint: str = "", *, permanent: bool = False) -> None:
        super().__init__(message, hint)
        self.permanent = permanent


class NotConnected(UpstreamError):
    """A server cannot take a call now; nothing was sent."""


class SignInRequired(NotConnected):
    """A person has to sign in; `scopes` are those the server asks for besides the granted ones.

    `message` is a phrase that follows the server's name. With `unreadable`, somebody may be signed
    in already: what is kept of it cannot be read now.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        scopes: tuple[str, ...] = (),
        unreadable: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.scopes = scopes
        self.unreadable = unreadable


class TokenUnavailable(NotConnected):
    """A server's token cannot be renewed now, and nobody has to sign in: a later try may do.

    `message` is a phrase that follows the server's name.
    """

    def __init__(self, message: str, hint: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class ConnectionLost(UpstreamError):
    """A server went away, or its answer could not be read, while a request waited."""


class RequestTimeout(UpstreamError):
    """A server was silent for too long."""


class RpcError(UpstreamError):
    """A server answered with a JSON-RPC error; `raw` is the `error` object as received."""

    def __init__(self, raw: bytes, code: int, message: str) -> None:
        super().__init__(message)
        self.raw = raw
        self.code = code
