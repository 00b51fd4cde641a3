"""Why a server is red: checks in the order in which things must hold, up to the first that fails.

Nothing of the server is started, nobody is signed in, nothing is registered or changed; an address
is asked once, without any secret.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from mcpmux_tui.config.resolve import Resolver
from mcpmux_tui.control.protocol import Check
from mcpmux_tui.engine.doctor import local, remote
from mcpmux_tui.engine.doctor.failed import Failed
from mcpmux_tui.engine.sign_ins import SignIns
from mcpmux_tui.model.errors import ConfigError, InputMissing
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.server import SERVING, Health, ServerSnapshot
from mcpmux_tui.model.spec import ServerSpec, StdioLaunch
from mcpmux_tui.text import clean, one_line

State = Callable[[], ServerSnapshot | None]
"""What a running engine says of a server; None where none runs."""


async def examine(
    spec: ServerSpec,
    resolver: Resolver,
    sign_ins: SignIns,
    state: State,
    redact: Callable[[str], str] = str,
) -> AsyncIterator[Check]:
    """Check one server."""
    try:
        async for name, said in _checks(spec, resolver, sign_ins, state):
            yield Check(name=name, ok=True, said=one_line(redact(said), 400))
    except Failed as failed:
        mend = failed.mend
        yield Check(
            name=failed.name,
            ok=False,
            said=clean(redact(failed.said)),
            fix=one_line(redact(failed.fix), 400),
            mend=mend,
            command=mend.command(failed.about or spec.name) if mend else "",
        )


async def _checks(
    spec: ServerSpec, resolver: Resolver, sign_ins: SignIns, state: State
) -> AsyncIterator[tuple[str, str]]:
    if spec.problem is not None or spec.launch is None:
        line = f" (line {spec.problem.line})" if spec.problem and spec.problem.line else ""
        reason = spec.problem.reason if spec.problem else "It cannot be used."
        raise Failed("config", f"{reason}{line}", "Correct it in the config.", Mend.EDITOR)
    yield "config", "the entry can be used" if spec.enabled else "the entry can be used; disabled"
    try:
        launch = await resolver.resolve(spec.launch)
    except InputMissing as error:
        if error.trouble is not None:
            raise Failed.by("values", error, Mend.RETRY) from error
        if not error.entered:
            raise Failed.by("values", error, Mend.EDIT) from error
        them = "it" if len(error.names) == 1 else "them"
        fix = f"Enter {them}, or start mcpmux with {', '.join(error.variables)} set."
        raise Failed("values", error.message, fix, Mend.VALUES, error.entered[0]) from error
    except ConfigError as error:
        raise Failed.by("values", error, Mend.EDIT) from error
    yield "values", "every placeholder has a value"
    if isinstance(launch, StdioLaunch):
        configured = spec.launch if isinstance(spec.launch, StdioLaunch) else launch
        checks = local.checks(launch, configured, resolver.environment())
    else:
        checks = remote.checks(spec.name, launch, sign_ins, state)
    async for check in checks:
        yield check
    if (now := state()) is not None:
        yield "initialize", _initialized(now)
        yield "list", _listed(now)


def _initialized(now: ServerSnapshot) -> str:
    if now.state not in SERVING:
        raise Failed(
            "initialize",
            f"{now.state.word}: {now.detail or now.summary}".rstrip(": "),
            mend=Mend.of(now.action),
        )
    named = f", {now.server_info}" if now.server_info else ""
    return f"connected, MCP {now.era}{named}"


def _listed(now: ServerSnapshot) -> str:
    if now.state is Health.DEGRADED:
        raise Failed("list", f"{now.summary}\n{now.detail}", mend=Mend.of(now.action))
    return f"{now.tools} tools, {now.prompts} prompts, {now.resources} resources"
