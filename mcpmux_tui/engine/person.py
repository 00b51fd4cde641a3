"""What a person may ask of a running engine, through whatever door they came."""

from __future__ import annotations

import asyncio
from importlib import import_module

from mcpmux_tui.config import edit
from mcpmux_tui.config.plain import plain_secrets
from mcpmux_tui.config.resolve import names_in
from mcpmux_tui.control.protocol import Check, Login, LoginStep
from mcpmux_tui.engine.drafts import Drafts
from mcpmux_tui.engine.given import Given
from mcpmux_tui.engine.hub import Hub
from mcpmux_tui.engine.securing import Securing
from mcpmux_tui.engine.trial import Trial
from mcpmux_tui.engine.trying import Trying
from mcpmux_tui.model.errors import ControlError
from mcpmux_tui.model.secret import Secret
from mcpmux_tui.model.server import Action, Health, allowed_actions
from mcpmux_tui.model.spec import HttpLaunch, ServerSpec
from mcpmux_tui.upstream.attempt import nobody


class Person:
    """Made when the first door opens; what it has under way ends with the hub."""

    def __init__(self, hub: Hub) -> None:
        config = hub.instance.config
        self._hub = hub
        self.given = Given(
            hub.stored,
            hub.vault,
            hub.values,
            hub.fleet,
            inputs=lambda: hub.config.inputs,
        )
        """The values that people give."""
        self.securing = Securing(config, hub.stored, hub.vault)
        """What moves secrets out of the config."""
        self.trying = Trying(hub.fleet.named, hub.proxy.public_name, hub.proxy.questions.ask)
        """What people try out."""
        self.drafts = Drafts(
            config,
            self.securing,
            self._trial,
            own_url=lambda: hub.proxy.url,
            rename=lambda old, new: hub.sign_ins.rename(old, new),
        )
        """The servers that people are about to add or change."""
        hub.under_way.push_async_callback(self.drafts.close)

    async def act(self, name: str, action: Action) -> None:
        """Do what a person asked of a server.

        Raises ControlError where the server's state does not allow it.
        """
        supervisor = self._hub.fleet.named(name)
        state = self._hub.rows.of(supervisor.snapshot).state
        if state is Health.SIGNING_IN and action is Action.CANCEL:
            self._hub.sign_ins.cancel(name)
            return
        if action is Action.ENTER_VALUES:
            missing = " ".join(supervisor.snapshot.missing[:1])
            raise ControlError(
                f"{name} waits for values of yours.", f"`mcpmux secret set {missing}` asks for one."
            )
        if action is Action.SIGN_IN:
            raise ControlError(
                "A sign-in needs a browser of yours.", f"`mcpmux login {name}` opens it."
            )
        if action not in allowed_actions(state):
            raise ControlError(
                f"{name} is {state.word} now, so {action.value} does not apply.",
                "Look at its row again and press the key it shows.",
            )
        if action in {Action.ENABLE, Action.DISABLE}:
            await self._hub.edit(edit.set_enabled, name, action is Action.ENABLE)
        else:
            supervisor.post(action)

    async def remove(self, name: str) -> tuple[str, ...]:
        """Take a server out of the config; its sign-in goes too.

        Returns the names of the kept values it used, which stay. Raises McpmuxError.
        """
        launch = self._hub.fleet.named(name).spec.launch
        inputs = self._hub.config.inputs
        used = names_in(launch, inputs) if launch is not None else frozenset()
        await self._hub.edit(edit.remove_server, name)
        kept = {each.name for each in await asyncio.to_thread(self._hub.stored.names)}
        return tuple(sorted(used & kept))

    async def examine(self, name: str) -> tuple[Check, ...]:
        """Check one server, up to the first thing that does not hold. Raises ControlError."""
        hub = self._hub
        supervisor = hub.fleet.named(name)
        await asyncio.to_thread(import_module, "mcpmux_tui.engine.doctor")
        from mcpmux_tui.engine.doctor import examine

        checks = examine(
            supervisor.spec,
            hub.values,
            hub.sign_ins,
            lambda: hub.rows.of(supervisor.snapshot),
            hub.redactor.clean,
        )
        return tuple([each async for each in checks])

    async def login(self, wish: Login) -> LoginStep:
        """Begin a sign-in. Raises McpmuxError."""
        launch = await self._remote_launch(wish.server)
        return await self._hub.sign_ins.begin(wish, launch)

    async def logout(self, name: str, *, reset: bool) -> bool:
        """Log a server out; whether its authorization server was told. Raises McpmuxError."""
        launch = await self._remote_launch(name)
        told = await self._hub.sign_ins.logout(name, launch, reset=reset)
        self._hub.fleet.restart(name)
        return told

    async def _remote_launch(self, name: str) -> HttpLaunch:
        """The address of a remote server, placeholders filled.

        Raises ControlError for another server, InputMissing, ConfigError.
        """
        launch = self._hub.fleet.named(name).spec.launch
        if not isinstance(launch, HttpLaunch):
            raise ControlError(
                f"{name} runs on this machine: nobody signs in to it.",
                "What it needs to know goes into `env` of its entry.",
            )
        resolved = await self._hub.values.resolve(launch)
        if not isinstance(resolved, HttpLaunch):
            raise TypeError("a launch resolves to its own kind")
        return resolved

    def _trial(self, spec: ServerSpec) -> Trial:
        """A server of a draft; signed in only where it is exactly one that there is."""
        hub = self._hub
        live = hub.fleet.get(spec.name)
        same = live is not None and live.spec.launch == spec.launch
        if spec.launch is not None:
            for plain in plain_secrets(spec.name, spec.launch):
                hub.redactor.hide(Secret(plain.value))
        return Trial(
            spec,
            values=hub.values,
            children=hub.children,
            authorize=hub.authorize if same else nobody,
            clean=hub.redactor.clean,
        )
