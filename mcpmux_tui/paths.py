"""Where the user's config and an instance's state live."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TypeVar

# hashlib loads OpenSSL, which is a sixth of what a bridge holds; `random` of the standard library
# goes the same way. Not every Python has these modules.
try:
    if sys.version_info >= (3, 12):
        from _sha2 import sha256  # type: ignore[import-not-found]
    else:
        from _sha256 import sha256  # type: ignore[import-not-found]
except ImportError:
    from hashlib import sha256

_APP = "mcpmux"
_DEFAULTS = {"CONFIG": ".config", "STATE": ".local/state"}

AnyPath = TypeVar("AnyPath", bound=PurePath)


def default_config() -> Path:
    """The default config file."""
    return config_dir() / "config.toml"


def config_dir() -> Path:
    """The folder of the default config; MCPMUX_CONFIG_DIR overrides it."""
    if override := os.environ.get("MCPMUX_CONFIG_DIR"):
        return Path(override).expanduser()
    if sys.platform != "linux":
        import platformdirs

        return Path(platformdirs.user_config_dir(_APP, appauthor=False))
    return _xdg("CONFIG")


def state_root() -> Path:
    """The folder of all instances' state; MCPMUX_STATE_DIR overrides it."""
    if override := os.environ.get("MCPMUX_STATE_DIR"):
        return Path(override).expanduser()
    if sys.platform != "linux":
        import platformdirs

        return Path(platformdirs.user_state_dir(_APP, appauthor=False))
    return _xdg("STATE")


def _xdg(kind: str) -> Path:
    # What platformdirs does here, without its import: the bridge has none but the standard library.
    given = os.environ.get(f"XDG_{kind}_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / _DEFAULTS[kind]
    return base / _APP


def instance_dir(config: Path) -> Path:
    """The state folder of the instance that a config file names; not created here."""
    resolved = os.fsencode(config.expanduser().resolve())
    digest: str = sha256(resolved).hexdigest()
    return state_root() / digest[:12]


def token_file(instance: Path) -> Path:
    """Where the proxy's token is kept, in an instance's state folder."""
    return instance / "token"


def app_data(home: AnyPath, environ: Mapping[str, str], platform: str) -> AnyPath:
    """Where desktop programs keep a user's settings, by the platform's name in `sys.platform`."""
    match platform:
        case "darwin":
            return home / "Library" / "Application Support"
        case "win32":
            given, default = environ.get("APPDATA", ""), home / "AppData" / "Roaming"
        case _:
            given, default = environ.get("XDG_CONFIG_HOME", ""), home / ".config"
    # The XDG specification has a relative path ignored.
    return type(home)(given) if type(home)(given).is_absolute() else default


def private_dir(path: Path) -> Path:
    """Make `path` a folder that only this user can enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def shown(path: Path) -> str:
    """`path` for people: the home folder as `~`."""
    try:
        return str(Path("~") / path.relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return str(path)
