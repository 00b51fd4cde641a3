"""The official conformance suite and the SDK's reference server, from a folder of parts.

MCPMUX_CONFORMANCE names a folder with
    node_modules   npm install @modelcontextprotocol/conformance@0.2.0-alpha.12 node@24
    venv           a virtual environment: pip install 'mcp==2.3.*'
    mcp-2.3.*      pip download --no-binary mcp --no-deps 'mcp==2.3.*', unpacked
MCPMUX_CONFORMANCE_SCENARIOS, a list with commas, chooses scenarios.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.program import eventually

FOLDER = os.environ.get("MCPMUX_CONFORMANCE")
CHOSEN = tuple(
    name for name in os.environ.get("MCPMUX_CONFORMANCE_SCENARIOS", "").split(",") if name
)

REQUIRED = {"2025-11-25": 30, "2026-07-28": 37}
"""The revisions with a frozen list of requirements, and how many server scenarios each has."""
SIGN_IN = {"2025-11-25": 14, "2026-07-28": 25}
"""How many client scenarios of each are about signing in."""

LAUNCHER = Path(__file__).with_name("reference_server.py")
LISTENS = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
SCENARIO_MS = 10_000
"""What a scenario takes that waits for an answer in vain; others take 0.1 s."""
CLIENT_MS = 90_000
"""What a client may take; one here starts an engine and commands."""
RUN_SECONDS = 600.0


@dataclass(frozen=True)
class Result:
    """What the checks of one scenario gave."""

    passed: int
    failures: tuple[str, ...]
    warnings: int

    @property
    def ok(self) -> bool:
        """The suite's own rule: a warning is no failure."""
        return not self.failures

    def __str__(self) -> str:
        total = self.passed + len(self.failures)
        warned = f" ({self.warnings} warned)" if self.warnings else ""
        return f"{'ok' if self.ok else 'FAIL'} {self.passed}/{total}{warned}"


@dataclass(frozen=True)
class Parts:
    """A folder of parts."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def tree(self) -> Path:
        """The folder of the everything-server in the SDK's source distribution."""
        (found,) = self.folder.glob("mcp-*/examples/servers/everything-server")
        return found

    def conformance(self, *args: str) -> str:
        """Run the suite's program to its end; return what it printed."""
        modules = self.folder / "node_modules"
        program = modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
        done = subprocess.run(
            [str(modules / "node" / "bin" / "node"), str(program), *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=RUN_SECONDS, check=False,
        )  # fmt: skip
        # 1 is a failed scenario, which its checks tell, or a wrong argument, which leaves none.
        assert done.returncode in {0, 1}, done.stdout
        return done.stdout

    def scenarios(self, revision: str) -> list[str]:
        """The server scenarios that a revision requires, without those that were not chosen."""
        listed = self.conformance("list", "--server", "--requirements", revision)
        _, _, section = listed.partition("\nServer scenarios")
        names = re.findall(r"^  - (\S+)$", section.partition("\n\n")[0], re.MULTILINE)
        assert len(names) == REQUIRED[revision], listed
        return [name for name in names if not CHOSEN or name in CHOSEN]

    def sign_in_scenarios(self, revision: str) -> list[str]:
        """The client scenarios about signing in, without those that were not chosen."""
        listed = self.conformance("list", "--client", "--requirements", revision)
        _, _, section = listed.partition("\nClient scenarios")
        names = re.findall(r"^  - (auth/\S+)$", section.partition("\n\n")[0], re.MULTILINE)
        assert len(names) == SIGN_IN[revision], listed
        return [name for name in names if not CHOSEN or name in CHOSEN]

    def run_client(self, command: str, revision: str, scenario: str, results: Path) -> Result:
        """Run one scenario against a client, which is started with an address."""
        printed = self.conformance(
            "client", "--command", command, "--scenario", scenario, "--spec-version", revision,
            "--timeout", str(CLIENT_MS), "--output-dir", str(results),
        )  # fmt: skip
        return result(results, scenario, printed)

    def run(self, url: str, revision: str, results: Path) -> dict[str, Result]:
        """Run the scenarios of a revision against a server; the checks stay in `results`."""
        names = self.scenarios(revision)
        to = ("--url", url, "--timeout", str(SCENARIO_MS), "--output-dir", str(results))
        if CHOSEN:
            printed = "".join(
                self.conformance("server", *to, "--spec-version", revision, "--scenario", name)
                for name in names
            )
        else:
            printed = self.conformance("server", *to, "--requirements", revision)
        return {name: result(results, f"server-{name}", printed) for name in names}

    def command(self, transport: str) -> list[str]:
        """How to start the reference server."""
        return [str(self.python), str(LAUNCHER), str(self.tree), transport]

    @contextlib.contextmanager
    def reference(self, log: Path) -> Iterator[str]:
        """A running reference server over HTTP; its address."""
        with (
            log.open("wb") as errors,
            subprocess.Popen(
                self.command("http"),
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            ) as process,
        ):  # fmt: skip
            try:
                eventually(lambda: LISTENS.search(log.read_text()) is not None, 20, f"see {log}")
                found = LISTENS.search(log.read_text())
                assert found is not None
                yield f"{found[1]}/mcp"
            finally:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()


def result(results: Path, scenario: str, printed: str) -> Result:
    """Read the checks of a scenario; its folder's name ends in the time of day."""
    found = list(results.glob(f"{scenario}-20*/checks.json"))
    if not found:
        return Result(0, (f"it left no checks: {' '.join(printed.split())[-400:]}",), 0)
    (path,) = found
    checks = json.loads(path.read_text(encoding="utf-8"))
    passed = sum(check["status"] == "SUCCESS" for check in checks)
    failures = tuple(sentence(check) for check in checks if check["status"] == "FAILURE")
    if not passed and not failures:
        failures = ("none of its checks applied",)
    return Result(passed, failures, sum(check["status"] == "WARNING" for check in checks))


def sentence(check: dict[str, object]) -> str:
    """A failed check in one line."""
    words = f"{check['id']}: {check['description']}. {check.get('errorMessage', '')}"
    return " ".join(words.split())[:400]
