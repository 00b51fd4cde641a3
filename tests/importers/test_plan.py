from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from mcpmux_tui.config.check import name_problem
from mcpmux_tui.importers.plan import plan_import, valid_name
from mcpmux_tui.importers.source import FoundServer


def found(name: str, tool: str = "Cursor", **entry: JsonValue) -> FoundServer:
    return FoundServer(name, entry or {"command": "x"}, tool, Path("/f"))


def outcome(
    *servers: FoundServer, own_url: str | None = None, **existing: JsonValue
) -> list[object]:
    """Names that would be added; where nothing would, name and reason."""
    entries = {name: {"command": command} for name, command in existing.items()}
    plan = plan_import(servers, entries, entries, own_url=own_url)
    assert [each.found for each in plan] == list(servers)
    return [(each.name, each.skip) if each.skip else each.name for each in plan]


def test_new_servers_keep_their_names() -> None:
    assert outcome(found("a"), found("b")) == ["a", "b"]


def test_the_same_name_and_launch_is_a_duplicate() -> None:
    assert outcome(found("a"), found("a", "VS Code"), found("b"), b="x") == [
        "a", ("a", "the same as a of Cursor"), ("b", "already here"),
    ]  # fmt: skip


def test_another_launch_is_named_after_its_tool() -> None:
    assert outcome(
        found("a", "Claude Code", command="y"),
        found("a", "VS Code", command="z"),
        found("a", "VS Code", command="z2"),
        found("a", "VS Code", command="z3"),
        a="x",
    ) == ["a-claude-code", "a-vs-code", "a-vs-code-2", "a-vs-code-3"]


def test_a_second_import_adds_nothing() -> None:
    first = [found("a", command="y"), found("a", "VS Code", command="z")]
    assert outcome(*first, **{"a": "y", "a-vs-code": "z"}) == [
        ("a", "already here"), ("a-vs-code", "already here"),
    ]  # fmt: skip


def test_only_what_is_started_counts_as_the_launch() -> None:
    server = found("a", command="x", args=[], enabled=False)
    assert plan_import([server], ["a"], {"a": {"command": "x", "timeout": 3}})[0].skip
    server = found("a", command="x", env={"A": "1"})
    assert plan_import([server], ["a"], {"a": {"command": "x"}})[0].name == "a-cursor"


def test_the_name_of_a_broken_entry_is_taken() -> None:
    assert plan_import([found("a")], ["a"], {})[0].name == "a-cursor"


OWN = "http://127.0.0.1:4114/mcp"


@pytest.mark.parametrize(
    ("entry", "own"),
    [
        ({"url": "http://127.0.0.1:4114/mcp"}, True),
        ({"url": "http://localhost:4114/mcp/"}, True),
        ({"url": "http://[::1]:4114/mcp/github"}, True),
        ({"url": "http://[0:0:0:0:0:0:0:1]:4114/mcp"}, True),
        ({"url": "http://127.0.0.1:4115/mcp"}, False),
        ({"url": "http://127.0.0.1:4114/other"}, False),
        ({"url": "https://x.example:4114/mcp"}, False),
        ({"url": "http://[::1/mcp"}, False),
        ({"url": "http://127.0.0.1:x/mcp"}, False),
        ({"command": "/usr/bin/mcpmux", "args": ["stdio"]}, True),
        ({"command": "npx"}, False),
    ],
)
def test_an_entry_that_leads_back_to_mcpmux_is_left_out(
    entry: dict[str, JsonValue], own: bool
) -> None:
    expected = ("a", "it is mcpmux itself") if own else "a"
    assert outcome(FoundServer("a", entry, "Cursor", Path("/f")), own_url=OWN) == [expected]


def test_an_address_without_a_proxy_of_ours_is_any_address() -> None:
    assert outcome(found("a", url=OWN)) == ["a"]


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("git.hub_x-1", "git.hub_x-1"),
        ("My Server!", "My-Server"),
        ("io.github.x/y", "io.github.x-y"),
        ("größe", "gr-e"),
        ("p", "p-server"),
        ("", "server"),
        ("日本", "server"),
        ("..", "server"),
        ("x" * 50, "x" * 40),
    ],
)
def test_names_become_valid_the_same_way_each_time(name: str, valid: str) -> None:
    assert valid_name(name) == valid


@given(st.lists(st.tuples(st.text(), st.sampled_from(["Cursor", "VS Code"]), st.text(max_size=1))))
def test_a_plan_has_only_good_names_each_added_once(servers: list[tuple[str, str, str]]) -> None:
    plan = plan_import([found(name, tool, command=c) for name, tool, c in servers], (), {})
    added = [each.name for each in plan if not each.skip]
    assert len(set(added)) == len(added)
    assert [name for name in added if name_problem(name)] == []
