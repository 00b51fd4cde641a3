from __future__ import annotations

import sys

import platformdirs
import pytest

from mcpmux_tui import paths


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is platformdirs that is asked")
@pytest.mark.parametrize("given", [None, "", "/somewhere", "relative"])
def test_the_default_folders_are_those_of_platformdirs(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MCPMUX_CONFIG_DIR", "MCPMUX_STATE_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
        if given is not None and name.startswith("XDG"):
            monkeypatch.setenv(name, given)
    assert str(paths.config_dir()) == platformdirs.user_config_dir("mcpmux", appauthor=False)
    assert str(paths.state_root()) == platformdirs.user_state_dir("mcpmux", appauthor=False)
