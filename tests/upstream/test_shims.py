"""Version managers: a command is a shim, and which program it starts depends on how it is called.

Each manager is built as it lies on a disk: small shell scripts in the place of the real ones, and
the raw server as what they start at last.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mcpmux_tui.model.server import Health
from mcpmux_tui.model.spec import StdioLaunch
from tests.upstream.rig import FIXTURES, PlainValues, running

RAW = FIXTURES / "raw_stdio.py"
SYSTEM = "/usr/bin:/bin"


class Machine(PlainValues):
    """A user's home, and the environment that mcpmux is started with there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ: dict[str, str] = {"HOME": str(home), "PATH": SYSTEM}

    def environment(self) -> Mapping[str, str]:
        return self.environ

    def script(self, path: str, text: str) -> Path:
        """Make a program."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)
        return file

    def server(self, path: str) -> Path:
        """Make the program that a shim is to start at last: it takes what npx would take."""
        return self.script(
            path, f'#!/bin/sh\n[ "$1" = -y ] || exit 9\nexec {sys.executable} {RAW}\n'
        )

    def link(self, path: str, target: str) -> None:
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    def in_shell(self, rc: str) -> None:
        """Take over what a shell exports after its start-up file."""
        self.script(".bashrc", rc)
        command = '. "$HOME/.bashrc"; env -0'
        done = subprocess.run(
            ["/bin/bash", "-c", command], env=self.environ, capture_output=True, check=True
        )
        exported = done.stdout.decode().rstrip("\0").split("\0")
        self.environ = dict(each.split("=", 1) for each in exported)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def connects(machine: Machine, command: str, cwd: Path | None = None) -> None:
    """`command -y` is a server that connects."""
    launch = StdioLaunch(command, ("-y",), cwd=str(cwd or "/"))
    async with running(launch, values=machine) as rig:
        settled = await rig.until(lambda s: s.state in {Health.CONNECTED, Health.FAILED})
        assert settled.state is Health.CONNECTED, rig.journal.lines


@pytest.mark.behaviour("D18")
async def test_nvm_a_shell_function_that_puts_a_versions_folder_on_the_path(
    machine: Machine,
) -> None:
    machine.script(
        ".nvm/nvm.sh",
        'nvm() { export NVM_BIN="$NVM_DIR/versions/node/$2/bin"; PATH="$NVM_BIN:$PATH"; }\n'
        "export -f nvm\n",
    )
    node = ".nvm/versions/node/v22.1.0"
    machine.server(f"{node}/bin/node")
    # npx looks for the node beside the name it is called by, and for its packages under NVM_DIR.
    machine.script(
        f"{node}/lib/node_modules/npm/bin/npx-cli.js",
        '#!/bin/sh\n[ -d "${NVM_DIR:?}" ] && exec "${0%/*}/node" "$@"\n',
    )
    machine.link(f"{node}/bin/npx", "../lib/node_modules/npm/bin/npx-cli.js")
    machine.in_shell('export NVM_DIR="$HOME/.nvm"; . "$NVM_DIR/nvm.sh"; nvm use v22.1.0')
    assert any(name.startswith("BASH_FUNC_nvm") for name in machine.environ)
    await connects(machine, "npx")


@pytest.mark.behaviour("E6")
async def test_a_program_in_the_working_folder_does_not_stand_in_for_the_real_one(
    machine: Machine,
) -> None:
    machine.script("project/npx", "#!/bin/sh\nexit 6\n")
    machine.server("bin/npx")
    machine.environ["PATH"] = f".::{machine.home}/bin:{SYSTEM}"
    await connects(machine, "npx", cwd=machine.home / "project")


ASDF = """#!/bin/sh
# asdf exec NAME ...: the version is that of the nearest .tool-versions, else of the home's.
[ "$1" = exec ] || exit 8
name=$2; shift 2
folder=$PWD
while [ "$folder" ] && [ ! -f "$folder/.tool-versions" ]; do folder=${folder%/*}; done
read -r tool version < "${folder:-$HOME}/.tool-versions"
exec "${ASDF_DATA_DIR:?}/installs/$tool/$version/bin/$name" "$@"
"""


@pytest.mark.behaviour("D18")
@pytest.mark.parametrize("place", ["home", "project"])
async def test_asdf_a_shim_that_asks_asdf_by_its_own_name(machine: Machine, place: str) -> None:
    machine.script("asdf/bin/asdf", ASDF)
    machine.script("data/shims/npx", '#!/bin/sh\nexec asdf exec "npx" "$@"\n')
    versions = {"home": "20.0.0", "project": "22.0.0"}
    (machine.home / ".tool-versions").write_text(f"nodejs {versions['home']}\n")
    project = machine.home / "project" / "deep"
    project.mkdir(parents=True)
    (project.parent / ".tool-versions").write_text(f"nodejs {versions['project']}\n")
    # Only the version of that place is installed.
    machine.server(f"data/installs/nodejs/{versions[place]}/bin/npx")
    machine.environ |= {
        "ASDF_DATA_DIR": str(machine.home / "data"),
        "PATH": f"{machine.home}/data/shims:{machine.home}/asdf/bin:{SYSTEM}",
    }
    await connects(machine, "npx", cwd=project if place == "project" else None)


@pytest.mark.behaviour("D18")
@pytest.mark.parametrize("command", ["npx", "{}/.volta/bin/npx"], ids=["name", "path"])
async def test_volta_one_program_under_many_names(machine: Machine, command: str) -> None:
    machine.script(
        "volta/volta-shim",
        "#!/bin/sh\n"
        'case ${0##*/} in volta-shim) echo "called directly" >&2; exit 126 ;; esac\n'
        'exec "${VOLTA_HOME:?}/tools/image/node/22.0.0/bin/${0##*/}" "$@"\n',
    )
    for name in ("node", "npx"):
        machine.link(f".volta/bin/{name}", str(machine.home / "volta/volta-shim"))
    machine.server(".volta/tools/image/node/22.0.0/bin/npx")
    machine.script(".volta/tools/image/node/22.0.0/bin/node", "#!/bin/sh\nexit 7\n")
    machine.environ |= {
        "VOLTA_HOME": str(machine.home / ".volta"),
        "PATH": f"{machine.home}/.volta/bin:{SYSTEM}",
    }
    await connects(machine, command.format(machine.home))
