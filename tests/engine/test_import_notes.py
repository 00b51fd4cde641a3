"""What a person is told of a server before it is imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcpmux_tui.engine import offline
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.inputs import InputSpec


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


DECLARED = [
    {
        "id": "token",
        "type": "promptString",
        "description": "Your \u202etoken",
        "password": True,
        "default": "s3cr3t-canary",
    },
    {
        "id": "region",
        "type": "pickString",
        "description": "Where the data lies",
        "options": ["eu", {"label": "America", "value": "us"}, 7],
        "default": "${eu}",
    },
    {"id": "branch", "type": "command", "command": "git.branch"},
    {"id": "unused", "type": "promptString", "description": "Of another server"},
    {"id": 7},
    "no object",
]
SERVERS = {
    "a": {"command": "x", "args": ["${input:region}", "${input:undeclared}"]},
    "b": {
        "url": "https://b.example/${input:branch}",
        "headers": {"Authorization": "Bearer ${input:token}"},
    },
}
VS_CODE = {
    "mcp.json": {"inputs": DECLARED, "servers": SERVERS},
    "settings.json": {"mcp": {"inputs": DECLARED, "servers": SERVERS}},
}


@pytest.mark.parametrize("name", VS_CODE)
def test_what_vs_code_asks_for_comes_along_with_the_servers_that_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "project/.vscode").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "project/.vscode" / name).write_text(json.dumps(VS_CODE[name]))
    instance = Instance(tmp_path / "config.toml", False, tmp_path / "state")
    found = offline.find_imports(instance, own_url="http://127.0.0.1:1/mcp")
    a, b = found.candidates
    assert a.inputs == ("region (choice, one of eu, us, else $${eu}) Where the data lies",)
    assert b.inputs == ("token (password, with a default) Your \\u202etoken", "branch (text)")
    assert "canary" not in found.model_dump_json()
    offline.import_servers(instance, (a.key, b.key), "http://127.0.0.1:1/mcp")
    config = offline.load(instance)
    assert config.warnings == ()
    assert config.inputs == {
        "region": InputSpec(
            "region", "choice", "Where the data lies", default="$${eu}", choices=("eu", "us")
        ),
        "token": InputSpec("token", "password", "Your \u202etoken", default="s3cr3t-canary"),
        "branch": InputSpec("branch"),
    }


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("config.toml", '# mine\n[inputs.region]\ndescription = "Mine"\n'),
        ("config.toml", 'inputs = { region = { description = "Mine" } } # mine\n'),
        ("config.toml", '[[inputs]] # mine\nid = "region"\ndescription = "Mine"\n'),
        ("mcp.json", '{"inputs": [{"id": "region", "description": "Mine"}], "servers": {}}'),
        ("mcp.json", '{"inputs": {"region": {"description": "Mine"}}}'),
    ],
)
def test_an_import_overwrites_no_input_however_the_config_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".vscode").mkdir()
    (tmp_path / ".vscode/mcp.json").write_text(json.dumps(VS_CODE["mcp.json"]))
    instance = Instance(tmp_path / name, True, tmp_path / "state")
    instance.config.write_text(before)
    a, b = offline.find_imports(instance, own_url="http://127.0.0.1:1/mcp").candidates
    assert "; the one in [inputs] stays)" in a.inputs[0]
    assert "stays" not in b.inputs[0]
    offline.import_servers(instance, (a.key, b.key), "http://127.0.0.1:1/mcp")
    inputs = offline.load(instance).inputs
    assert inputs["region"] == InputSpec("region", description="Mine")
    assert inputs["token"].secret
    assert ("# mine" in instance.config.read_text()) == ("# mine" in before)


def test_a_yes_to_what_was_asked_for_is_no_yes_to_what_is_asked_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".vscode").mkdir()
    file = tmp_path / ".vscode/mcp.json"
    file.write_text(json.dumps(VS_CODE["mcp.json"]))
    instance = Instance(tmp_path / "config.toml", False, tmp_path / "state")
    seen, _ = offline.find_imports(instance, own_url="http://127.0.0.1:1/mcp").candidates
    file.write_text(file.read_text().replace("Where the data lies", "Your password"))
    with pytest.raises(ControlError, match="changed since it was shown"):
        offline.import_servers(instance, (seen.key,), "http://127.0.0.1:1/mcp")
    assert not instance.config.exists()
