"""The keys: what each does, what its label says for a server, and why it would do nothing now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from textual.binding import Binding

from mcpmux_tui.model.server import Action, Health, ServerSnapshot


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the servers screen; `id` is what a user's keymap names it by."""

    id: str
    keys: str
    """As Textual names them, with commas."""
    shown: str
    action: str
    label: str
    group: str
    help: str
    short: str = ""
    """A shorter label for a narrow footer."""
    footer: int | None = None
    """Place in the footer; None: only in the help."""

    @property
    def binding(self) -> Binding:
        """The key as Textual binds it."""
        return Binding(self.keys, self.action, self.label, id=self.id, tooltip=self.help)


CONNECT = Key(
    "server.connect", "c", "c", "suggested", "Connect", "Server",
    "what the state calls for", footer=0,
)  # fmt: skip
RESTART = Key(
    "server.restart", "r", "r", "restart", "Restart", "Server", "stop and connect again", footer=1
)
TOGGLE = Key(
    "server.toggle", "x", "x", "toggle_enabled", "Disable", "Server", "in the config", footer=2
)
LOG_OUT = Key(
    "server.logout", "o", "o", "log_out", "Log out", "Server",
    "revoke and delete its tokens", footer=3,
)  # fmt: skip
VALUES = Key(
    "server.secrets", "n", "n", "enter_values", "Values", "Server",
    "enter or change the values it needs",
)  # fmt: skip
MOVE = Key(
    "server.secure", "m", "m", "move_secrets", "To keyring", "Server",
    "move secrets in plain text from the config to the keyring",
)  # fmt: skip
SECRETS = Key(
    "app.secrets", "S", "S", "secrets", "Secrets", "Your tools", "kept values, and who uses them"
)
ANSWER = Key(
    "server.answer", "A", "A", "answer", "Answer", "Your tools", "answer what a server asks you"
)
TOOLS = Key("server.tools", "t", "t", "tools", "Tools", "Server", "its tools; enter tries one")
DOCTOR = Key(
    "server.doctor", "w", "w", "doctor", "Why", "Server", "why it is red: checked in order"
)
COPY = Key(
    "copy.item", "y", "y", "copy_entry", "Copy entry", "Your tools",
    "what a client needs to connect", short="Copy", footer=4,
)  # fmt: skip
IMPORT = Key(
    "server.import", "i", "i", "import", "Import", "Your tools", "servers of other tools", footer=5
)
FILTER = Key(
    "list.filter", "slash", "/", "filter", "Filter", "Find",
    "show matching servers; !text the others", footer=6,
)  # fmt: skip
BACK = Key("nav.back", "escape", "esc", "back", "Back", "Find", "clear filter and messages")
LEFTOVERS = Key(
    "app.leftovers", "K", "K", "end_leftovers", "End leftovers", "mcpmux",
    "end what an earlier run left behind",
)  # fmt: skip
PALETTE = Key(
    "app.palette", "colon", ":", "app.command_palette", "Commands", "mcpmux",
    "every action and server by name", short="Cmd", footer=7,
)  # fmt: skip
HELP = Key("app.help", "question_mark,f1", "?", "help", "Help", "mcpmux", "these keys", footer=8)
QUIT = Key("app.quit", "q,ctrl+q", "q", "app.quit", "Quit", "mcpmux", "leave this screen", footer=9)

THEME = Key(
    "app.theme", "ctrl+t", "ctrl+t", "app.choose_theme", "Theme", "mcpmux",
    "choose one; the screen shows each",
)  # fmt: skip
SETTINGS = Key(
    "go.settings", "6", "6", "app.settings", "Settings", "mcpmux",
    "address, files, glyphs, and every key",
)  # fmt: skip

KEEP = Key("filter.keep", "enter", "enter", "keep_filter", "Keep", "Find", "use the filter")
CLEAR = Key("filter.clear", "escape", "esc", "back", "Clear", "Find", "show all servers")
TYPING = (KEEP, CLEAR)
"""What the footer shows while the filter takes all other keys."""

MOVES = (
    Key("nav.down", "j,down", "j", "down", "Down", "Move", "next"),
    Key("nav.up", "k,up", "k", "up", "Up", "Move", "previous"),
    Key("nav.first", "g,home", "g", "first", "First", "Move", "first"),
    Key("nav.last", "G,end", "G", "last", "Last", "Move", "last"),
    Key("nav.page_down", "ctrl+d,pagedown", "ctrl+d", "page_down", "On", "Move", "half a page on"),
    Key("nav.page_up", "ctrl+u,pageup", "ctrl+u", "page_up", "Back", "Move", "half a page back"),
)
"""Bound by what moves: the list and the pane, each with actions of these names."""

_OF_A_SERVER = (CONNECT, RESTART, TOGGLE, LOG_OUT, VALUES, MOVE, TOOLS, DOCTOR)
SCREEN = (
    *_OF_A_SERVER,
    ANSWER,
    COPY,
    IMPORT,
    SECRETS,
    FILTER,
    PALETTE,
    THEME,
    SETTINGS,
    HELP,
    QUIT,
    BACK,
    LEFTOVERS,
)
FOOTER = tuple(sorted((k for k in SCREEN if k.footer is not None), key=lambda k: k.footer or 0))


@dataclass(frozen=True, slots=True)
class Context:
    """What decides about keys: the server under the cursor, the engine, and who looks at it."""

    server: ServerSnapshot | None
    engine: bool = True
    any_server: bool = True
    typing: bool = False
    owner: bool = True
    leftovers: bool = False
    questions: bool = False
    set_anew: Mapping[str, str] = field(default_factory=dict)
    """What the person presses instead, by a key's id."""

    def pressed(self, key: Key) -> str:
        """The key to press, as a person reads it."""
        return self.set_anew.get(key.id, key.shown)


def label(key: Key, context: Context) -> str:
    """What the footer says for a key."""
    server = context.server
    if server is None:
        return key.label
    if key is CONNECT:
        return server.action.label if server.action else key.label
    if key is TOGGLE:
        return toggle(server).label
    return key.label


def explanation(key: Key, context: Context) -> str:
    """What the help says for a key."""
    if key is not QUIT or not context.engine:
        return key.help
    return "stop all servers and leave" if context.owner else f"{key.help}; the servers run on"


def toggle(server: ServerSnapshot) -> Action:
    """What `x` does to a server."""
    return Action.ENABLE if server.state is Health.DISABLED else Action.DISABLE


def refusal(key: Key, context: Context) -> str:
    """Why a key would do nothing now, one sentence; empty when it does something."""
    if key in (*_OF_A_SERVER, ANSWER, COPY, IMPORT, SECRETS, LEFTOVERS) and not context.engine:
        return "The engine has ended."
    if key is ANSWER and not context.questions:
        return "No server asks you anything."
    if key is LEFTOVERS and not context.leftovers:
        return "No earlier run left anything behind."
    if key is FILTER and not context.any_server:
        return "There are no servers to filter."
    if key not in _OF_A_SERVER:
        return ""
    server = context.server
    if server is None:
        return "No server is selected."
    if server.state is Health.STOPPING and key in (CONNECT, RESTART):
        return f"{server.name} is stopping; wait a moment."
    if key is RESTART and server.state is Health.DISABLED:
        return f"{server.name} is disabled; {context.pressed(CONNECT)} enables it."
    if key is LOG_OUT and not server.signed_in:
        return f"Nobody is signed in to {server.name}."
    if key is MOVE and not any("in plain text" in warning for warning in server.warnings):
        return f"{server.name} has no secrets in plain text."
    if key is TOOLS and not server.tools:
        return f"No tools of {server.name} are known."
    if key is CONNECT and server.action is None:
        return f"There is nothing to do for {server.name} now."
    return ""
