"""What people give to servers by name: asked for, checked, kept, and who is woken by it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from mcpmux_tui.config.resolve import Resolver, Value, names_in
from mcpmux_tui.control.protocol import (
    GiveValues,
    Keeping,
    SecretLine,
    SecretList,
    ValueField,
    ValueFields,
    ValuesGiven,
    Wrong,
)
from mcpmux_tui.model.errors import (
    ConfigError,
    ControlError,
    InputMissing,
    UsageError,
    VaultError,
    environment_alone,
)
from mcpmux_tui.model.inputs import InputSpec, value_problem
from mcpmux_tui.model.server import Action, Health
from mcpmux_tui.model.spec import Launch
from mcpmux_tui.text import clean, one_line
from mcpmux_tui.vault.store import Vault
from mcpmux_tui.vault.values import NamedValues

if TYPE_CHECKING:
    # Commands check values by the same rules, and have no servers.
    from mcpmux_tui.engine.fleet import Fleet

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_AT_REST: Final = frozenset({Health.DISABLED, Health.IDLE, Health.STOPPING})


class Given:
    """All of one engine. `inputs` tells those of the present config."""

    def __init__(
        self,
        values: NamedValues,
        vault: Vault,
        resolver: Resolver,
        fleet: Fleet,
        *,
        inputs: Callable[[], Mapping[str, InputSpec]],
    ) -> None:
        self._values = values
        self._vault = vault
        self._resolver = resolver
        self._fleet = fleet
        self._inputs = inputs

    async def fields(self, name: str) -> ValueFields:
        """What a server needs from a person. Raises ControlError."""
        needs = await self._needs(name)
        where = await self.keeping()
        return ValueFields(
            fields=tuple(map(_field, needs)), keeps=where.keeps, passing=where.passing
        )

    async def keeping(self) -> Keeping:
        """What keeps values over restarts, or why nothing does. Raises ControlError."""
        try:
            keeps = await self._vault.keeps()
        except VaultError as error:
            raise ControlError(error.message, error.hint) from error
        return Keeping(keeps=one_line(keeps), passing=one_line(self._vault.passing))

    async def give(self, given: GiveValues) -> ValuesGiven:
        """Keep what a person typed for a server, and wake who waits for it.

        Nothing is kept where anything is wrong. Raises ControlError where it cannot be kept.
        """
        needs = {each.name: each for each in await self._needs(given.server)}
        typed = dict(given.typed)
        for name in given.from_environment:
            typed[name] = self._resolver.environment().get(name, "")
        wrong = tuple(
            Wrong(name=name, why=why)
            for name, value in typed.items()
            if (why := _problem(needs.get(name), value))
        )
        if wrong:
            return ValuesGiven(wrong=wrong)

        async def keep() -> None:
            for name, value in typed.items():
                await self._values.give(name, value, session=given.session)

        await self._change(frozenset(typed), keep)
        return ValuesGiven()

    async def set(self, name: str, value: str) -> None:
        """Keep a value under a name. Raises UsageError, ControlError."""
        check(name, value)
        await self._change(frozenset({name}), lambda: self._values.give(name, value, session=False))

    async def remove(self, name: str) -> None:
        """Forget the value under a name; who used it waits for another. Raises ControlError."""
        found = False

        async def forget() -> None:
            nonlocal found
            found = await self._values.remove(name)

        await self._change(frozenset({name}), forget)
        if not found:
            raise no_value(name)

    async def listed(self) -> SecretList:
        """What was given, and what servers wait for."""
        inputs = self._inputs()
        users: dict[str, list[str]] = {}
        waiting: dict[str, list[str]] = {}
        for server, supervisor in self._fleet.items():
            if (launch := supervisor.spec.launch) is not None:
                for name in names_in(launch, inputs):
                    users.setdefault(name, []).append(server)
            for name in supervisor.snapshot.missing:
                waiting.setdefault(name, []).append(server)
        known = {each.name: each for each in await asyncio.to_thread(self._values.names)}
        lines = [
            SecretLine(
                name=name,
                kept=name in known and known[name].kept,
                since=known[name].since if name in known else None,
                users=tuple(users.get(name, ())),
                waiting=tuple(waiting.get(name, ())),
            )
            for name in sorted({*known, *waiting})
        ]
        return SecretList(secrets=tuple(lines))

    async def _needs(self, name: str) -> tuple[Value, ...]:
        supervisor = self._fleet.named(name)
        if supervisor.spec.launch is None:
            raise ControlError(
                f"{name} has a fault in the config.", "Correct it there; the row says where."
            )
        try:
            return await self._resolver.values(supervisor.spec.launch)
        except VaultError as error:
            raise ControlError(error.message, error.hint) from error

    async def _change(self, names: frozenset[str], change: Callable[[], Awaitable[object]]) -> None:
        """Change what is kept under `names`; wake who waits for it, restart who runs with it."""
        inputs = self._inputs()
        users = [
            (each, launch)
            for each in self._fleet.values()
            if (launch := each.spec.launch) is not None and names & names_in(launch, inputs)
        ]
        before = [await self._filled(launch) for _, launch in users]
        try:
            await change()
        except VaultError as error:
            raise ControlError(f"It is not kept: {error.message}", error.hint) from error
        for (supervisor, launch), was in zip(users, before, strict=True):
            state = supervisor.snapshot.state
            if state is Health.NEEDS_INPUT:
                supervisor.post(Action.RETRY)
            elif state not in _AT_REST and await self._filled(launch) != was:
                supervisor.post(Action.RESTART)

    async def _filled(self, launch: Launch) -> Launch | None:
        try:
            return await self._resolver.resolve(launch)
        except (InputMissing, ConfigError):
            return None


def check(name: str, value: str) -> None:
    """Raise UsageError where a value cannot be kept under a name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"`{one_line(name, 60)}` is no name for a value.",
            "A name has letters, digits, `_`, `-` or `.`.",
        )
    if problem := value_problem(value):
        raise UsageError(f"{name} is not kept. {problem}")


def no_value(name: str) -> ControlError:
    """Nobody gave a value of this name."""
    return ControlError(
        f"No value is kept under {one_line(name, 128)}.", "`mcpmux secret list` shows the names."
    )


def _problem(need: Value | None, value: str) -> str:
    if need is None:
        return "This server needs no value of this name."
    if need.source == "env":
        return environment_alone(need.name)
    if any(where.startswith("headers.") for where in need.where) and re.search(r"[\r\n]", value):
        return "It holds a line break, which no header can."
    return value_problem(value) or (need.spec.problem(value) if need.spec is not None else "")


def _field(need: Value) -> ValueField:
    spec = need.spec or InputSpec(need.name)
    return ValueField(
        name=need.name,
        where=tuple(one_line(where, 80) for where in need.where[:8]),
        required=need.required,
        secret=need.secret,
        origin=need.origin,
        stored=need.stored,
        in_environment=need.in_environment,
        type=spec.type,
        description=clean(
            environment_alone(need.name)
            if need.source == "env" and not need.origin
            else spec.description,
            400,
        ),
        default=one_line(spec.default or "", 200),
        placeholder=one_line(spec.placeholder, 100),
        choices=tuple(one_line(choice, 100) for choice in spec.choices[:100]),
        obtain=one_line(spec.obtain, 300),
    )
