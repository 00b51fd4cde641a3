"""The environment and working folder of a child process.

A child gets what a program started from a shell needs to run (groups below) and what its entry
declares, but no credential that merely happens to be in mcpmux's own environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mcpmux_tui.model.errors import StartFailed
from mcpmux_tui.model.remember import remembered
from mcpmux_tui.model.spec import StdioLaunch

BASE: Final = (
    "HOME", "LOGNAME", "PATH", "SHELL", "TEMP", "TERM", "TMP", "TMPDIR", "USER",
)  # fmt: skip
LOCALE: Final = ("LANG", "LANGUAGE", "LC_*", "TZ", "TZDIR")
NETWORK: Final = (
    "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "NODE_USE_ENV_PROXY",
    "all_proxy", "https_proxy", "http_proxy", "no_proxy",
    "CURL_CA_BUNDLE", "DENO_CERT", "DENO_TLS_CA_STORE", "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "HTTPLIB2_CA_CERTS", "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS", "NODE_USE_SYSTEM_CA", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)  # fmt: skip
MODULES: Final = ("LD_LIBRARY_PATH", "NODE_OPTIONS", "NODE_PATH", "PYTHONPATH")
DISPLAY: Final = (
    "BROWSER", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "KDE_SESSION_VERSION", "WAYLAND_DISPLAY",
    "WSL_*", "WSLENV", "XAUTHORITY", "XDG_*",
)  # fmt: skip
AGENTS: Final = (
    "CONTAINER_HOST", "DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST",
    "DOCKER_TLS_VERIFY", "SSH_AUTH_SOCK",
)  # fmt: skip
TOOL_MANAGERS: Final = (
    # JavaScript
    "BUN_INSTALL*", "COREPACK_*", "DENO_DIR", "DENO_INSTALL*", "FNM_*", "NODENV_*", "NPM_CONFIG_*",
    "NVM_*", "N_PREFIX", "PNPM_HOME", "VOLTA_*", "npm_config_*",
    # Python
    "CONDA_*", "MAMBA_*", "PIPX_*", "PIP_*", "PYENV_*", "UV_*", "VIRTUAL_ENV",
    # others, and those of many languages
    "ASDF_*", "CARGO_HOME", "DOTNET_CLI_HOME", "DOTNET_ROOT*", "GEM_HOME", "GEM_PATH", "GOBIN",
    "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOROOT", "HOMEBREW_PREFIX", "JAVA_HOME",
    "MISE_*", "NIX_LD*", "NIX_PATH", "NIX_PROFILES", "NUGET_PACKAGES", "PROTO_HOME", "RBENV_*",
    "RUSTUP_*", "SDKMAN_DIR",
)  # fmt: skip
"""What decides, besides PATH, which program a shim starts and where a runner keeps packages."""
DEFAULT_GROUPS: Final = (
    *BASE, *LOCALE, *NETWORK, *MODULES, *DISPLAY, *AGENTS, *TOOL_MANAGERS,
)  # fmt: skip

CREDENTIALS: Final = ("*TOKEN*", "*PASSWORD*", "*SECRET*", "*_AUTH")
"""The registries' own keys (UV_PUBLISH_TOKEN, npm_config__authToken): needed to publish, and by
servers from a private index, whose entry names them."""
_OWN = "MCPMUX_*"
"""mcpmux's own settings hold its token; only an entry that declares one passes it on."""


def child_environment(launch: StdioLaunch, source: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: inherited from `source`, the declared values on top."""
    match launch.inherit_env:
        case True:
            named: tuple[str, ...] = ("*",)
        case False:
            named = ()
        case more:
            named = more
    inherited = {
        name: value
        for name, value in source.items()
        if (_by_default(name) or _matches(name, named))
        and not _matches(name, (_OWN,))
        # An exported shell function: code, not a value.
        and not value.startswith("()")
    }
    if "PATH" in inherited:
        inherited["PATH"] = _absolute(inherited["PATH"])
    return inherited | dict(launch.env)


def _absolute(path: str) -> str:
    """`path` without relative folders: whatever lies in a working folder is not to run."""
    folders = [folder for folder in path.split(os.pathsep) if folder.startswith(os.sep)]
    return os.pathsep.join(folders) or os.defpath


@remembered
def _by_default(name: str) -> bool:
    return _matches(name, DEFAULT_GROUPS) and not _matches(name.upper(), CREDENTIALS)


def _matches(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


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
