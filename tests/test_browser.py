"""Which addresses are opened in a browser, and how."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mcpmux_tui.browser import open_in_browser, safe
from mcpmux_tui.model.errors import UsageError
from tests.proxy.fakes import until


@pytest.mark.behaviour("C1", "C2")
@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "vbscript:x", "vscode://x",
        "http://as.example/", "--version", "https://", "https://a b/", "https://a/\n--x",
        "https://user:pass@as.example/", "https://[", "https://\u0430s.example/", "",
    ],
)  # fmt: skip
def test_only_https_or_this_machine_is_opened(address: str) -> None:
    with pytest.raises(UsageError, match="unsafe address"):
        safe(address)


@pytest.mark.behaviour("C1")
async def test_the_address_is_one_argument_and_no_shell_sees_it(tmp_path: Path) -> None:
    log = tmp_path / "arguments"
    stub = tmp_path / "browser stub"
    stub.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        f"open({str(log)!r} + '.new', 'w').write(json.dumps(sys.argv[1:]))\n"
        f"import os; os.rename({str(log)!r} + '.new', {str(log)!r})\n"
    )
    stub.chmod(0o755)
    environ = {"BROWSER": f"no-such-browser:'{stub}' --new %s", "PATH": "/usr/bin:/bin"}
    open_in_browser("https://as.example/$(calc)?a=`id`;x", environ)
    await until(log.exists)
    assert json.loads(log.read_text()) == ["--new", "https://as.example/$(calc)?a=`id`;x"]


def test_without_a_display_or_a_program_it_is_said() -> None:
    with pytest.raises(UsageError, match="no display"):
        open_in_browser("https://as.example/", {"PATH": "/usr/bin"})
    with pytest.raises(UsageError, match="no program"):
        open_in_browser("https://as.example/", {"PATH": "/nonexistent", "DISPLAY": ":0"})
