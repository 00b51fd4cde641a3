from __future__ import annotations

from dataclasses import replace

import pytest

from mcpmux_tui.config.plan import Plan, diff
from mcpmux_tui.model.spec import (
    EntryProblem,
    HttpLaunch,
    ServerSpec,
    StdioLaunch,
    ToolFilter,
)

A = ServerSpec("a", StdioLaunch("x", env={"A": "1"}))
B = ServerSpec("b", HttpLaunch("https://b.example"))
C = ServerSpec("c", None, EntryProblem("why", 3))


@pytest.mark.behaviour("F3", "AMG-R02")
def test_each_server_is_in_one_part_as_the_new_config_has_it() -> None:
    changed = replace(B, timeout=5)
    assert diff((A, B, C), (changed, A, replace(C, name="d"))) == Plan(
        added=(replace(C, name="d"),), removed=(C,), changed=(changed,), unchanged=(A,)
    )


def test_the_same_config_asks_nothing() -> None:
    again = ServerSpec("a", StdioLaunch("x", env={"A": "1"}))
    assert diff((A, B), (again, B)) == Plan(unchanged=(A, B))


@pytest.mark.parametrize(
    "changed",
    [
        replace(A, launch=StdioLaunch("x", env={"A": "2"})),
        replace(A, enabled=False),
        replace(A, timeout=5),
        replace(A, launch=None, problem=EntryProblem("why")),
    ],
)
def test_any_other_field_changes_a_server(changed: ServerSpec) -> None:
    assert diff((A,), (changed,)) == Plan(changed=(changed,))


@pytest.mark.parametrize(
    "told",
    [
        replace(A, warnings=("clashes with b",)),
        replace(A, prefix=""),
        replace(A, tools=ToolFilter(deny=("drop_*",))),
        replace(A, instructions=True),
    ],
)
def test_what_only_clients_and_people_see_restarts_nothing(told: ServerSpec) -> None:
    assert diff((A,), (told,)) == Plan(unchanged=(told,))
