"""One server as doors see it: its state, the words for it, and the one suggested action."""

from __future__ import annotations

import shlex
from enum import StrEnum

from pydantic import Field

from mcpmux_tui.model.frozen import Frozen
from mcpmux_tui.model.question import Question
from mcpmux_tui.model.settings import UiSettings
from mcpmux_tui.model.shapes import masked
from mcpmux_tui.model.spec import Launch, StdioLaunch, TransportName
from mcpmux_tui.text import one_line


class Health(StrEnum):
    """The states of a server; the value is the word in JSON."""

    DISABLED = "disabled"
    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    NEEDS_SIGN_IN = "needs_sign_in"
    SIGNING_IN = "signing_in"
    NEEDS_INPUT = "needs_input"
    RECONNECTING = "reconnecting"
    FAILED = "failed"
    STOPPING = "stopping"

    @property
    def word(self) -> str:
        """The word on screen, at most 13 cells."""
        return _WORDS.get(self, self.value)


_WORDS = {
    Health.NEEDS_SIGN_IN: "sign in",
    Health.SIGNING_IN: "signing in",
    Health.NEEDS_INPUT: "needs input",
}

SERVING = frozenset({Health.CONNECTED, Health.DEGRADED})
ON_THE_WAY = frozenset({Health.CONNECTING, Health.RECONNECTING, Health.STOPPING, Health.SIGNING_IN})
NEEDS_A_PERSON = frozenset({Health.NEEDS_INPUT, Health.NEEDS_SIGN_IN, Health.IDLE})
"""Nothing goes on by itself: also what a person disconnected."""


class Action(StrEnum):
    """What a person can ask of a server; the value is the word on the control socket."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"
    CANCEL = "cancel"
    RETRY = "retry"
    RESTART = "restart"
    ENABLE = "enable"
    DISABLE = "disable"
    SIGN_IN = "sign_in"
    """A door's own doing: it opens the browser of the person before it."""
    ENTER_VALUES = "enter_values"
    """A door's own doing: it asks the person before it."""

    @property
    def label(self) -> str:
        """The label in a footer."""
        return self.value.replace("_", " ").capitalize()


_SUGGESTED = {
    Health.DISABLED: Action.ENABLE,
    Health.IDLE: Action.CONNECT,
    Health.CONNECTING: Action.CANCEL,
    Health.CONNECTED: Action.DISCONNECT,
    Health.DEGRADED: Action.RETRY,
    Health.NEEDS_SIGN_IN: Action.SIGN_IN,
    Health.SIGNING_IN: Action.SIGN_IN,
    Health.NEEDS_INPUT: Action.ENTER_VALUES,
    Health.RECONNECTING: Action.RETRY,
    Health.FAILED: Action.RETRY,
}


def suggested_action(health: Health) -> Action | None:
    """The ONE action suggested in a state: what `c` does, and what its label says."""
    return _SUGGESTED.get(health)


def allowed_actions(health: Health) -> frozenset[Action]:
    """The actions the engine accepts in a state."""
    if health is Health.DISABLED:
        return frozenset({Action.ENABLE})
    allowed = {Action.DISABLE}
    if health is not Health.STOPPING:
        allowed.add(Action.RESTART)
    if suggested := suggested_action(health):
        allowed.add(suggested)
    if health in {Health.NEEDS_SIGN_IN, Health.NEEDS_INPUT}:
        allowed.add(Action.RETRY)
    if health is Health.SIGNING_IN:
        allowed.add(Action.CANCEL)
    if health in {Health.RECONNECTING, Health.DEGRADED}:
        allowed |= {Action.DISCONNECT, Action.CANCEL}
    return frozenset(allowed)


class ServerSnapshot(Frozen):
    """One server at one moment. All text is clean: it may be drawn as it is."""

    name: str
    state: Health
    summary: str = ""
    """One short line: the tail of the row."""
    detail: str = ""
    """What happened, why, and what to do; may have several lines."""
    action: Action | None = None
    transport: TransportName | None = None
    target: str = ""
    """The command line or the address."""
    era: str | None = None
    """The negotiated protocol version, such as "2025-11-25"."""
    server_info: str = ""
    """Name and version the server gave itself."""
    tools: int = 0
    prompts: int = 0
    resources: int = 0
    pid: int | None = None
    since: float | None = None
    """Unix time at which the state began."""
    attempt: int = 0
    retry_at: float | None = None
    missing: tuple[str, ...] = ()
    calls: int = 0
    last_activity: float | None = None
    """Unix time of the last call's end."""
    last_call: str = ""
    """The tool called last, by the server's own name."""
    warnings: tuple[str, ...] = ()
    signed_in: bool = False
    account: str = ""
    """Who is signed in, where the server's authorization server told."""
    renews_at: float | None = None
    """Unix time at which its token is renewed; None where it has none, or need not be."""
    generation: int = 0

    @property
    def offers(self) -> tuple[object, ...]:
        """Its lists need to be asked for again only where this has changed."""
        counts = (self.tools, self.prompts, self.resources)
        return (self.name, self.generation, self.state, *counts)


class ProxySnapshot(Frozen):
    """The proxy at one moment; `error` is set while it cannot listen."""

    url: str | None = None
    pid: int
    auth: bool = True
    error: str = ""
    hint: str = ""
    clients: int = 0
    knocks: tuple[str, ...] = ()
    """What the guard refused lately, one sentence each."""


class EngineSnapshot(Frozen):
    """Everything a door shows."""

    proxy: ProxySnapshot
    servers: tuple[ServerSnapshot, ...] = ()
    questions: tuple[Question, ...] = ()
    """What servers ask the person."""
    warnings: tuple[str, ...] = ()
    config_path: str = ""
    config_error: str = ""
    offline: int = 0
    """How many servers on other machines there are, while none of them can be reached."""
    leftovers: tuple[str, ...] = ()
    """Processes and containers that an earlier run left behind."""
    ui: UiSettings = Field(default_factory=UiSettings)
    demo: bool = False
    version: str = ""

    @property
    def notices(self) -> tuple[str, ...]:
        """What concerns the engine as a whole and is no error of its own, a sentence each."""
        notices = [
            *(
                f"{each.summary} (`Answer` on the screen, or `mcpmux answer {each.id}`)"
                for each in self.questions
            ),
            *self.warnings,
        ]
        if self.leftovers:
            named = ", ".join(self.leftovers[:5])
            more = f" and {len(self.leftovers) - 5} more" if len(self.leftovers) > 5 else ""
            notices.insert(
                0,
                f"Left behind by an earlier run: {named}{more}. `End leftovers` on the screen ends"
                " them.",
            )
        if self.offline:
            notices.insert(
                0,
                f"Offline: none of {self.offline} servers on other machines can be reached. They"
                " are tried again by themselves; `Retry` on a row tries at once.",
            )
        return tuple(notices)


def target_of(launch: Launch | None) -> str:
    """The command line or address of a launch, clean, placeholders unfilled, secrets hidden."""
    if launch is None:
        return ""
    if isinstance(launch, StdioLaunch):
        return one_line(masked(shlex.join((launch.command, *launch.args))))
    return one_line(masked(launch.url))


def exit_code(servers: tuple[ServerSnapshot, ...]) -> int:
    """The exit code of `mcpmux status` for these servers."""
    states = {server.state for server in servers if server.state is not Health.DISABLED}
    if states & NEEDS_A_PERSON:
        return 10
    if Health.FAILED in states:
        return 11
    if states - SERVING:
        return 12
    return 0
