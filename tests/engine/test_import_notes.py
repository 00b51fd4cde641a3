"""What a person is told of a server before it is imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcpmux_tui.engine import offline
from mcpmux_tui.engine.instance import Instance


@pytest.mark.behaviour("E8", "F9", "F6")
def test_loaders_and_plain_secrets_are_named_and_no_value_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cursor").mkdir()
    servers = {
        "x": {
            "command": "npx",
            "env": {"NODE_OPTIONS": "--require ./evil.js", "API_KEY": "s3cr3t-canary", "OK": "1"},
        }
    }
    (tmp_path / ".cursor/mcp.json").write_text(json.dumps({"mcpServers": servers}))
    instance = Instance(tmp_path / "config.toml", False, tmp_path / "state")
    (found,) = offline.find_imports(instance, own_url="http://127.0.0.1:1/mcp").candidates
    loader, secret = found.notes
    assert loader.startswith("`NODE_OPTIONS` can have other code run in it")
    assert "`env.API_KEY` is a secret in plain text" in secret
    assert secret.endswith("Its source holds it still.")
    assert "canary" not in found.model_dump_json()
