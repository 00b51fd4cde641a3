from __future__ import annotations

from pathlib import Path

import pytest

from mcpmux_tui.config.show import entry_text
from mcpmux_tui.model.errors import UsageError


@pytest.mark.behaviour("F9")
def test_an_entry_is_shown_as_it_stands_without_its_secrets(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '# mine\n[servers.a]\ncommand = "x"\n'
        'env = { API_KEY = "hunter2-secret", REF = "${secret:REF}", LEVEL = "info" }\n',
        encoding="utf-8",
    )
    line, text = entry_text(path, "a")
    assert line == 2
    assert "hunter2" not in text
    assert 'API_KEY = "****"' in text
    assert 'REF = "${secret:REF}"' in text
    assert 'LEVEL = "info"' in text
    with pytest.raises(UsageError, match="no server named b"):
        entry_text(path, "b")
