from __future__ import annotations

from pathlib import Path

from mcpmux_tui.clients import choices
from mcpmux_tui.clients.entries import CLIENTS


def keys(home: Path, environ: dict[str, str], platform: str = "linux") -> list[str]:
    made = choices(home, environ, platform)
    assert sorted(made) == sorted((key, client.title) for key, client in CLIENTS.items())
    assert made[-1][0] == "json"
    return [key for key, _ in made]


def test_without_any_client_all_are_offered_in_their_order(tmp_path: Path) -> None:
    assert keys(tmp_path, {}) == list(CLIENTS)


def test_clients_with_a_folder_here_stand_first(tmp_path: Path) -> None:
    (tmp_path / ".config/zed").mkdir(parents=True)
    (tmp_path / ".cursor").mkdir()
    assert keys(tmp_path, {})[:3] == ["cursor", "zed", "claude-code"]
    (tmp_path / "Library/Application Support/Code/User").mkdir(parents=True)
    assert keys(tmp_path, {}, "darwin")[:3] == ["cursor", "vscode", "zed"]


def test_clients_whose_command_is_on_the_path_stand_first(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "gemini"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n", encoding="utf-8")
    command.chmod(0o755)
    assert keys(tmp_path, {"PATH": str(command.parent)})[0] == "gemini"


def test_a_folder_that_the_environment_names_counts(tmp_path: Path) -> None:
    (tmp_path / "codex").mkdir()
    assert keys(tmp_path, {"CODEX_HOME": str(tmp_path / "codex")})[0] == "codex"
