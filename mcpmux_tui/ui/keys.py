"""The keys: what each does, what its label says for a server, and why it would do nothing now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from textual.binding import Binding

from mcpmux_tui.control.protocol import ItemLine
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.server import SERVING, Action, Health, ServerSnapshot


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a screen; `id` is what a user's keymap names it by."""

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
    keep: int = 0
    """Where the footer is too narrow, those with the smallest number go first."""

    @property
    def binding(self) -> Binding:
        """The key as Textual binds it."""
        return Binding(self.keys, self.action, self.label, id=self.id, tooltip=self.help)


CONNECT = Key(
    "server.connect", "c", "c", "suggested", "Connect", "Server",
    "what the state calls for", footer=0, keep=20,
)  # fmt: skip
OPEN = Key("nav.open", "enter", "enter", "open", "Open", "Server", "all about it", footer=1, keep=9)
RESTART = Key(
    "server.restart", "r", "r", "restart", "Restart", "Server", "stop and connect again",
    footer=2, keep=17,
)  # fmt: skip
TOGGLE = Key(
    "server.toggle", "x", "x", "toggle_enabled", "Disable", "Server", "in the config",
    footer=3, keep=16,
)  # fmt: skip
LOG_OUT = Key(
    "server.logout", "o", "o", "log_out", "Log out", "Server",
    "revoke and delete its tokens", footer=4, keep=3,
)  # fmt: skip
VALUES = Key(
    "server.secrets", "n", "n", "enter_values", "Values", "Server",
    "enter or change the values it needs",
)  # fmt: skip
MOVE = Key(
    "server.secure", "m", "m", "move_secrets", "To keyring", "Server",
    "plain secrets, out of the config",
)  # fmt: skip
DOCTOR = Key(
    "server.doctor", "w", "w", "doctor", "Why", "Server", "why it does not work: checked in order"
)
EDIT = Key("server.edit", "e", "e", "edit", "Edit", "Server", "its entry, in a form")
DUPLICATE = Key(
    "server.duplicate", "D", "D", "duplicate", "Duplicate", "Server", "a new entry like this one"
)
DELETE = Key(
    "server.delete", "delete", "del", "delete", "Delete", "Server", "its entry and its sign-in"
)
EDITOR = Key(
    "server.editor", "E", "E", "editor", "Edit file", "mcpmux", "the config, in your own editor"
)
TOOLS = Key("server.tools", "t", "t", "open('tools')", "Tools", "Server", "what it offers")
LOGS = Key("server.logs", "l", "l", "open('logs')", "Logs", "Server", "what it wrote")
CONFIG = Key("server.config", "v", "v", "open('config')", "Config", "Server", "its entry")
CONNECT_ALL = Key(
    "server.connect_all", "C", "C", "connect_all", "Connect all", "Servers",
    "all; sign-ins and values one by one",
)  # fmt: skip
RESTART_FAILED = Key(
    "server.restart_failed", "R", "R", "restart_failed", "Restart failed", "Servers",
    "all that failed",
)  # fmt: skip
SECRETS = Key(
    "app.secrets", "S", "S", "secrets", "Secrets", "Set up", "kept values, and who uses them"
)
ANSWER = Key(
    "server.answer", "A", "A", "answer", "Answer", "Set up", "answer what a server asks you"
)
COPY = Key(
    "copy.item", "y", "y", "copy_entry", "Copy entry", "Set up",
    "what a client needs to connect", short="Copy", footer=5, keep=15,
)  # fmt: skip
COPY_URL = Key("copy.url", "Y", "Y", "copy_url", "Copy address", "Set up", "the proxy's")
ADD = Key(
    "server.add", "a", "a", "add", "Add", "Set up",
    "paste a command, URL or JSON", footer=6, keep=10,
)  # fmt: skip
IMPORT = Key(
    "server.import", "i", "i", "import", "Import", "Set up", "servers of other clients",
    footer=7, keep=2,
)  # fmt: skip
FILTER = Key(
    "list.filter", "slash", "/", "filter", "Filter", "Find",
    "what matches; !text: what does not", footer=8, keep=13,
)  # fmt: skip
SORT = Key("list.sort", "s", "s", "sort", "Sort", "Find", "by urgency, name, tools or calls")
BACK = Key("nav.back", "escape", "esc", "back", "Back", "Find", "clear filter and messages")
LEFTOVERS = Key(
    "app.leftovers", "K", "K", "end_leftovers", "End leftovers", "mcpmux",
    "end what an earlier run left behind",
)  # fmt: skip
MAXIMISE = Key("view.maximise", "f", "f", "maximise", "Maximise", "mcpmux", "this pane; again: all")
GO_SERVERS = Key("go.servers", "1", "1", "go('servers')", "Servers", "Screens", "this is home")
GO_TOOLS = Key("go.tools", "2", "2", "go('tools')", "Tools", "Screens", "of all servers")
GO_LOGS = Key("go.logs", "4", "4", "go('logs')", "Logs", "Screens", "of all servers")
GO_SETTINGS = Key(
    "go.settings", "6", "6", "go('settings')", "Settings", "Screens", "looks, files, every key"
)
THEME = Key(
    "app.theme", "ctrl+t", "ctrl+t", "app.choose_theme", "Theme", "mcpmux",
    "choose one; the screen shows each",
)  # fmt: skip
SUSPEND = Key(
    "app.suspend", "ctrl+z", "ctrl+z", "app.suspend_process", "To the shell", "mcpmux",
    "fg comes back; the servers run on",
)  # fmt: skip
CHANGE = Key(
    "settings.change", "enter", "enter", "change", "Change or copy", "Item",
    "what can be chosen; the rest is copied", footer=0, keep=20,
)  # fmt: skip
PALETTE = Key(
    "app.palette", "colon", ":", "app.command_palette", "Commands", "mcpmux",
    "every action and server by name", short="Cmd", footer=20, keep=1,
)  # fmt: skip
HELP = Key(
    "app.help", "question_mark,f1", "?", "help", "Help", "mcpmux", "these keys",
    footer=21, keep=99,
)  # fmt: skip
QUIT = Key(
    "app.quit", "q,ctrl+q", "q", "app.quit", "Quit", "mcpmux", "leave this screen",
    footer=22, keep=14,
)  # fmt: skip

KEEP = Key("filter.keep", "enter", "enter", "keep_filter", "Keep", "Find", "use the filter")
CLEAR = Key("filter.clear", "escape", "esc", "back", "Clear", "Find", "show everything")
TYPING = (KEEP, CLEAR)
"""What the footer shows while the filter takes all other keys."""

LEAVE = Key(
    "nav.back", "escape,q", "esc", "back", "Back", "Find", "clear the filter, then go back",
    footer=19, keep=30,
)  # fmt: skip
QUIT_ANYWHERE = Key(
    "app.quit", "ctrl+q", "ctrl+q", "app.quit", "Quit", "mcpmux", "leave this screen"
)
TAB_NEXT = Key(
    "tab.next", "right_square_bracket,right", "]", "tab(1)", "Next tab", "Screens", "to the right"
)
TAB_PREVIOUS = Key(
    "tab.prev", "left_square_bracket,left", "[", "tab(-1)", "Previous tab", "Screens", "to the left"
)

TRY = Key(
    "item.try", "enter", "enter", "choose", "Try it", "Item", "a form, and its result",
    footer=0, keep=20,
)  # fmt: skip
OFFER = Key(
    "item.toggle", "space", "space", "offer", "Hide", "Item", "whether clients get the tool",
    footer=1, keep=18,
)  # fmt: skip
COPY_NAME = Key(
    "copy.item", "y", "y", "copy_name", "Copy name", "Item", "as clients see it",
    short="Copy", footer=2, keep=15,
)  # fmt: skip
ITEM_KEYS = (TRY, OFFER, COPY_NAME)

FOLLOW = Key(
    "item.toggle", "space", "space", "follow", "Follow", "Log", "stay at the newest line",
    footer=0, keep=20,
)  # fmt: skip
WRAP = Key("logs.wrap", "w", "w", "wrap", "Wrap", "Log", "long lines", footer=1, keep=12)
PRETTY = Key("logs.pretty", "p", "p", "pretty", "Pretty", "Log", "JSON in lines", footer=2, keep=11)
MATCH_NEXT = Key("logs.next", "n", "n", "match(1)", "Next match", "Log", "of the filter's text")
MATCH_PREVIOUS = Key("logs.prev", "N", "N", "match(-1)", "Previous match", "Log", "of the same")
MARK = Key("logs.mark", "m", "m", "mark", "Mark", "Log", "draw a line here", footer=3, keep=5)
COPY_LINE = Key(
    "copy.item", "y", "y", "copy_line", "Copy line", "Log", "as it stands", short="Copy",
    footer=4, keep=10,
)  # fmt: skip
SAVE = Key("logs.save", "ctrl+s", "ctrl+s", "save", "Save", "Log", "what is shown, to a file")
WIPE = Key("logs.clear", "ctrl+l", "ctrl+l", "clear", "Clear", "Log", "what is shown so far")
LOG_KEYS = (FOLLOW, WRAP, PRETTY, MATCH_NEXT, MATCH_PREVIOUS, MARK, COPY_LINE, SAVE, WIPE)

MOVES = (
    Key("nav.down", "j,down", "j", "down", "Down", "Move", "next"),
    Key("nav.up", "k,up", "k", "up", "Up", "Move", "previous"),
    Key("nav.first", "g,home", "g", "first", "First", "Move", "first"),
    Key("nav.last", "G,end", "G", "last", "Last", "Move", "last"),
    Key("nav.page_down", "ctrl+d,pagedown", "ctrl+d", "page_down", "On", "Move", "half a page on"),
    Key("nav.page_up", "ctrl+u,pageup", "ctrl+u", "page_up", "Back", "Move", "half a page back"),
)
"""Bound by what moves: lists and panes, each with actions of these names."""

OF_A_SERVER = (
    CONNECT, RESTART, TOGGLE, LOG_OUT, VALUES, MOVE, DOCTOR, EDIT, DUPLICATE, DELETE,
)  # fmt: skip
_SCREENS = (GO_SERVERS, GO_TOOLS, GO_LOGS, GO_SETTINGS)
SCREEN = (
    *OF_A_SERVER,
    OPEN,
    TOOLS,
    LOGS,
    CONFIG,
    CONNECT_ALL,
    RESTART_FAILED,
    ANSWER,
    COPY,
    COPY_URL,
    ADD,
    IMPORT,
    SECRETS,
    FILTER,
    SORT,
    *_SCREENS,
    MAXIMISE,
    PALETTE,
    THEME,
    SUSPEND,
    HELP,
    QUIT,
    BACK,
    EDITOR,
    LEFTOVERS,
)
"""Of the servers screen."""
EVERYWHERE = (
    ANSWER, COPY_URL, SECRETS, *_SCREENS, FILTER, MAXIMISE, PALETTE, THEME, SUSPEND, HELP, LEAVE,
)  # fmt: skip
"""Of every other screen."""
TOP_LEVEL = (QUIT_ANYWHERE, *EVERYWHERE)
SERVER_PAGE = (*OF_A_SERVER, EDITOR, TAB_NEXT, TAB_PREVIOUS, *TOP_LEVEL)


def layered(inner: tuple[Key, ...], outer: tuple[Key, ...]) -> tuple[Key, ...]:
    """The keys of a widget and of the screen around it, whose own give way to those."""
    taken = {each for key in inner for each in key.keys.split(",")}
    return (*inner, *(key for key in outer if not taken & set(key.keys.split(","))))


@dataclass(frozen=True, slots=True)
class Context:
    """What decides about keys: what is under the cursor, the engine, and who looks at it."""

    server: ServerSnapshot | None = None
    item: ItemLine | None = None
    engine: bool = True
    any_server: bool = True
    typing: bool = False
    owner: bool = True
    leftovers: bool = False
    questions: bool = False
    address: bool = True
    """The proxy listens."""
    following: bool = True
    matching: bool = False
    """A text is looked for."""
    set_anew: Mapping[str, str] = field(default_factory=dict)
    """What the person presses instead, by a key's id."""

    def pressed(self, key: Key) -> str:
        """The key to press, as a person reads it."""
        return self.set_anew.get(key.id, key.shown)


def label(key: Key, context: Context) -> str:
    """What the footer says for a key."""
    server, item = context.server, context.item
    if key is OFFER and item is not None:
        return "Hide" if item.public else "Offer"
    if key is TRY and item is not None:
        return _TRIES[item.kind]
    if key is FOLLOW:
        return "Pause" if context.following else key.label
    if server is None:
        return key.label
    if key is CONNECT:
        return server.action.label if server.action else key.label
    if key is TOGGLE:
        return toggle(server).label
    return key.label


_TRIES = {
    Kind.TOOLS: "Try it",
    Kind.PROMPTS: "Get it",
    Kind.RESOURCES: "Read it",
    Kind.TEMPLATES: "Fill in",
}


def explanation(key: Key, context: Context) -> str:
    """What the help says for a key."""
    if key not in (QUIT, QUIT_ANYWHERE) or not context.engine:
        return key.help
    return "stop all servers and leave" if context.owner else "leave; the servers run on"


def toggle(server: ServerSnapshot) -> Action:
    """What `x` does to a server."""
    return Action.ENABLE if server.state is Health.DISABLED else Action.DISABLE


WHERE_IT_APPLIES = (LOG_OUT,)
"""What most servers never need: the footer has it only where it does something."""
_WITHOUT_ENGINE = (
    FILTER, SORT, BACK, LEAVE, PALETTE, THEME, SUSPEND, HELP, QUIT, QUIT_ANYWHERE, MAXIMISE,
    TAB_NEXT, TAB_PREVIOUS, CHANGE, *_SCREENS, *LOG_KEYS, COPY_NAME,
)  # fmt: skip


def refusal(key: Key, context: Context) -> str:
    """Why a key would do nothing now, one sentence; empty when it does something."""
    if not context.engine and key not in _WITHOUT_ENGINE:
        return "The engine has ended."
    if key is ANSWER and not context.questions:
        return "No server asks you anything."
    if key is LEFTOVERS and not context.leftovers:
        return "No earlier run left anything behind."
    if key is COPY_URL and not context.address:
        return "The proxy does not listen, so there is no address."
    if key in (FILTER, SORT, CONNECT_ALL, RESTART_FAILED) and not context.any_server:
        return "There are no servers yet."
    if key in ITEM_KEYS:
        return _about_item(key, context.item)
    if key in (MATCH_NEXT, MATCH_PREVIOUS) and not context.matching:
        return f"There is no text to find; {context.pressed(FILTER)} takes one."
    if key in (*OF_A_SERVER, OPEN, TOOLS, LOGS, CONFIG):
        return _about_server(key, context)
    return ""


def _about_item(key: Key, item: ItemLine | None) -> str:
    if item is None:
        return "Nothing is selected."
    if key is OFFER and item.kind is not Kind.TOOLS:
        return "Only tools can be hidden from clients."
    return ""


def _about_server(key: Key, context: Context) -> str:
    server = context.server
    if server is None:
        return "No server is selected."
    if server.state is Health.STOPPING and key in (CONNECT, RESTART):
        return f"{server.name} is stopping; wait a moment."
    if key is RESTART and server.state is Health.DISABLED:
        return f"{server.name} is disabled; {context.pressed(CONNECT)} enables it."
    if key in (EDIT, DUPLICATE) and server.transport is None:
        opens = f"{context.pressed(EDITOR)} opens it in your editor"
        return f"{server.name} has a fault in the config; {opens}."
    if key is LOG_OUT and not server.signed_in:
        return f"Nobody is signed in to {server.name}."
    if key is MOVE and not any("in plain text" in warning for warning in server.warnings):
        return f"{server.name} has no secrets in plain text."
    if key is CONNECT and server.action is None:
        return f"There is nothing to do for {server.name} now."
    return ""


def wants_connecting(server: ServerSnapshot) -> bool:
    """Whether `C` does something for a server."""
    return server.state not in SERVING | {Health.DISABLED, Health.CONNECTING, Health.STOPPING}
