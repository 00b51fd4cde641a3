"""What a changed config asks of the servers that run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mcpmux_tui.model.spec import ServerSpec, ToolFilter


@dataclass(frozen=True, slots=True)
class Plan:
    """The servers of two configs, told apart; all but `removed` as the new one has them."""

    added: tuple[ServerSpec, ...] = ()
    removed: tuple[ServerSpec, ...] = ()
    changed: tuple[ServerSpec, ...] = ()
    unchanged: tuple[ServerSpec, ...] = ()


def diff(old: Iterable[ServerSpec], new: Iterable[ServerSpec]) -> Plan:
    """Return what changes from `old` to `new`.

    What only clients see of a server, and what is said of its entry, changes no server.
    """
    before = {spec.name: spec for spec in old}
    after = {spec.name: spec for spec in new}
    both = [spec for name, spec in after.items() if name in before]
    same = {spec.name for spec in both if _run(spec) == _run(before[spec.name])}
    return Plan(
        added=tuple(spec for name, spec in after.items() if name not in before),
        removed=tuple(spec for name, spec in before.items() if name not in after),
        changed=tuple(spec for spec in both if spec.name not in same),
        unchanged=tuple(spec for spec in both if spec.name in same),
    )


def _run(spec: ServerSpec) -> ServerSpec:
    """What decides how a server is run."""
    return replace(spec, warnings=(), prefix=None, tools=ToolFilter(), instructions=False)
