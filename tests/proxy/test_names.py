from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpmux_tui.proxy.names import LIMIT, Named, assign

PUBLIC = re.compile(r"[A-Za-z0-9_-]{1,50}")
# Few letters, so that names meet; the last is what JSON "\ud83d" decodes to.
tool_names = st.text("ab.-_é\ud83d", max_size=60) | st.text(max_size=80)
server_names = st.text("ab.", min_size=1, max_size=3)
houses = st.lists(
    st.builds(Named, server_names, st.just("") | server_names, st.lists(tool_names, max_size=6)),
    max_size=5,
    unique_by=lambda named: named.server,
)


@given(houses)
def test_every_tool_has_one_safe_short_public_name_of_its_own(servers: list[Named]) -> None:
    tables = assign(servers)
    public = [name for table in tables.values() for name in table.values()]
    assert len(set(public)) == len(public)
    for named in servers:
        assert set(tables[named.server]) == set(named.tools)
        for own, name in tables[named.server].items():
            assert PUBLIC.fullmatch(name) or (own, named.prefix) == ("", "")


@given(houses)
def test_names_are_the_same_from_start_to_start(servers: list[Named]) -> None:
    assert assign(servers) == assign(servers)


@given(houses, houses)
def test_servers_that_come_later_rename_nothing(first: list[Named], more: list[Named]) -> None:
    known = {named.server for named in first}
    later = [named for named in more if named.server not in known]
    tables = assign(first + later)
    assert {server: tables[server] for server in known} == assign(first)


@pytest.mark.parametrize(
    ("prefix", "tool", "public"),
    [
        ("github", "create_issue", "github__create_issue"),
        ("my.files", "read.file", "my-files__read-file"),
        ("", "read.file", "read-file"),
        ("pg", "a__b", "pg__a__b"),
        ("s", "é", "s__-"),
    ],
)
def test_a_public_name_is_prefix_and_tool(prefix: str, tool: str, public: str) -> None:
    assert assign([Named("x", prefix, [tool])]) == {"x": {tool: public}}


def test_a_long_name_ends_in_a_hash_of_its_server_and_tool() -> None:
    tool = "t" * 60
    table = assign([Named("one", "one", [tool, tool + "u"]), Named("two", "two", [tool])])
    names = [*table["one"].values(), *table["two"].values()]
    assert len(set(names)) == 3
    assert all(len(name) == LIMIT for name in names)
    assert names[0].startswith("one__ttt")


def test_who_comes_first_keeps_the_name() -> None:
    table = assign([Named("a", "", ["x", "y"]), Named("b", "", ["x"]), Named("c", "", ["x"])])
    assert table["a"] == {"x": "x", "y": "y"}
    others = {table["b"]["x"], table["c"]["x"]}
    assert len(others) == 2
    assert all(name.startswith("x_") for name in others)
    without_first = assign([Named("a", "", ["x"]), Named("c", "", ["x"])])
    assert without_first["c"] == table["c"]
