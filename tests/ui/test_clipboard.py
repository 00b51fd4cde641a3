from __future__ import annotations

from pathlib import Path

import pytest

from mcpmux_tui.ui.clipboard import copy_natively, in_tmux, is_remote, native_tool


def tool(folder: Path, name: str, script: str) -> None:
    """A command on PATH."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the front of PATH, on a desktop that is this machine's."""
    for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "DISPLAY", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


async def test_the_systems_own_tool_gets_the_text_on_its_stdin(desktop: Path) -> None:
    tool(desktop, "wl-copy", f'cat > "{desktop}/clipboard"')
    assert await copy_natively("ümlaut $HOME `x`\n")
    assert (desktop / "clipboard").read_text(encoding="utf-8") == "ümlaut $HOME `x`\n"


async def test_a_tool_that_fails_is_said(desktop: Path) -> None:
    tool(desktop, "wl-copy", "exit 1")
    assert not await copy_natively("x")


async def test_a_tool_that_hangs_is_given_up(
    desktop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpmux_tui.ui.clipboard._PATIENCE", 0.2)
    tool(desktop, "wl-copy", "exec sleep 30")
    assert not await copy_natively("x")


async def test_no_tool_no_copy(desktop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY")
    assert not await copy_natively("x")


def test_over_ssh_the_other_machines_clipboard_is_meant(desktop: Path) -> None:
    tool(desktop, "wl-copy", "exit 0")
    environ = {"WAYLAND_DISPLAY": "wayland-0", "PATH": str(desktop)}
    assert native_tool(environ) == ("wl-copy",)
    assert native_tool(environ | {"SSH_TTY": "/dev/pts/1"}) is None
    assert is_remote({"SSH_CONNECTION": "a b"})
    assert in_tmux({"TMUX": "/tmp/tmux"})


def test_the_tool_of_the_display_server_in_use_is_chosen(desktop: Path) -> None:
    for name in ("wl-copy", "xclip", "xsel"):
        tool(desktop, name, "exit 0")
    environ = {"DISPLAY": ":0", "PATH": str(desktop)}
    assert native_tool(environ) == ("xclip", "-selection", "clipboard")
    (desktop / "xclip").unlink()
    assert native_tool(environ) == ("xsel", "--clipboard", "--input")
