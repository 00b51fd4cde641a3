"""The control protocol: one JSON object a line over a socket that only this user can open.

A door sends `Request`s; the engine answers each with a `Reply` of the same id. After `watch` the
engine also sends `Update`s: at most ten a second, only what changed.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue, TypeAdapter

from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.errors import ControlError, McpmuxError
from mcpmux_tui.model.frozen import Frozen
from mcpmux_tui.model.inputs import InputType
from mcpmux_tui.model.mend import Mend
from mcpmux_tui.model.question import Field as QuestionField
from mcpmux_tui.model.question import Question, Verdict
from mcpmux_tui.model.server import Action, EngineSnapshot, Health, ProxySnapshot, ServerSnapshot
from mcpmux_tui.model.settings import UiSettings

PROTOCOL = 1
HIDDEN = "********"
"""What stands in a form for what is not shown."""


class Request(Frozen):
    """A door's question."""

    id: int
    method: str
    params: dict[str, JsonValue] = Field(default_factory=dict)


class Failure(Frozen):
    """Why a request was refused: the fields of a McpmuxError."""

    message: str
    hint: str = ""
    exit_code: int = 1

    @classmethod
    def of(cls, error: McpmuxError) -> Failure:
        """The failure that tells a door of `error`."""
        return cls(message=error.message, hint=error.hint, exit_code=error.exit_code)

    def error(self) -> ControlError:
        """The error that a door raises for it."""
        error = ControlError(self.message, self.hint)
        error.exit_code = self.exit_code
        return error


class Started(Frozen):
    """The one line an owned engine writes to its owner: it serves, or why it cannot."""

    error: Failure | None = None


class Reply(Frozen):
    """The engine's answer to one request; `error` is set where it refused."""

    kind: Literal["reply"] = "reply"
    id: int
    result: JsonValue = None
    error: Failure | None = None


class Update(Frozen):
    """What changed since the last update; `order` is the list of all servers' names."""

    kind: Literal["update"] = "update"
    proxy: ProxySnapshot | None = None
    questions: tuple[Question, ...] | None = None
    servers: tuple[ServerSnapshot, ...] = ()
    order: tuple[str, ...] | None = None
    warnings: tuple[str, ...] | None = None
    config_error: str | None = None
    offline: int | None = None
    leftovers: tuple[str, ...] | None = None
    ui: UiSettings | None = None

    def apply(self, snapshot: EngineSnapshot) -> EngineSnapshot:
        """Return `snapshot` with this update's changes."""
        known = {server.name: server for server in (*snapshot.servers, *self.servers)}
        order = self.order if self.order is not None else tuple(known)
        whole = {name: getattr(self, name) for name in _WHOLE}
        return snapshot.model_copy(
            update={
                "servers": tuple(known[name] for name in order if name in known),
                **{name: value for name, value in whole.items() if value is not None},
            }
        )

    @classmethod
    def between(cls, old: EngineSnapshot, new: EngineSnapshot) -> Update | None:
        """What changed from `old` to `new`, or None."""
        known = {server.name: server for server in old.servers}
        names = tuple(server.name for server in new.servers)
        update = cls(
            # Most rows are the same object as before; comparing their fields takes its time.
            servers=tuple(
                s for s in new.servers if known.get(s.name) is not s and known.get(s.name) != s
            ),
            order=names if names != tuple(known) else None,
            **{
                name: getattr(new, name)
                for name in _WHOLE
                if getattr(new, name) != getattr(old, name)
            },
        )
        return None if update == cls() else update


_WHOLE = ("proxy", "questions", "warnings", "config_error", "offline", "leftovers", "ui")
"""What an update replaces as a whole."""


class Hello(Frozen):
    """Who answers: the engine's protocol, version, pid, and everything a door shows."""

    protocol: int = PROTOCOL
    pid: int
    snapshot: EngineSnapshot


class Act(Frozen):
    """`act`: do `action` to the named server, as its label showed."""

    server: str
    action: Action


class Answer(Frozen):
    """`answer`: what a person says to a server's question; `typed` by the fields' keys."""

    question: int
    verdict: Verdict
    typed: dict[str, str] = Field(default_factory=dict)


class Login(Frozen):
    """`login`: begin a sign-in, or get the one under way."""

    server: str
    device: bool = False
    """By a code that is entered on any machine."""
    agreed: bool = False
    """To the concerns that were named before."""
    scopes: tuple[str, ...] | None = None
    """Of those offered, the only ones to ask for."""


class LoginStep(Frozen):
    """Answer to `login`: what a person has to do."""

    address: str = ""
    """To open in a browser; empty where the concerns need a yes first."""
    host: str = ""
    """Where one consents."""
    scopes: tuple[str, ...] = ()
    """Those asked for."""
    offered: tuple[str, ...] = ()
    """Those that could be asked for."""
    concerns: tuple[str, ...] = ()
    redirect: str = ""
    """Where the browser brings the answer, on the engine's machine."""
    code: str = ""
    """To enter there (device code)."""
    by_device: bool = False
    """Whether one can sign in by such a code."""
    since: float = 0.0
    """Unix time at which it began."""


class OneServer(Frozen):
    """`login_wait`, `login_cancel`: which server."""

    server: str


class LoginDone(Frozen):
    """Answer to `login_wait`: signed in."""

    account: str = ""
    warning: str = ""


class LoginPaste(Frozen):
    """`login_paste`: the address at which a browser ended."""

    server: str
    address: str


class Logout(Frozen):
    """`logout`: of which server; `reset`: the client's registration goes too."""

    server: str
    reset: bool = False


class LoggedOut(Frozen):
    """Answer to `logout`: whether the authorization server was told."""

    told: bool = False


class ValueField(Frozen):
    """One value a server needs, as a person should see it; all text is clean."""

    name: str
    where: tuple[str, ...] = ()
    required: bool = True
    secret: bool = True
    origin: Literal["environment", "stored", "default", ""] = ""
    """Where the value in use comes from; empty where there is none."""
    stored: bool = False
    """Somebody gave one, though the environment may outrank it."""
    in_environment: bool = False
    """A variable of this name could be used instead of typing it."""
    type: InputType = "text"
    description: str = ""
    default: str = ""
    placeholder: str = ""
    choices: tuple[str, ...] = ()
    obtain: str = ""
    """Where one gets it."""


class ValueFields(Frozen):
    """Answer to `values`: what a server needs, and where given values are kept."""

    fields: tuple[ValueField, ...] = ()
    keeps: str = ""
    """What keeps values over restarts, such as "keyring (Secret Service)"; empty where nothing."""
    passing: str = ""
    """Why nothing does."""


class GiveValues(Frozen):
    """`give_values`: what a person typed for a server, by name.

    `from_environment` names those whose variable's present value is taken instead.
    """

    server: str
    typed: dict[str, str] = Field(default_factory=dict, repr=False)
    from_environment: tuple[str, ...] = ()
    session: bool = False
    """Until mcpmux ends, and nowhere on disk."""


class Wrong(Frozen):
    """Why one typed value cannot be taken, a sentence."""

    name: str
    why: str


class ValuesGiven(Frozen):
    """Answer to `give_values`: nothing was kept where anything is wrong."""

    wrong: tuple[Wrong, ...] = ()


class ServerValue(Frozen):
    """`refer_to_secret`: which value of which server."""

    server: str
    name: str


class Moved(Frozen):
    """Answer to `secure` and `undo_secure`: the names of the values that were moved."""

    names: tuple[str, ...] = ()


class SecretSet(Frozen):
    """`secret_set`: a value under a name, whoever uses it."""

    name: str
    value: str = Field(repr=False)


class SecretName(Frozen):
    """`secret_remove`: the value under a name."""

    name: str


class SecretLine(Frozen):
    """One given value, without it."""

    name: str
    kept: bool = True
    """Else it lasts as long as mcpmux runs."""
    since: float | None = None
    users: tuple[str, ...] = ()
    """The servers that refer to it."""
    waiting: tuple[str, ...] = ()
    """Those that wait for it."""


class SecretList(Frozen):
    """Answer to `secrets`: those given, and those that servers wait for."""

    secrets: tuple[SecretLine, ...] = ()


class EntryForm(Frozen):
    """A server's entry as a person edits it; answer to `entry_form`, and what comes back.

    What is hidden is `HIDDEN`; where that comes back the value stays as it is.
    """

    server: str = ""
    """Whose entry it is."""
    copy_of: bool = False
    """It becomes a new entry, made like that of `server`."""
    seen: str = ""
    """Names exactly the entry that was shown."""
    remote: bool = False
    name: str = ""
    target: str = Field(default="", repr=False)
    """The command line, quoted as for a shell, or the address."""
    pairs: str = Field(default="", repr=False)
    """Lines of KEY=value, or of `Name: value` for headers."""
    cwd: str = ""
    enabled: bool = True


class Draft(Frozen):
    """`draft_read`, `draft_keep`: servers as a person wrote them down, not yet in the config."""

    pasted: str = Field(default="", repr=False)
    """A command, an address or JSON; or `form`."""
    name: str = ""
    """For the only one in `pasted`; empty: as suggested."""
    form: EntryForm | None = None


class DraftServer(Frozen):
    """One server of a draft, as a person must see it before saying yes; all of it, escaped."""

    name: str
    kind: str = ""
    """What it looks like, in words."""
    target: str = ""
    """The whole command line or address."""
    pairs: tuple[str, ...] = ()
    """Its variables or headers, as they would stand in the config."""
    cwd: str = ""
    moves: tuple[str, ...] = ()
    """The names under which secrets found in plain text would be kept."""
    notes: tuple[str, ...] = ()


class Reading(Frozen):
    """Answer to `draft_read`: the servers, or what is wrong with which field."""

    servers: tuple[DraftServer, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    passing: str = ""
    """Why secrets would not outlast mcpmux, where some are to be kept."""


class DraftTest(Frozen):
    """`draft_test`: connect to the servers of a draft; `key` is the door's own."""

    key: str
    draft: Draft


class DraftKey(Frozen):
    """`draft_cancel`: which test."""

    key: str


class DraftOutcome(Frozen):
    """How a server of a draft answered."""

    name: str
    state: Health
    seconds: float = 0.0
    tools: int = 0
    prompts: int = 0
    resources: int = 0
    server_info: str = ""
    missing: tuple[str, ...] = ()
    summary: str = ""
    detail: str = ""


class DraftTested(Frozen):
    """Answer to `draft_test`; `wrong` where there was nothing to test."""

    servers: tuple[DraftOutcome, ...] = ()
    wrong: tuple[Wrong, ...] = ()


class DraftKept(Frozen):
    """Answer to `draft_keep`: the names in the config; nothing was kept where anything is wrong."""

    names: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """The names of values that were moved to the keyring."""
    wrong: tuple[Wrong, ...] = ()


class FormWanted(Frozen):
    """`entry_form`: of which server; `copy_of`: for a new one like it."""

    server: str
    copy_of: bool = False


class Place(Frozen):
    """Answer to `place`: where a server's entry, or what is wrong with the file, stands."""

    path: str
    line: int | None = None


class Gone(Frozen):
    """Answer to `delete_server`: names of kept values that its entry referred to; they stay."""

    secrets: tuple[str, ...] = ()


Hint = Literal["", "read", "write", "destroy"]
"""What a tool claims of itself: it only reads, it writes, it may destroy something."""


class ItemPage(Frozen):
    """`items`: which part of what one server, or all of them, list of one kind."""

    kind: Kind = Kind.TOOLS
    server: str | None = None
    after: int = Field(default=0, ge=0)
    """How many to pass over."""
    limit: int = Field(default=200, ge=0)


class ItemLine(Frozen):
    """One tool, prompt, resource or template for people; all text is clean."""

    server: str
    kind: Kind = Kind.TOOLS
    name: str
    """The server's own name or address of it."""
    public: str = ""
    """The name clients see; empty where it is not offered."""
    description: str = ""
    hint: Hint = ""


class Items(Frozen):
    """Answer to `items`; `total` counts those of the other pages too."""

    items: tuple[ItemLine, ...] = ()
    total: int = 0
    skipped: tuple[str, ...] = ()
    """What one server lists and cannot be used, a sentence each."""


class ItemName(Frozen):
    """`item_form`: which item of which server, by its own name."""

    server: str
    kind: Kind = Kind.TOOLS
    name: str


class ItemForm(Frozen):
    """Answer to `item_form`: what an item is and asks for; all text is clean."""

    name: str
    public: str = ""
    description: str = ""
    fields: tuple[QuestionField, ...] = ()
    hint: Hint = ""


class TryItem(Frozen):
    """`try_item`: use an item with what a person typed, or with arguments as they are.

    `key` is the door's own, for `try_cancel`.
    """

    key: str
    server: str
    kind: Kind = Kind.TOOLS
    name: str
    typed: dict[str, str] = Field(default_factory=dict)
    arguments: dict[str, JsonValue] | None = None


class TryKey(Frozen):
    """`try_cancel`: which of this door's tries."""

    key: str


class Outcome(Frozen):
    """Answer to `try_item`: the result for people, and whole as JSON; both clean and capped."""

    text: str = ""
    raw: str = ""
    is_error: bool = False
    """The tool says so; the call itself was answered."""
    seconds: float = 0.0


class TryProgress(Frozen):
    """Answer to `try_progress`: what the server last said of a try under way; clean."""

    said: str = ""


class Offer(Frozen):
    """`offer`: whether clients are to get a tool."""

    server: str
    tool: str
    offered: bool


class Entry(Frozen):
    """Answer to `entry`: a server's entry as the config has it, secrets masked; clean."""

    path: str
    line: int | None = None
    text: str = ""


class LogSearch(Frozen):
    """`logs`: the newest lines of one server, or of all, after a sequence number."""

    server: str | None = None
    after: int = Field(default=0, ge=0)
    limit: int = Field(default=200, ge=0)


class Check(Frozen):
    """One thing that must hold for a server; all text is clean."""

    name: str
    ok: bool
    said: str = ""
    fix: str = ""
    """What to do where it does not hold."""
    mend: Mend | None = None
    """What a door can do about it."""
    command: str = ""
    """The command that does the same."""


class Checkup(Frozen):
    """Answer to `doctor`: the checks in order, up to the first that failed."""

    checks: tuple[Check, ...] = ()


class LogLine(Frozen):
    """One line of a server's log, clean; `source` is "stderr", "stdout" or "mcpmux"."""

    seq: int
    """Counts up over all servers."""
    server: str = ""
    time: float
    source: str
    text: str


class LogPage(Frozen):
    """Answer to `logs`: the newest lines, oldest first."""

    lines: tuple[LogLine, ...] = ()


class Keeping(Frozen):
    """Answer to `keeping`: what keeps secrets over restarts, or why nothing does."""

    keeps: str = ""
    passing: str = ""


class ClientEntryRequest(Frozen):
    """`client_entry`: the entry for one client, by key."""

    client: str


class ClientEntry(Frozen):
    """What to put where, for one client. `text` holds the token."""

    client: str
    title: str
    """The client's name for people."""
    where: str
    """The file or command it goes to."""
    text: str


class ClientChoices(Frozen):
    """Answer to `client_choices`: keys and titles, those found on this machine first."""

    clients: tuple[tuple[str, str], ...]


class Candidate(Frozen):
    """One server found in another tool's config, as a person must see it before saying yes."""

    key: str
    """Opaque; what `import` takes."""
    name: str
    """The name it would get here."""
    target: str
    """The whole command line or address."""
    env: tuple[str, ...] = ()
    """Names of its environment variables or headers; values are not shown."""
    cwd: str = ""
    inputs: tuple[str, ...] = ()
    """What would come along of what it asks the person for, a line each."""
    source: str = ""
    """The tool it comes from."""
    path: str = ""
    """The file it comes from."""
    notes: tuple[str, ...] = ()
    """What would not be taken over, a sentence each."""
    skip: str = ""
    """Why it would not be added, such as "already here"; empty when it would."""


class Found(Frozen):
    """Answer to `find_imports`: candidates, and files that could not be read, a sentence each."""

    candidates: tuple[Candidate, ...] = ()
    problems: tuple[str, ...] = ()


class ImportRequest(Frozen):
    """`import`: add these candidates."""

    keys: tuple[str, ...]


class Imported(Frozen):
    """Answer to `import`: the names added."""

    added: tuple[str, ...] = ()


EngineLine = Reply | Update
engine_line: TypeAdapter[EngineLine] = TypeAdapter(EngineLine)
