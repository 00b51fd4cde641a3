"""`mcpmux serve` on four servers that nobody here wrote."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.program import Home, Served, home_at
from tests.real.parts import program


@dataclass(frozen=True)
class Real:
    """One real server: how to start it, one call, and what must be in the answer."""

    name: str
    command: tuple[str, ...]
    tool: str
    arguments: dict[str, Any]
    answer: str


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Real, ...]:
    """Two servers from PyPI and two from npm."""
    time = program("mcp-server-time", "mcp-server-time on PyPI")
    git = program("mcp-server-git", "mcp-server-git on PyPI")
    everything = program("mcp-server-everything", "@modelcontextprotocol/server-everything on npm")
    files = program("mcp-server-filesystem", "@modelcontextprotocol/server-filesystem on npm")

    folder = tmp_path_factory.mktemp("data")
    (folder / "hello.txt").write_text("hello from a file\n", encoding="utf-8")
    return (
        Real(
            "time",
            (time, "--local-timezone", "UTC"),
            "convert_time",
            {"source_timezone": "UTC", "target_timezone": "Asia/Tokyo", "time": "12:00"},
            "T21:00:00+09:00",
        ),
        Real("git", (git,), "git_log", {"repo_path": str(repository(folder))}, "the first commit"),
        Real("everything", (everything, "stdio"), "echo", {"message": "hé🙂"}, "Echo: hé🙂"),
        Real(
            "filesystem",
            (files, str(folder)),
            "read_text_file",
            {"path": str(folder / "hello.txt")},
            "hello from a file",
        ),
    )


def repository(folder: Path) -> Path:
    """A git repository with one commit."""
    git = program("git", "git of the system")
    path = folder / "repository"
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    commit = ("commit", "--quiet", "--allow-empty", "--message", "the first commit")
    subprocess.run([git, "init", "--quiet", str(path)], check=True)
    subprocess.run([git, "-C", str(path), *author, *commit], check=True)
    return path


class Engine:
    """A running `mcpmux serve`, all of whose servers are connected."""

    def __init__(self, home: Home, served: Served) -> None:
        self.home = home
        self.served = served
        self.url = served.url
        self.token = home.run("token", "--config", str(home.config)).out.strip()

    def status(self) -> dict[str, Any]:
        """What `mcpmux status --json` prints."""
        answer: dict[str, Any] = json.loads(
            self.home.run("status", "--json", "--config", str(self.home.config)).out
        )
        return answer


@pytest.fixture(scope="session")
def engine(servers: tuple[Real, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine with all four servers connected."""
    for home in home_at(tmp_path_factory.mktemp("home")):
        home.write(*map(entry, servers))
        with Served(home, "--port", "0") as served:
            assert served.listening
            home.wait_until_connected()
            yield Engine(home, served)


def entry(server: Real) -> str:
    """TOML of a server; a JSON string is a TOML string."""
    command, *args = (json.dumps(part, ensure_ascii=False) for part in server.command)
    return f"[servers.{server.name}]\ncommand = {command}\nargs = [{', '.join(args)}]\n"
