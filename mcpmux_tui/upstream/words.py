"""A server's state in words: the one place that makes its snapshot's summary and detail."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from mcpmux_tui.model.channel import Kind, Lists
from mcpmux_tui.model.errors import InputMissing, McpmuxError, NotConnected, SignInRequired
from mcpmux_tui.model.server import Action, Health, ServerSnapshot, suggested_action, target_of
from mcpmux_tui.model.spec import HttpLaunch, Launch, ServerSpec, StdioLaunch, transport_of
from mcpmux_tui.text import clean, one_line
from mcpmux_tui.upstream.negotiation import Peer
from mcpmux_tui.upstream.troubles import Ended


@dataclass(frozen=True, slots=True)
class Condition:
    """One state of the machine, with everything its words are made of."""

    health: Health
    generation: int = 0
    since: float = field(default_factory=time.time)
    error: McpmuxError | None = None
    """Why the server is in this state."""
    gave_up: str = ""
    """Why no timer tries again, where one could."""
    attempt: int = 0
    retry_at: float | None = None
    pid: int | None = None
    peer: Peer | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """How much a server was used."""

    calls: int = 0
    last_activity: float | None = None
    last_call: str = ""


def problem_of(spec: ServerSpec) -> NotConnected:
    """Why an entry of the config cannot be used."""
    problem = spec.problem
    if problem is None:
        return NotConnected("has neither a command nor an address", "Correct it in the config.")
    where = "" if problem.line is None else f"line {problem.line}: "
    return NotConnected(f"{where}{problem.reason}", "Correct it in the config; it is read again.")


def snapshot(
    spec: ServerSpec, launch: Launch | None, condition: Condition, use: Use, lists: Lists
) -> ServerSnapshot:
    """The server as doors see it; `launch` is the spec's, as far as it is known better."""
    health, peer, tools = condition.health, condition.peer, len(lists.tools)
    missing = condition.error.names if isinstance(condition.error, InputMissing) else ()
    return ServerSnapshot(
        name=spec.name,
        state=health,
        summary=one_line(_summary(spec, condition, tools), 200),
        detail=clean(_detail(condition, tools)),
        action=_suggested(spec, condition),
        transport=transport_of(launch),
        target=target_of(spec.launch),
        era=peer.version if peer else None,
        server_info=peer.info if peer else "",
        tools=tools,
        prompts=len(lists.of(Kind.PROMPTS)),
        resources=len(lists.of(Kind.RESOURCES)) + len(lists.of(Kind.TEMPLATES)),
        pid=condition.pid,
        since=condition.since,
        attempt=condition.attempt,
        retry_at=condition.retry_at,
        missing=missing,
        calls=use.calls,
        last_activity=use.last_activity,
        last_call=use.last_call,
        warnings=spec.warnings,
        generation=condition.generation,
    )


def _suggested(spec: ServerSpec, condition: Condition) -> Action | None:
    error = condition.error
    if isinstance(error, InputMissing) and error.trouble is not None:
        return Action.RETRY
    if condition.health is Health.NEEDS_SIGN_IN:
        launch = spec.launch
        brings = isinstance(launch, HttpLaunch) and launch.brings_authorization
        if brings or (isinstance(error, SignInRequired) and error.unreadable):
            return Action.RETRY
    return suggested_action(condition.health)


def refusal(name: str, condition: Condition) -> NotConnected:
    """The error for a call that cannot be taken in this state."""
    error = condition.error
    why = f" ({one_line(error.message)})" if error else ""
    match condition.health:
        case Health.DISABLED:
            hint = f"Enable it: `mcpmux enable {name}`."
        case Health.IDLE:
            hint = f"Connect it: `mcpmux connect {name}`."
        case Health.CONNECTING | Health.RECONNECTING | Health.STOPPING:
            hint = "Try again in a moment."
        case _:
            hint = error.hint if error else ""
    return NotConnected(f"{name} {_PREDICATES.get(condition.health, 'is away')}{why}.", hint)


_PREDICATES = {
    Health.DISABLED: "is disabled",
    Health.IDLE: "is disconnected",
    Health.CONNECTING: "is still connecting",
    Health.NEEDS_SIGN_IN: "is waiting for a sign-in",
    Health.NEEDS_INPUT: "is waiting for values",
    Health.RECONNECTING: "is reconnecting",
    Health.FAILED: "has failed",
    Health.STOPPING: "is stopping",
}


def _summary(spec: ServerSpec, condition: Condition, tools: int) -> str:
    error = condition.error
    match condition.health:
        case Health.CONNECTED:
            return _count(tools)
        case Health.DEGRADED if condition.retry_at is not None:
            return f"asks for a pause until {_clock(condition.retry_at)}"
        case Health.DEGRADED:
            return "its tool list could not be refreshed"
        case Health.CONNECTING:
            return _under_way(spec)
        case Health.RECONNECTING:
            return f"try {condition.attempt} at {_clock(condition.retry_at)}"
        case _ if isinstance(error, InputMissing) and error.trouble is None:
            count = len(error.names)
            return f"{count} value{'' if count == 1 else 's'} missing: {', '.join(error.names)}"
        case _:
            return error.message if error else ""


def _clock(at: float | None) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _under_way(spec: ServerSpec) -> str:
    match spec.launch:
        case StdioLaunch(command=command):
            return f"starting {command}"
        case HttpLaunch(url=url):
            return f"connecting to {url}"
        case None:
            return ""


def _detail(condition: Condition, tools: int) -> str:
    error = condition.error
    if error is None:
        if condition.health is Health.CONNECTED and condition.peer is not None:
            return f"Speaks MCP {condition.peer.version}, offers {_count(tools)}."
        return ""
    parts = [sentence(error.message), condition.gave_up, error.hint]
    lines = "\n".join(part for part in parts if part)
    if isinstance(error, Ended):
        lines += f"\n{last_lines(error)}"
    return lines.rstrip("\n")


def last_lines(ended: Ended) -> str:
    """What a process wrote before its end, with a heading; empty where it wrote nothing."""
    if not ended.last_lines:
        return ""
    return clean("\n".join(["Last lines of its error output:", *ended.last_lines]))


def _count(tools: int) -> str:
    return "no tools" if not tools else f"{tools} tool{'' if tools == 1 else 's'}"


def sentence(phrase: str) -> str:
    """A phrase as a sentence of its own."""
    phrase = phrase[:1].upper() + phrase[1:]
    return phrase if phrase.endswith((".", "!", "?")) else f"{phrase}."
