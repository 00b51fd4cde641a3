from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from pydantic import JsonValue

from mcpmux_tui.config.placeholders import fill
from mcpmux_tui.config.schema import server_spec
from mcpmux_tui.engine import offline
from mcpmux_tui.engine.instance import Instance
from mcpmux_tui.importers import claude_code, claude_desktop, vscode
from mcpmux_tui.importers.search import find
from mcpmux_tui.importers.source import Findings, FoundServer
from mcpmux_tui.model.server import Health
from mcpmux_tui.model.spec import StdioLaunch
from tests.upstream.rig import FIXTURES, running

Write = Callable[[str, object], Path]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    return tmp_path / "home"


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    """An empty project folder."""
    return tmp_path / "project"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the two folders: text as it is, all else as JSON."""

    def write(name: str, content: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, indent=2)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def search(home: Path, cwd: Path, platform: str = "linux") -> Findings:
    return find(home, cwd, {}, platform)


def entries(found: Findings) -> dict[str, dict[str, object]]:
    return {server.name: dict(server.entry) for server in found.servers}


NPX: dict[str, JsonValue] = {"command": "npx", "args": ["-y", "x"]}


def test_a_machine_without_tools_is_silent(home: Path, cwd: Path) -> None:
    assert search(home, cwd) == Findings()


@pytest.mark.parametrize(
    ("file", "shape", "platform", "tool"),
    [
        (".config/Claude/claude_desktop_config.json", "mcpServers", "linux", "Claude Desktop"),
        (
            "Library/Application Support/Claude/claude_desktop_config.json",
            "mcpServers",
            "darwin",
            "Claude Desktop",
        ),
        (".claude.json", "mcpServers", "linux", "Claude Code"),
        (".cursor/mcp.json", "mcpServers", "darwin", "Cursor"),
        (".config/Code/User/mcp.json", "servers", "linux", "VS Code"),
        (".config/Code - Insiders/User/mcp.json", "servers", "linux", "VS Code"),
        ("Library/Application Support/Code/User/mcp.json", "servers", "darwin", "VS Code"),
    ],
)
def test_each_tool_is_found_where_it_keeps_the_users_servers(
    home: Path, cwd: Path, write: Write, file: str, shape: str, platform: str, tool: str
) -> None:
    path = write(f"home/{file}", {shape: {"a": {"type": "stdio", **NPX}}})
    before = path.read_bytes(), path.stat()
    assert search(home, cwd, platform) == Findings((FoundServer("a", NPX, tool, path),))
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before[0], before[1].st_mtime_ns)


@pytest.mark.behaviour("E3")
@pytest.mark.parametrize(
    ("file", "shape", "tool"),
    [
        (".mcp.json", "mcpServers", "Claude Code"),
        (".cursor/mcp.json", "mcpServers", "Cursor"),
        (".vscode/mcp.json", "servers", "VS Code"),
    ],
)
def test_the_servers_of_a_project_run_in_it(
    home: Path, cwd: Path, write: Write, file: str, shape: str, tool: str
) -> None:
    path = write(f"project/{file}", {shape: {"a": NPX, "b": {"url": "https://b.example"}}})
    assert search(home, cwd).servers == (
        FoundServer("a", {**NPX, "cwd": str(cwd)}, tool, path),
        FoundServer("b", {"url": "https://b.example"}, tool, path),
    )
    assert search(home, home).servers == ()


@pytest.mark.behaviour("D18")
@pytest.mark.parametrize(
    ("file", "shape"),
    [
        (".mcp.json", "mcpServers"),
        (".cursor/mcp.json", "mcpServers"),
        (".vscode/mcp.json", "servers"),
    ],
)
async def test_a_server_that_relies_on_its_projects_folder_starts_after_the_import(
    home: Path, cwd: Path, write: Write, file: str, shape: str
) -> None:
    write(f"project/{file}", {shape: {"a": {"command": "bin/server", "args": ["data/list"]}}})
    write("project/data/list", "")
    script = f'#!/bin/sh\n[ -f "$1" ] && exec {sys.executable} {FIXTURES / "raw_stdio.py"}\n'
    write("project/bin/server", script).chmod(0o755)
    (server,) = search(home, cwd).servers
    spec = server_spec(server.name, server.entry, folder=home)
    async with running(spec.launch) as rig:
        settled = await rig.until(lambda each: each.state in {Health.CONNECTED, Health.FAILED})
        assert settled.state is Health.CONNECTED, settled.detail


@pytest.mark.behaviour("E1")
def test_the_folder_is_shown_before_and_written_after_the_yes(
    home: Path, cwd: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("project/.mcp.json", {"mcpServers": {"a": {"command": "./server"}}})
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(cwd)
    instance = Instance(home / "mcpmux" / "config.toml", True, home / "state")
    instance.config.parent.mkdir(parents=True)
    instance.config.write_text("")
    (candidate,) = offline.find_imports(instance, "http://127.0.0.1:1/mcp").candidates
    assert (candidate.target, candidate.cwd) == ("./server", str(cwd))
    offline.import_servers(instance, (candidate.key,), "http://127.0.0.1:1/mcp")
    (spec,) = offline.load(instance).servers
    assert spec.launch == StdioLaunch("./server", cwd=str(cwd))


def test_claude_code_keeps_a_projects_servers_in_the_users_file(
    home: Path, cwd: Path, write: Write
) -> None:
    write(
        "home/.claude.json",
        {
            "mcpServers": {"user": NPX},
            "projects": {
                str(cwd): {"mcpServers": {"here": NPX}},
                "/x": {"mcpServers": {"no": NPX}},
            },
        },
    )
    assert entries(search(home, cwd)) == {"user": NPX, "here": {**NPX, "cwd": str(cwd)}}


def test_vs_codes_older_settings_are_read_with_their_comments(
    home: Path, cwd: Path, write: Write
) -> None:
    write(
        "home/.config/Code/User/settings.json",
        '{ // mine\n "mcp": {"servers": {"a": {"command": "x",},},},\n'
        ' "mcp.servers": {"b": {"command": "y"}} }',
    )
    write(
        "project/.vscode/settings.json", {"mcp": {"servers": {"c": {"command": "z", "cwd": "."}}}}
    )
    assert entries(search(home, cwd)) == {
        "a": {"command": "x"},
        "b": {"command": "y"},
        "c": {"command": "z", "cwd": str(cwd)},
    }


def test_every_key_that_means_something_here_is_taken_over(
    home: Path, cwd: Path, write: Write
) -> None:
    write(
        "home/.cursor/mcp.json",
        {
            "mcpServers": {
                "local": {
                    "command": "x",
                    "args": [1, True, "c"],
                    "env": {"PORT": 80, "OFF": False, "NO": None},
                    "cwd": "rel/dir",
                    "disabled": True,
                    "autoApprove": ["a"],
                    "envFile": ".env",
                },
                "remote": {
                    "type": "http", "url": "https://r.example/mcp", "headers": {"X": "y"},
                    "enabled": True,
                },
                "old": {"type": "sse", "url": "https://o.example/sse"},
            }
        },
    )  # fmt: skip
    found = search(home, cwd)
    assert entries(found) == {
        "local": {
            "command": "x",
            "args": ["1", "true", "c"],
            "env": {"PORT": "80", "OFF": "false"},
            "cwd": str(home / "rel/dir"),
            "enabled": False,
        },
        "remote": {"url": "https://r.example/mcp", "headers": {"X": "y"}},
        "old": {"url": "https://o.example/sse", "transport": "sse"},
    }
    assert found.servers[0].notes == ("Not taken over: `autoApprove`, `envFile`.",)


def test_what_is_taken_over_is_a_config_that_works(home: Path, cwd: Path, write: Write) -> None:
    write("home/.cursor/mcp.json", {"mcpServers": {"a": NPX, "b": {"url": "https://b.example"}}})
    for server in search(home, cwd).servers:
        spec = server_spec(server.name, server.entry, folder=home)
        assert (spec.problem, spec.warnings) == (None, ())


ENVIRON = {"X": "value", "HOME": "/home/ada"}


def after_import(home: Path, cwd: Path, tool: str) -> list[str]:
    """What a server imported from `tool` gets as arguments."""
    (server,) = (server for server in search(home, cwd).servers if server.tool == tool)
    args = server.entry["args"]
    assert isinstance(args, list)
    return [
        fill(str(arg), lambda source, name: f"<{source}:{name}>" if source else ENVIRON.get(name))[
            0
        ]
        for arg in args
    ]


def test_texts_mean_what_they_meant_in_each_tool(home: Path, cwd: Path, write: Write) -> None:
    def server(*args: str) -> object:
        return {"a": {"command": "x", "args": list(args)}}

    write(
        "home/.config/Claude/claude_desktop_config.json",
        {"mcpServers": server("${X}", "$$", "$X", "${X:-y}", "a$")},
    )
    write(
        "home/.claude.json",
        {"mcpServers": server("${X}", "${N:-y}", "$X", "$$", "$${X}", "${a b}")},
    )
    fixed = "${workspaceFolder}${/}a", "${userHome}", "${workspaceFolderBasename}"
    write(
        "project/.cursor/mcp.json",
        {"mcpServers": server("${env:X}", *fixed, "${X}", "${input:y}", "$$")},
    )
    write(
        "project/.vscode/mcp.json",
        {
            "inputs": [],
            "servers": server("${env:X}", *fixed, "${X}", "${input:y-1}", "${command:c}"),
        },
    )
    filled = [f"{cwd}/a", str(home), "project"]
    assert after_import(home, cwd, "Claude Desktop") == ["${X}", "$$", "$X", "${X:-y}", "a$"]
    assert after_import(home, cwd, "Claude Code") == ["value", "y", "$X", "$$", "$value", "${a b}"]
    assert after_import(home, cwd, "Cursor") == ["<env:X>", *filled, "${X}", "${input:y}", "$$"]
    assert after_import(home, cwd, "VS Code") == [
        "<env:X>", *filled, "${X}", "<input:y-1>", "${command:c}"
    ]  # fmt: skip


def test_what_only_a_project_has_makes_no_entry_of_the_users_own(
    home: Path, cwd: Path, write: Write
) -> None:
    servers = {"a": {"command": "x", "args": ["${workspaceFolder}/data"]}, "b": NPX}
    write("home/.cursor/mcp.json", {"mcpServers": servers})
    write("home/.config/Code/User/mcp.json", {"servers": servers})
    found = search(home, cwd)
    assert [server.name for server in found.servers] == ["b", "b"]
    assert len(found.problems) == 2
    assert all("`${workspaceFolder}`, which only a project has" in p for p in found.problems)


def test_a_dollar_in_a_folders_name_stays_one(home: Path, tmp_path: Path, write: Write) -> None:
    cwd = tmp_path / "a${X}b"
    write("a${X}b/.vscode/mcp.json", {"servers": {"a": {"command": "${workspaceFolder}/x"}}})
    (server,) = search(home, cwd).servers
    for key, expected in (("command", f"{cwd}/x"), ("cwd", str(cwd))):
        assert fill(str(server.entry[key]), lambda source, name: "?")[0] == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not valid JSON: line 1, column 2"),
        ('{"mcpServers": {"a\\u001b[2J": 3}}', "is not an object"),
        ('{"mcpServers": {"a": {"args": []}}}', "`a` in .* has no `command` and no `url`"),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', "`args` that are no list"),
        ('{"mcpServers": {"a": {"command": "x", "env": []}}}', "that is no object"),
        ('{"mcpServers": {"a": {"command": "x", "args": [{}]}}}', "a value that is no text"),
        ('{"mcpServers": {"a": {"command": "x", "cwd": 1}}}', "`cwd` that is no text"),
    ],
)
def test_what_cannot_be_read_is_a_sentence_and_the_rest_is_found(
    home: Path, cwd: Path, write: Write, content: str, says: str
) -> None:
    write("home/.cursor/mcp.json", content)
    write("home/.claude.json", {"mcpServers": {"good": NPX}})
    found = search(home, cwd)
    assert entries(found) == {"good": NPX}
    (problem,) = found.problems
    assert problem.startswith("Cursor: ")
    assert problem.isprintable()
    with pytest.raises(ValueError, match=says):
        raise ValueError(problem)


@pytest.mark.parametrize(
    "content", ["[]", "3", "null", "{}", '{"mcpServers": []}', '{"projects": 1}']
)
def test_a_file_without_servers_is_nothing(
    home: Path, cwd: Path, write: Write, content: str
) -> None:
    for name in (".cursor/mcp.json", ".claude.json", ".config/Code/User/settings.json"):
        write(f"home/{name}", content)
    assert search(home, cwd) == Findings()


def test_an_unreadable_file_is_a_sentence_once(home: Path, cwd: Path) -> None:
    (home / ".claude.json").mkdir(parents=True)
    found = search(home, cwd)
    assert [problem.startswith("Claude Code: ") for problem in found.problems] == [True]


def test_windows_places_are_known() -> None:
    home = PureWindowsPath("C:/Users/Ada")
    environ = {"APPDATA": "D:\\Roaming"}
    assert claude_desktop.user_file(home, environ, "win32") == PureWindowsPath(
        "D:/Roaming/Claude/claude_desktop_config.json"
    )
    assert vscode.user_folders(home, {}, "win32")[0] == PureWindowsPath(
        "C:/Users/Ada/AppData/Roaming/Code/User"
    )
    assert claude_code.user_file(home, {}) == PureWindowsPath("C:/Users/Ada/.claude.json")


def test_folders_that_the_environment_names_are_used() -> None:
    home = PurePosixPath("/home/ada")
    assert vscode.user_folders(home, {"XDG_CONFIG_HOME": "/cfg"}, "linux")[0] == PurePosixPath(
        "/cfg/Code/User"
    )
    assert vscode.user_folders(home, {"XDG_CONFIG_HOME": "rel"}, "linux")[0] == PurePosixPath(
        "/home/ada/.config/Code/User"
    )
    assert claude_code.user_file(home, {"CLAUDE_CONFIG_DIR": "/c"}) == PurePosixPath(
        "/c/.claude.json"
    )


@pytest.mark.behaviour("E1")
def test_a_yes_to_one_entry_is_no_yes_to_another(home: Path, cwd: Path, write: Write) -> None:
    def key(args: list[str]) -> str:
        write("home/.cursor/mcp.json", {"mcpServers": {"a": {"command": "x", "args": args}}})
        return search(home, cwd).servers[0].key

    assert key(["a"]) == key(["a"])
    assert key(["a"]) != key(["b"])
