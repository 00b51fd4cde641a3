"""The keyring of GNOME, in a session bus of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.program import ROOT

pytestmark = pytest.mark.real
SESSION = Path(__file__).with_name("keyring_session.py")
FORM = Path(__file__).with_name("form_session.py")


@pytest.mark.behaviour("F2", "F3", "F9")
def test_secrets_outlive_a_restart_of_the_keyring_and_a_locked_one_is_known(
    tmp_path: Path,
) -> None:
    home = session_home(tmp_path)
    ended = subprocess.run(
        ["dbus-run-session", "--", sys.executable, str(SESSION), str(tmp_path)],
        env=home, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "keeps": "keyring (Secret Service)",
        "kept": ["one", True],
        "deleted": None,
        "locked": "locked",
    }
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert files
    assert not any(b"x" * 100 in path.read_bytes() for path in files)


@pytest.mark.timeout(120)
def test_two_missing_secrets_are_typed_kept_and_asked_for_no_more(tmp_path: Path) -> None:
    ended = subprocess.run(
        ["dbus-run-session", "--", sys.executable, str(FORM), str(tmp_path)],
        env=session_home(tmp_path), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]


def session_home(tmp_path: Path) -> dict[str, str]:
    """The environment of a session of its own; skips the test where its programs are missing."""
    for program in ("dbus-run-session", "gnome-keyring-daemon"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing (Debian: dbus-daemon, gnome-keyring)")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PYTHONPATH": str(ROOT),
    }
