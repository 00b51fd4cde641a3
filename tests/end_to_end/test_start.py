"""What an engine does not import before somebody asks for it."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.end_to_end.program import LISTENING, ROOT, Home

LATER = {
    "httpx2",
    "keyring",
    "mcp",
    "mcpmux_tui.auth",
    "mcpmux_tui.clients",
    "mcpmux_tui.config.atomic",
    "mcpmux_tui.config.edit",
    "mcpmux_tui.config.roundtrip",
    "mcpmux_tui.control.protocol",
    "mcpmux_tui.demo",
    "mcpmux_tui.engine.doctor",
    "mcpmux_tui.engine.doors",
    "mcpmux_tui.engine.person",
    "mcpmux_tui.engine.sign_ins",
    "mcpmux_tui.importers",
    "mcpmux_tui.ui",
    "textual",
    "tomlkit",
}


def test_servers_are_up_before_anything_is_imported_that_only_doors_need(home: Home) -> None:
    home.write(home.stdio("raw"))
    script = (
        "import sys, runpy; sys.argv[1:] = ['serve', '--config', sys.argv[1], '--port', '0',"
        " '--wait', '--timeout', '20']\n"
        "try: runpy.run_module('mcpmux_tui', run_name='__main__')\n"
        "finally: print(*sorted(sys.modules))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(home.config)],
        cwd=ROOT, env=home.env, text=True, stdout=subprocess.PIPE,
    ) as engine:  # fmt: skip
        assert engine.stdout is not None
        assert engine.stdout.readline().startswith(LISTENING)
        engine.send_signal(signal.SIGTERM)
        loaded = set(engine.stdout.read().splitlines()[-1].split())
        assert engine.wait(10) == 0
    assert "mcpmux_tui.upstream.stdio" in loaded
    assert not loaded & LATER
