from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcpmux_tui.model.errors import StartFailed
from mcpmux_tui.model.spec import StdioLaunch
from mcpmux_tui.upstream.environment import child_environment, working_folder

SOURCE = {
    "PATH": "/bin",
    "HOME": "/home/ada",
    "LC_ALL": "C.UTF-8",
    "https_proxy": "http://proxy:1",
    "SSL_CERT_FILE": "/ca.pem",
    "XDG_RUNTIME_DIR": "/run/user/1",
    "DOCKER_HOST": "unix:///run/docker.sock",
    "SSH_AUTH_SOCK": "/agent",
    "NVM_DIR": "/nvm",
    "npm_config_cache": "/npm",
    "UV_CACHE_DIR": "/uv",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "GITHUB_TOKEN": "secret",
    "MY_APP_MODE": "x",
    "MCPMUX_TOKEN": "secret",
    "BASH_FUNC_f%%": "() {  true; }",
}


@pytest.mark.behaviour("D18", "LUN-E09")
def test_a_child_gets_the_default_groups_and_no_credential() -> None:
    environment = child_environment(StdioLaunch("x"), SOURCE)
    assert set(environment) == {
        "PATH", "HOME", "LC_ALL", "https_proxy", "SSL_CERT_FILE", "XDG_RUNTIME_DIR",
        "DOCKER_HOST", "SSH_AUTH_SOCK", "NVM_DIR", "npm_config_cache", "UV_CACHE_DIR",
    }  # fmt: skip


TOOLS = (
    "ASDF_DATA_DIR", "BUN_INSTALL", "CARGO_HOME", "CONDA_PREFIX", "DOTNET_ROOT", "FNM_DIR",
    "GOPATH", "JAVA_HOME", "MISE_DATA_DIR", "NPM_CONFIG_PREFIX", "NVM_BIN", "PIP_INDEX_URL",
    "PNPM_HOME", "PYENV_ROOT", "PYTHONPATH", "RUSTUP_HOME", "UV_INDEX_URL", "VIRTUAL_ENV",
    "VOLTA_HOME", "npm_config_registry",
)  # fmt: skip
KEYS = (
    "CARGO_REGISTRY_TOKEN", "CONDA_TOKEN", "DOCKER_AUTH_CONFIG", "GOOGLE_API_KEY",
    "HOMEBREW_GITHUB_API_TOKEN", "MISE_GITHUB_TOKEN", "NIX_CONFIG", "NPM_CONFIG__AUTH",
    "UV_INDEX_OURS_PASSWORD", "UV_PUBLISH_TOKEN", "XDG_ACTIVATION_TOKEN", "npm_config__auth",
    "npm_config_//registry.npmjs.org/:_authToken",
)  # fmt: skip


@pytest.mark.behaviour("D18")
def test_a_child_gets_what_starts_its_tools_and_no_key_to_their_registries() -> None:
    source = dict.fromkeys((*TOOLS, *KEYS), "x")
    assert set(child_environment(StdioLaunch("x"), source)) == set(TOOLS)
    named = child_environment(StdioLaunch("x", inherit_env=("UV_INDEX_*",)), source)
    assert set(named) == {*TOOLS, "UV_INDEX_OURS_PASSWORD"}
    assert set(child_environment(StdioLaunch("x", inherit_env=True), source)) == set(source)


@pytest.mark.behaviour("LUN-E09")
def test_declared_values_stand_above_inherited_ones() -> None:
    launch = StdioLaunch("x", env={"HOME": "/tmp", "MCPMUX_TOKEN": "mine"})
    environment = child_environment(launch, SOURCE)
    assert environment["HOME"] == "/tmp"
    assert environment["MCPMUX_TOKEN"] == "mine"
    assert environment["PATH"] == "/bin"


def test_globs_add_to_the_default_groups() -> None:
    environment = child_environment(StdioLaunch("x", inherit_env=("MY_*",)), SOURCE)
    assert environment["MY_APP_MODE"] == "x"
    assert "GITHUB_TOKEN" not in environment


def test_inherit_env_true_gives_everything_but_mcpmux_own_token() -> None:
    environment = child_environment(StdioLaunch("x", inherit_env=True), SOURCE)
    assert set(SOURCE) - set(environment) == {"MCPMUX_TOKEN", "BASH_FUNC_f%%"}


@pytest.mark.behaviour("E6")
@pytest.mark.parametrize(
    ("path", "kept"),
    [(".:/usr/bin::bin:/bin", "/usr/bin:/bin"), (".", os.defpath), ("", os.defpath)],
)
def test_nothing_runs_because_it_lies_in_a_working_folder(path: str, kept: str) -> None:
    assert child_environment(StdioLaunch("x"), {"PATH": path}) == {"PATH": kept}
    declared = StdioLaunch("x", env={"PATH": path})
    assert child_environment(declared, {"PATH": "/bin"}) == {"PATH": path}


def test_the_working_folder_is_home_unless_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    for cwd, folder in ((None, "/home/ada"), ("~/work", "/home/ada/work"), ("/srv", "/srv")):
        launch = StdioLaunch("x", cwd=cwd)
        assert working_folder(launch, launch) == Path(folder)


def test_a_home_folder_of_nobody_is_a_reason_not_to_start() -> None:
    with pytest.raises(StartFailed, match="working folder") as caught:
        working_folder(StdioLaunch("x", cwd="~hunter2/x"), StdioLaunch("x", cwd="~${USER}/x"))
    assert caught.value.permanent
    assert "~${USER}/x" in caught.value.message
