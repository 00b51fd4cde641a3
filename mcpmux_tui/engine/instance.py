"""One instance: a config file, its state folder, the lock that keeps it single, its token."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import select
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mcpmux_tui import paths
from mcpmux_tui.engine.login_shell import started_from_shell
from mcpmux_tui.model.errors import AlreadyRunning, ConfigError, UsageError
from mcpmux_tui.model.frozen import Frozen

_log = logging.getLogger(__name__)

_LOCK = "engine.lock"


@dataclass(frozen=True, slots=True)
class Instance:
    """The config file as given, whether it must exist, and the state folder that belongs to it."""

    config: Path
    required: bool
    folder: Path

    @classmethod
    def of(cls, config: Path | None) -> Self:
        """The instance of a config file, or of the default one."""
        path = (config or paths.default_config()).expanduser().absolute()
        return cls(path, config is not None, paths.instance_dir(path))

    def prepare(self) -> None:
        """Make the state folder, for this user alone. Raises ConfigError where that fails."""
        try:
            paths.private_dir(self.folder)
        except OSError as error:
            raise ConfigError(
                f"The state folder {paths.shown(self.folder)} cannot be used:"
                f" {error.strerror or error}.",
                "Set MCPMUX_STATE_DIR to a folder you can write to.",
            ) from error

    def token(self) -> str:
        """The proxy's bearer token: MCPMUX_TOKEN, else the kept one, made at first need.

        Raises UsageError for a MCPMUX_TOKEN that cannot stand in a header.
        """
        given = os.environ.get("MCPMUX_TOKEN")
        if given is not None:
            if not given or not given.isascii() or not given.isprintable() or " " in given:
                raise UsageError(
                    "MCPMUX_TOKEN is empty or has characters a header cannot hold.",
                    "Use printable ASCII without spaces, or unset it.",
                )
            return given
        self.prepare()
        path = paths.token_file(self.folder)
        try:
            kept = _kept(path)
            return kept or _create_once(path, secrets.token_urlsafe(32))
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(path, error) from error


def _kept(path: Path) -> str:
    """The token in a file; an empty file, as a full disk leaves one, is as none."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    if not token:
        path.unlink(missing_ok=True)
    return token


def _unusable(path: Path, error: OSError | UnicodeDecodeError) -> ConfigError:
    why = error.strerror if isinstance(error, OSError) else "it is not text"
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return ConfigError(
        f"{paths.shown(path)} cannot be used: {why}.",
        "Make room there, or set MCPMUX_STATE_DIR to a folder on another disk."
        if full
        else "It belongs to mcpmux; remove it and start again.",
    )


def _create_once(path: Path, token: str) -> str:
    # Linked into place whole, so that of two starters both end with the same token.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
        path.hardlink_to(draft)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    finally:
        draft.unlink()
    return token


class Options(Frozen):
    """How to run an engine."""

    config: Path
    required: bool
    folder: Path
    port: int | None = None
    """None: the config's; 0: any free one."""
    auth: bool = True
    demo: Path | None = None
    """A private folder to hold the demo's config and state; removed at the end."""
    from_shell: bool = True
    """Whether a shell started mcpmux; else the login shell is asked for its PATH."""

    @classmethod
    def of(cls, instance: Instance, *, port: int | None, auth: bool) -> Self:
        """Options for a user's own instance."""
        return cls(
            config=instance.config,
            required=instance.required,
            folder=instance.folder,
            port=port,
            auth=auth,
            from_shell=started_from_shell(),
        )

    @property
    def instance(self) -> Instance:
        """The instance to run."""
        return Instance(self.config, self.required, self.folder)

    @property
    def log(self) -> Path:
        """Where an engine of its own writes what happens."""
        return self.folder / "engine.log"


class InstanceLock:
    """Held by the one engine of an instance; freed by the system however the engine ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, instance: Instance) -> Self:
        """Take the lock.

        Raises AlreadyRunning with the pid of the engine that holds it, and ConfigError.
        """
        path = instance.folder / _LOCK
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _holder(descriptor)
            os.close(descriptor)
            raise AlreadyRunning(pid) from None
        except OSError as error:
            # Some network file systems have no locks; the port still tells a second engine apart.
            _log.warning("%s cannot be locked: %s", path, error.strerror)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:
            os.close(descriptor)
            raise _unusable(path, error) from error
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)


def _holder(descriptor: int) -> int:
    """The pid in a lock file; one that was taken a moment ago may not have its pid yet."""
    for _ in range(20):
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        if pid.isdigit():
            return int(pid)
        select.select([], [], [], 0.01)
    return 0
