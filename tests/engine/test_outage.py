from __future__ import annotations

from dataclasses import dataclass

import pytest

from mcpmux_tui.engine.outage import Outage


@dataclass
class Server:
    cut_off: bool | None
    woken: int = 0

    def wake(self) -> None:
        self.woken += 1


@pytest.mark.behaviour("H14")
@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ([], 0),
        ([True], 0),
        ([True, True], 2),
        ([True, None, True, True], 3),
        ([True, False], 0),
        ([None, None], 0),
    ],
)
def test_it_is_said_once_when_no_other_machine_can_be_reached(
    servers: list[bool | None], said: int
) -> None:
    outage = Outage()
    outage.look([Server(cut_off) for cut_off in servers])
    assert outage.servers == said


@pytest.mark.behaviour("H14")
def test_the_first_that_is_back_lets_the_others_try_at_once() -> None:
    first, second, third, here = Server(True), Server(True), Server(True), Server(None)
    outage = Outage()
    outage.look([first, second, third, here])
    second.cut_off = False
    outage.look([first, second, third, here])
    outage.look([first, second, third, here])
    assert outage.servers == 0
    assert [each.woken for each in (first, second, third, here)] == [1, 0, 1, 0]
