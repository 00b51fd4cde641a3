"""An engine within the process: it keeps servers, obeys their states, and tells who watches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping

from mcpmux_tui.control.protocol import (
    Candidate,
    Checkup,
    ClientChoices,
    ClientEntry,
    Draft,
    DraftKept,
    DraftTested,
    Entry,
    EntryForm,
    Found,
    GiveValues,
    Gone,
    Imported,
    ItemForm,
    ItemLine,
    ItemName,
    ItemPage,
    Items,
    Keeping,
    LoggedOut,
    Login,
    LoginDone,
    LoginStep,
    LogLine,
    LogPage,
    LogSearch,
    Moved,
    Offer,
    Outcome,
    Place,
    Reading,
    SecretList,
    TryItem,
    TryProgress,
    ValueFields,
    ValuesGiven,
)
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.errors import ControlError, NoEngine
from mcpmux_tui.model.question import Verdict
from mcpmux_tui.model.server import (
    Action,
    EngineSnapshot,
    Health,
    ProxySnapshot,
    ServerSnapshot,
    allowed_actions,
    suggested_action,
)
from mcpmux_tui.model.settings import UiChange

NOW = 1_790_000_000.0
TOKEN = "tok-3f9a1c7e5b2d8046"
URL = "http://127.0.0.1:4114/mcp"

_AFTER = {
    Action.CONNECT: Health.CONNECTING,
    Action.RETRY: Health.CONNECTING,
    Action.RESTART: Health.CONNECTING,
    Action.ENABLE: Health.CONNECTING,
    Action.DISCONNECT: Health.IDLE,
    Action.CANCEL: Health.IDLE,
    Action.DISABLE: Health.DISABLED,
}


def server(name: str, state: Health = Health.CONNECTED, **values: object) -> ServerSnapshot:
    """A server in a state, with what usually comes with it."""
    usual: dict[str, object] = {
        "action": suggested_action(state),
        "transport": "stdio",
        "target": f"npx -y @acme/{name}",
        "since": NOW - 125,
        "generation": 1,
    }
    if state is Health.CONNECTED:
        usual |= {"tools": 2, "era": "2025-11-25", "pid": 4242}
    return ServerSnapshot.model_validate({"name": name, "state": state, **usual, **values})


def item(server: str, name: str, *, public: str | bool | None = None, **values: object) -> ItemLine:
    """A line of a catalog; offered under its usual name unless told otherwise."""
    shown = f"{server}__{name}" if public is None else public or ""
    return ItemLine.model_validate({"server": server, "name": name, "public": shown, **values})


class FakeEngine:
    """Keeps a snapshot; `servers` and `proxy` change it, and the watcher hears of it."""

    def __init__(
        self, servers: Iterable[ServerSnapshot] = (), *, proxy: ProxySnapshot | None = None
    ) -> None:
        self.snapshot = EngineSnapshot(
            proxy=proxy or ProxySnapshot(url=URL, pid=1),
            servers=tuple(servers),
            config_path="/home/ana/.config/mcpmux/config.toml",
            version="0.1.0",
        )
        self.acts: list[tuple[str, Action]] = []
        self.step: LoginStep | ControlError = LoginStep(
            address="https://as.example/x?y=1",
            host="as.example",
            scopes=("read", "write"),
            offered=("read", "write"),
            redirect="http://127.0.0.1:41871/callback",
            by_device=True,
            since=NOW,
        )
        self.wishes: list[Login] = []
        self.fields = ValueFields()
        self.given: list[GiveValues] = []
        self.taken: ValuesGiven | ControlError = ValuesGiven()
        self.referred: list[tuple[str, str]] = []
        self.secret_list = SecretList()
        self.removed: list[str] = []
        self.choices: list[UiChange] = []
        self.read_only = False
        self.secured: list[str] = []
        self.checkup = Checkup()
        self.form = ItemForm(name="echo")
        self.tries: list[TryItem] = []
        self.outcome = Outcome()
        self.progress = ""
        self.offers: list[Offer] = []
        self.entry_text = Entry(path="~/.config/mcpmux/config.toml", line=3, text="command = 'x'")
        self.drafts: list[Draft] = []
        self.reading = Reading()
        self.tested = DraftTested()
        self.kept: DraftKept | ControlError = DraftKept()
        self.kept_drafts: list[Draft] = []
        self.tests: list[str] = []
        self.edited = EntryForm()
        self.gone: list[str] = []
        self.reloads = 0
        self.answers: list[tuple[int, Verdict, dict[str, str]]] = []
        self.done: asyncio.Future[LoginDone]
        self.pasted: list[str] = []
        self.cancelled: list[str] = []
        self.logged_out: list[str] = []
        self.found = Found()
        self.added: list[tuple[str, ...]] = []
        self.listed: dict[tuple[str, Kind], Items] = {}
        self.log_lines: dict[str, list[LogLine]] = {}
        self.clients: tuple[tuple[str, str], ...] = (
            ("cursor", "Cursor"),
            ("claude", "Claude Code"),
        )
        self.gate = asyncio.Event()
        """While it is clear, every request but `watch` waits."""
        self.gate.set()
        self.log_requests: list[tuple[str, int]] = []
        self._changed = asyncio.Event()
        self._ended = False
        self.detached = False

    def update(self, **values: object) -> None:
        """Change fields of the snapshot."""
        self.snapshot = self.snapshot.model_copy(update=values)
        self._changed.set()

    def put(self, *servers: ServerSnapshot) -> None:
        """Add servers, or replace those of the same names."""
        known = {one.name: one for one in (*self.snapshot.servers, *servers)}
        self.update(servers=tuple(known.values()))

    def remove(self, name: str) -> None:
        """Take a server away."""
        self.update(servers=tuple(s for s in self.snapshot.servers if s.name != name))

    def end(self) -> None:
        """End as an engine that was killed."""
        self._ended = True
        self._changed.set()

    def log(self, name: str, text: str, source: str = "stderr") -> None:
        """Add a line to a server's log."""
        seq = sum(map(len, self.log_lines.values())) + 1
        lines = self.log_lines.setdefault(name, [])
        lines.append(LogLine(seq=seq, server=name, time=NOW, source=source, text=text))

    async def watch(self) -> AsyncIterator[EngineSnapshot]:
        yield self.snapshot
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._ended:
                return
            yield self.snapshot

    async def act(self, server: str, action: Action) -> None:
        self.acts.append((server, action))
        await self._answer()
        known = {one.name: one for one in self.snapshot.servers}
        if server not in known:
            raise ControlError(f"There is no server {server}.", "Look at the list.")
        now = known[server]
        if action not in allowed_actions(now.state):
            raise ControlError(f"{server} is {now.state.word}.", "Look again.")
        state = _AFTER[action]
        self.put(now.model_copy(update={"state": state, "action": suggested_action(state)}))

    async def login(self, wish: Login) -> LoginStep:
        self.wishes.append(wish)
        await self._answer()
        if isinstance(self.step, ControlError):
            raise self.step
        if self.step.concerns and not wish.agreed:
            return self.step.model_copy(update={"address": ""})
        asked = self.step.scopes if wish.scopes is None else wish.scopes
        code = "ABCD-EFGH" if wish.device else ""
        return self.step.model_copy(update={"scopes": asked, "code": code})

    async def login_wait(self, server: str) -> LoginDone:
        self.done = asyncio.get_running_loop().create_future()
        return await self.done

    async def login_paste(self, server: str, address: str) -> None:
        await self._answer()
        self.pasted.append(address)
        if "state=" not in address:
            raise ControlError("That address does not belong to this sign-in.")

    async def login_cancel(self, server: str) -> None:
        self.cancelled.append(server)

    async def logout(self, server: str, *, reset: bool) -> LoggedOut:
        await self._answer()
        self.logged_out.append(server)
        return LoggedOut(told=False)

    async def answer(self, question: int, verdict: Verdict, typed: Mapping[str, str]) -> None:
        await self._answer()
        self.answers.append((question, verdict, dict(typed)))
        left = tuple(each for each in self.snapshot.questions if each.id != question)
        self.update(questions=left)

    async def item_form(self, name: ItemName) -> ItemForm:
        await self._answer()
        return self.form

    async def try_item(self, wish: TryItem) -> Outcome:
        self.tries.append(wish)
        await self._answer()
        return self.outcome

    async def try_progress(self, key: str) -> TryProgress:
        return TryProgress(said=self.progress)

    async def try_cancel(self, key: str) -> None:
        self.cancelled.append(key)
        self.gate.set()

    async def doctor(self, server: str) -> Checkup:
        await self._answer()
        return self.checkup

    async def values(self, server: str) -> ValueFields:
        await self._answer()
        return self.fields

    async def give_values(self, given: GiveValues) -> ValuesGiven:
        await self._answer()
        self.given.append(given)
        if isinstance(self.taken, ControlError):
            raise self.taken
        return self.taken

    async def refer_to_secret(self, server: str, name: str) -> None:
        await self._answer()
        self.referred.append((server, name))

    async def secure(self, server: str) -> Moved:
        await self._answer()
        self.secured.append(server)
        return Moved(names=("API_KEY",))

    async def undo_secure(self) -> Moved:
        await self._answer()
        self.secured.append("undone")
        return Moved(names=("API_KEY",))

    async def keeping(self) -> Keeping:
        await self._answer()
        return Keeping(keeps="keyring (Secret Service)")

    async def change_ui(self, change: UiChange) -> None:
        self.choices.append(change)
        await self._answer()
        if self.read_only:
            raise ControlError("config.toml could not be written: read-only.", "Look at it.")
        ui = self.snapshot.ui.model_copy(update=change.values())
        self.update(ui=ui)

    async def secrets(self) -> SecretList:
        await self._answer()
        return self.secret_list

    async def secret_remove(self, name: str) -> None:
        await self._answer()
        self.removed.append(name)
        left = tuple(each for each in self.secret_list.secrets if each.name != name)
        self.secret_list = SecretList(secrets=left)

    async def items(self, page: ItemPage) -> Items:
        await self._answer()
        servers = [each.name for each in self.snapshot.servers if page.server in (None, each.name)]
        found: list[ItemLine] = []
        skipped: tuple[str, ...] = ()
        for name in servers:
            listed = self.listed.get((name, page.kind))
            if listed is None and page.kind is Kind.TOOLS:
                listed = Items(items=tuple(item(name, tool) for tool in ("echo", "reverse")))
            if listed is not None:
                found += listed.items
                skipped += listed.skipped
        part = tuple(found[page.after : page.after + page.limit])
        return Items(items=part, total=len(found), skipped=skipped)

    async def offer(self, offer: Offer) -> None:
        await self._answer()
        self.offers.append(offer)
        listed = self.listed[offer.server, Kind.TOOLS]
        self.listed[offer.server, Kind.TOOLS] = listed.model_copy(
            update={
                "items": tuple(
                    item(offer.server, each.name, public=None if offer.offered else False)
                    if each.name == offer.tool
                    else each
                    for each in listed.items
                )
            }
        )

    async def entry(self, server: str) -> Entry:
        await self._answer()
        return self.entry_text

    async def logs(self, search: LogSearch) -> LogPage:
        self.log_requests.append((search.server or "", search.after))
        await self._answer()
        lines = sorted(
            (
                line
                for name, lines in self.log_lines.items()
                if search.server in (None, name)
                for line in lines
                if line.seq > search.after
            ),
            key=lambda line: line.seq,
        )
        return LogPage(lines=tuple(lines[-search.limit :]))

    async def client_choices(self) -> ClientChoices:
        await self._answer()
        return ClientChoices(clients=self.clients)

    async def client_entry(self, client: str) -> ClientEntry:
        await self._answer()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        entry = {"mcpServers": {"mcpmux": {"url": self.snapshot.proxy.url, "headers": headers}}}
        text = json.dumps(entry, indent=2)
        titles = dict(self.clients)
        return ClientEntry(
            client=client, title=titles[client], where=f"~/.{client}/mcp.json", text=text
        )

    async def find_imports(self) -> Found:
        await self._answer()
        return self.found

    async def import_servers(self, keys: tuple[str, ...]) -> Imported:
        await self._answer()
        self.added.append(keys)
        names = tuple(c.name for c in self.found.candidates if c.key in keys)
        self.put(*(server(name, Health.CONNECTING) for name in names))
        return Imported(added=names)

    async def draft_read(self, draft: Draft) -> Reading:
        self.drafts.append(draft)
        await self._answer()
        return self.reading

    async def draft_test(self, key: str, draft: Draft) -> DraftTested:
        self.tests.append(key)
        await self._answer()
        return self.tested

    async def draft_cancel(self, key: str) -> None:
        self.cancelled.append(key)

    async def draft_keep(self, draft: Draft) -> DraftKept:
        self.kept_drafts.append(draft)
        await self._answer()
        if isinstance(self.kept, ControlError):
            raise self.kept
        self.put(*(server(name, Health.CONNECTING) for name in self.kept.names))
        return self.kept

    async def entry_form(self, server: str, *, copy_of: bool = False) -> EntryForm:
        await self._answer()
        return self.edited.model_copy(update={"server": server, "copy_of": copy_of})

    async def place(self, server: str) -> Place:
        await self._answer()
        return Place(path=self.snapshot.config_path, line=3 if server else None)

    async def delete_server(self, server: str) -> Gone:
        await self._answer()
        self.gone.append(server)
        self.remove(server)
        return Gone(secrets=("API_KEY",))

    async def reload(self) -> None:
        await self._answer()
        self.reloads += 1

    async def end_leftovers(self) -> None:
        await self._answer()
        self.update(leftovers=())

    async def detach(self) -> None:
        await self._answer()
        self.detached = True

    async def _answer(self) -> None:
        await self.gate.wait()
        if self._ended:
            raise NoEngine("The mcpmux engine has ended.")


def candidate(
    name: str, *, target: str = "", source: str = "Cursor", **values: object
) -> Candidate:
    """A server found in another tool's config."""
    return Candidate.model_validate(
        {
            "key": f"{source}:{name}",
            "name": name,
            "target": target or f"npx -y @acme/{name}",
            "source": source,
            "path": "~/.cursor/mcp.json",
            **values,
        }
    )


def every_state() -> tuple[ServerSnapshot, ...]:
    """One server in each state."""
    return (
        server("github", tools=46, calls=1240, last_activity=NOW - 2, last_call="search_issues"),
        server("filesystem", tools=12, calls=310, last_activity=NOW - 9, last_call="read_file"),
        server(
            "postgres", Health.NEEDS_INPUT, summary="1 value missing: DATABASE_URL",
            detail="DATABASE_URL has no value.\nSet it in the environment, then retry.",
            missing=("DATABASE_URL",),
        ),
        server("linear", Health.NEEDS_SIGN_IN, summary="press c to sign in", transport="http",
               target="https://mcp.example/linear"),
        server("sentry", Health.FAILED, summary="exit 1: npx not found",
               detail="The command npx was not found.\nInstall Node.js, then retry."),
        server("jira", Health.RECONNECTING, summary="connection lost", attempt=3,
               retry_at=NOW + 8, tools=21, calls=140),
        server("slack", Health.SIGNING_IN, summary="waiting for the browser"),
        server("memory", Health.CONNECTING, summary="starting npx", since=NOW - 2.1),
        server("fetch", Health.DEGRADED, summary="2 calls failed", tools=1),
        server("brave", Health.STOPPING, summary="stopping"),
        server("context7", Health.IDLE, summary=""),
        server("puppeteer", Health.DISABLED, summary=""),
    )  # fmt: skip
