from __future__ import annotations

from pathlib import Path

import pytest

from mcpmux_tui.model.errors import StartFailed
from mcpmux_tui.model.spec import StdioLaunch
from mcpmux_tui.upstream import process


@pytest.mark.behaviour("MUX-P03", "P18")
@pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("npx", "Install Node.js (https://nodejs.org), or give its full path in the config."),
        ("uvx", "Install uv (https://docs.astral.sh/uv), or give its full path in the config."),
        ("docker", "name podman if you have that, or give its full path in the config."),
        ("my-server", "Install it, or give its full path in the config."),
    ],
)
def test_a_command_that_is_not_found_comes_with_the_way_to_get_it(
    command: str, advice: str
) -> None:
    launch = StdioLaunch(command)
    with pytest.raises(StartFailed, match=f"command not found: {command}") as caught:
        process.check(launch, launch, {"PATH": "/no/such"}, Path("/"))
    assert caught.value.hint.startswith("It is not on the PATH this server gets (/no/such). ")
    assert caught.value.hint.endswith(advice)
