"""The environment and working folder of a child process.

A child gets what a program started from a shell needs to run (groups below) and what its entry
declares, but no credential that merely happens to be in mcpmux's own environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mcpmux_tui.model.errors import StartFailed
from mcpmux_tui.model.spec import StdioLaunch

BASE: Final = ("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER")
LOCALE: Final = ("LANG", "LANGUAGE", "LC_*", "TZ")
NETWORK: Final = (
    "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY",
    "all_proxy", "https_proxy", "http_proxy", "no_proxy",
    "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
)  # fmt: skip
DISPLAY: Final = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_*")
AGENTS: Final = ("DOCKER_HOST", "SSH_AUTH_SOCK")
TOOL_MANAGERS: Final = (
    "ASDF_*", "MISE_*", "NVM_*", "PIP_*", "PYENV_*", "UV_*", "VOLTA_*", "npm_config_*",
)  # fmt: skip
DEFAULT_GROUPS: Final = (*BASE, *LOCALE, *NETWORK, *DISPLAY, *AGENTS, *TOOL_MANAGERS)

_OWN = "MCPMUX_*"
"""mcpmux's own settings hold its token; only an entry that declares one passes it on."""


def child_environment(launch: StdioLaunch, source: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: inherited from `source`, the declared values on top."""
    match launch.inherit_env:
        case True:
            globs: tuple[str, ...] = ("*",)
        case False:
            globs = DEFAULT_GROUPS
        case more:
            globs = (*DEFAULT_GROUPS, *more)
    inherited = {
        name: value
        for name, value in source.items()
        if any(fnmatchcase(name, glob) for glob in globs)
        and not fnmatchcase(name, _OWN)
        # An exported shell function: code, not a value.
        and not value.startswith("()")
    }
    return inherited | dict(launch.env)


def working_folder(launch: StdioLaunch, configured: StdioLaunch) -> Path:
    """The folder a child starts in: the declared one, else home. Raises StartFailed."""
    try:
        return Path(launch.cwd).expanduser() if launch.cwd else Path.home()
    except RuntimeError as error:
        raise StartFailed(
            f"working folder does not exist: {configured.cwd or '~'} has no home folder",
            "Correct `cwd` in the config.",
            permanent=True,
        ) from error
