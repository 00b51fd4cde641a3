"""Finds servers and clients nobody here wrote: in the folders of MCPMUX_REAL_BIN, then on PATH.

MCPMUX_REAL_BIN is a list like PATH. A folder of it may hold scripts itself, a virtual
environment's `bin`, or `node_modules`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

FOLDERS = [Path(part) for part in os.environ.get("MCPMUX_REAL_BIN", "").split(os.pathsep) if part]
PLACES = (".", "bin", "node_modules/.bin")


def program(name: str, package: str) -> str:
    """The path of an executable; skips the test when it is missing."""
    search = [str((folder / place).resolve()) for folder in FOLDERS for place in PLACES]
    found = shutil.which(name, path=os.pathsep.join([*search, os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"{name} is missing (package {package}): not in MCPMUX_REAL_BIN nor on PATH")
    return found


def node_package(name: str) -> Path:
    """The folder whose node_modules holds a package; skips the test when none does."""
    for folder in FOLDERS:
        if (folder / "node_modules" / name / "package.json").is_file():
            return folder
    pytest.skip(f"the npm package {name} is missing: in no node_modules of MCPMUX_REAL_BIN")
