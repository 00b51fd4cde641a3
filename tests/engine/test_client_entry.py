"""The entry for a client that starts commands leads to the engine that made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcpmux_tui import paths
from mcpmux_tui.bridge.options import Options, quick
from mcpmux_tui.engine import offline
from mcpmux_tui.engine.instance import Instance

URL = "http://127.0.0.1:4114/mcp"


def entry(instance: Instance) -> dict[str, Any]:
    text = offline.client_entry("claude-desktop", URL, "t0ken", instance).text
    found: dict[str, Any] = json.loads(text)["mcpServers"]["mcpmux"]
    assert Path(found["command"]).is_absolute()
    return found


def options(entry: dict[str, Any]) -> Options:
    args = entry["args"]
    asked = quick(args[args.index("stdio") :])
    assert asked is not None
    return asked


def test_its_arguments_name_the_config_and_its_variables_the_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPMUX_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("MCPMUX_CONFIG_DIR", raising=False)
    monkeypatch.setenv("MCPMUX_TOKEN", "t0ken")
    config = tmp_path / "c.toml"
    made = entry(Instance.of(config))
    asked = options(made)
    assert (asked.config, asked.url, asked.start) == (str(config), None, True)
    assert made["env"] == {"MCPMUX_STATE_DIR": str(tmp_path / "state")}
    assert "--config" not in str(entry(Instance.of(None)))


def test_the_demos_is_reached_by_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = Instance(tmp_path / "config.toml", True, tmp_path / "state")
    assert demo.folder != paths.instance_dir(demo.config)
    made = entry(demo)
    assert "t0ken" not in str(made["args"])
    for name, value in made["env"].items():
        monkeypatch.setenv(name, value)
    asked = options(made)
    assert (asked.url, asked.headers) == (URL, {"Authorization": "Bearer t0ken"})
