"""Every screen and dialog on one made-up day: what the engine says, and which keys lead there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcpmux_tui.control.protocol import (
    HIDDEN,
    Check,
    Checkup,
    DraftServer,
    EntryForm,
    Found,
    ItemForm,
    ItemLine,
    Items,
    Outcome,
    Reading,
    SecretLine,
    SecretList,
    ValueField,
    ValueFields,
)
from mcpmux_tui.model.channel import Kind
from mcpmux_tui.model.question import Choice, Field, Question
from mcpmux_tui.model.server import ProxySnapshot
from tests.ui.fake_engine import NOW, URL, FakeEngine, candidate, every_state, item, server

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture: each step is a key (or none) and a text that is on the screen after it."""

    name: str
    server: str
    """Whose row the cursor is on first; empty: the first, or none."""
    steps: tuple[tuple[str, str], ...]
    change: Callable[[FakeEngine], None] | None = None
    """What is so on this day only."""
    waits: bool = False
    """Whether the engine leaves the last request unanswered."""


def world() -> FakeEngine:
    """Servers in all states, and everything that one can look at."""
    engine = FakeEngine(every_state(), proxy=ProxySnapshot(url=URL, pid=1, clients=2))
    engine.put(
        server(
            "github", tools=6, prompts=2, resources=1, calls=1240, transport="http",
            target="https://mcp.example/github", last_activity=NOW - 2, last_call="search_issues",
            signed_in=True, account="ana", renews_at=NOW + 2460, server_info="GitHub 4.1.0",
            pid=None,
        )
    )  # fmt: skip
    engine.listed["github", Kind.TOOLS] = Items(items=_tools())
    engine.listed["filesystem", Kind.TOOLS] = Items(
        items=(
            item("filesystem", "read_file", description="Read a file whole.", hint="read"),
            item("filesystem", "write_file", description="Create or replace it.", hint="write"),
        ),
        skipped=("move_file is not offered: its name is listed twice.",),
    )
    for name in (each.name for each in engine.snapshot.servers):
        engine.listed.setdefault((name, Kind.TOOLS), Items())
    engine.listed["github", Kind.PROMPTS] = Items(
        items=(
            item("github", "review", description="Review a pull request.", kind=Kind.PROMPTS),
            item(
                "github",
                "release_notes",
                description="Write them.",
                kind=Kind.PROMPTS,
            ),
        )
    )
    engine.listed["github", Kind.RESOURCES] = Items(
        items=(
            item(
                "github",
                "repo://readme",
                public="repo://readme",
                description="The README.",
                kind=Kind.RESOURCES,
            ),
        )
    )
    engine.listed["github", Kind.TEMPLATES] = Items(
        items=(
            item(
                "github",
                "repo://{path}",
                public="repo://{path}",
                description="Any file.",
                kind=Kind.TEMPLATES,
            ),
        )
    )
    engine.form = ItemForm(
        name="search_issues",
        description="Search for issues and pull requests in all repositories you can read.",
        hint="read",
        fields=(
            Field(key="query", label="query", kind="text", required=True,
                  description="What to look for"),
            Field(key="sort", label="sort", kind="choice", default="created",
                  choices=tuple(Choice(value=each, title=each)
                                for each in ("created", "updated", "comments"))),
            Field(key="page", label="page", kind="integer", least=1, default="1"),
        ),
    )  # fmt: skip
    engine.outcome = Outcome(
        text="2 issues\n#12  Rows flicker on resize\n#7   Say which key opens the log",
        raw='{\n  "content": [\n    {"type": "text", "text": "2 issues\\n#12 \u2026"}\n  ]\n}',
        seconds=0.12,
    )
    _write_logs(engine)
    _fill_config(engine)
    return engine


def _tools() -> tuple[ItemLine, ...]:
    return (
        item("github", "create_issue", description="Open a new issue.", hint="write"),
        item("github", "delete_repo", public=False, description="Delete it for good.",
             hint="destroy"),
        item("github", "get_file", description="Read one file of a repository.", hint="read"),
        item("github", "list_pulls", description="List pull requests by state.", hint="read"),
        item("github", "merge_pull", description="Merge a pull request.", hint="write"),
        item("github", "search_issues", hint="read",
             description="Search for issues and pull requests in all repositories you can read."),
    )  # fmt: skip


def _write_logs(engine: FakeEngine) -> None:
    engine.log("github", "connected in 0.4 s", "mcpmux")
    engine.log("filesystem", "Secure MCP filesystem server running on stdio")
    engine.log("filesystem", "Allowed folders: /srv/projects")
    engine.log("github", "rate limit 4800 of 5000", "notice")
    engine.log("memory", "npm warn deprecated inflight@1.0.6: this module is not supported")
    engine.log("sentry", "npx: not found")
    engine.log("sentry", "exit 1: npx not found", "mcpmux")
    engine.log("jira", '{"level": "warn", "msg": "socket closed", "code": 1006}')
    engine.log("jira", "connection lost; next try in 8 s", "mcpmux")


def _fill_config(engine: FakeEngine) -> None:
    engine.entry_text = engine.entry_text.model_copy(
        update={
            "line": 12,
            "text": '[servers.github]\nurl = "https://mcp.example/github"\n'
            'headers = { X-Org = "${ORG}" }\ntools = { deny = ["delete_*"] }',
        }
    )
    engine.fields = ValueFields(
        fields=(
            ValueField(
                name="DATABASE_URL", where=("env.DATABASE_URL",),
                description="Connection string of the database.",
                obtain="https://db.example/settings", placeholder="postgres://\u2026",
            ),
            ValueField(
                name="PGSSLMODE", where=("env.PGSSLMODE",), secret=False, type="choice",
                choices=("disable", "prefer", "require"), in_environment=True,
            ),
            ValueField(
                name="REGION", where=("args",), secret=False, origin="default", default="eu",
            ),
        ),
        keeps="keyring (Secret Service)",
    )  # fmt: skip
    engine.secret_list = SecretList(
        secrets=(
            SecretLine(name="DATABASE_URL", kept=False, waiting=("postgres",), users=("postgres",)),
            SecretLine(name="GITHUB_TOKEN", since=NOW - 40 * _DAY, users=("github", "memory")),
            SecretLine(name="OLD_KEY", since=NOW - 300 * _DAY),
        )
    )
    engine.checkup = Checkup(
        checks=(
            Check(name="config", ok=True, said="~/.config/mcpmux/config.toml, line 31"),
            Check(name="values", ok=True, said="it needs none"),
            Check(name="command", ok=False, said="npx is not on the PATH of mcpmux.",
                  fix="Install Node.js, or give the whole path as `command` (e edits it)."),
        )
    )  # fmt: skip
    engine.reading = Reading(
        servers=(
            DraftServer(
                name="acme", kind="local command (stdio)",
                target="npx -y @acme/mcp --region eu --projects /srv/projects",
                pairs=("ACME_KEY=${secret:ACME_KEY}", "LANG=C.UTF-8"), moves=("ACME_KEY",),
            ),
        )
    )  # fmt: skip
    engine.edited = EntryForm(
        server="filesystem", seen="1", name="filesystem",
        target="npx -y @modelcontextprotocol/server-filesystem /srv/projects",
        pairs=f"API_KEY={HIDDEN}\nLOG_LEVEL=info", cwd="/srv/projects",
    )  # fmt: skip
    engine.found = Found(
        candidates=(
            candidate("github", skip="already here"),
            candidate("postgres", target="npx -y @acme/postgres --schema public",
                      env=("DATABASE_URL", "PGSSLMODE"), cwd="/srv/db"),
            candidate("docs", target="https://mcp.example/docs", source="VS Code",
                      path="~/.config/Code/User/mcp.json"),
        ),
        problems=("~/.claude.json: line 3 is not JSON.",),
    )  # fmt: skip
    engine.clients = (
        ("claude", "Claude Code"), ("cursor", "Cursor"), ("code", "VS Code"),
        ("codex", "Codex CLI"), ("zed", "Zed"), ("other", "Any other client"),
    )  # fmt: skip


def _nothing(engine: FakeEngine) -> None:
    engine.update(servers=())


def _troubled(engine: FakeEngine) -> None:
    engine.update(
        proxy=ProxySnapshot(
            pid=1,
            error="Port 4114 is used by node (pid 812).",
            hint="Choose another with --port, or end that program.",
        ),
        questions=(_FORM,),
        leftovers=("npx @acme/jira (pid 4711)",),
    )


_FORM = Question(
    id=1, server="github", message="Which repository is it, and may I open an issue there?",
    since=NOW - 20,
    fields=(
        Field(key="repo", label="Repository", kind="text", required=True,
              description="owner/name"),
        Field(key="open", label="Open an issue", kind="boolean", default="yes"),
        Field(key="token", label="Access token", kind="text"),
    ),
)  # fmt: skip
_OPEN = Question(
    id=2, server="github", message="Confirm the payment on our page, then answer here.",
    since=NOW - 20, url="https://pay.example/confirm?order=4711",
)  # fmt: skip


def _asks(question: Question) -> Callable[[FakeEngine], None]:
    return lambda engine: engine.update(questions=(question,))


def _plain_secret(engine: FakeEngine) -> None:
    warning = "API_KEY stands in the config in plain text; m moves it to the keyring"
    engine.put(server("github", warnings=(warning,)))


def _concerned(engine: FakeEngine) -> None:
    engine.step = engine.step.model_copy(  # type: ignore[union-attr]
        update={
            "concerns": (
                "The server is at mcp.example, but you would sign in at login.other.example.",
            )
        }
    )


def _long_address(engine: FakeEngine) -> None:
    address = (
        "https://as.example/authorize?response_type=code&client_id=b41f7c2e&scope=read+write"
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A41871%2Fcallback&code_challenge_method=S256"
        "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&state=af0ifjsldkj"
    )
    engine.step = engine.step.model_copy(update={"address": address})  # type: ignore[union-attr]


def _tab(number: int, text: str) -> tuple[tuple[str, str], ...]:
    return (("enter", "alone, under"), *((("]", ""),) * (number - 1)), ("]", text))


def _typed(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((each, text[:end]) for end, each in enumerate(text, 1))


_GITHUB, _LINEAR, _SENTRY = "github", "linear", "sentry"
_SEARCH = (("2", "clients see"), *((("j", ""),) * 5), ("", "takes 3"))
_TRY = (*_SEARCH, ("enter", "ctrl+r Run"))
_RAN = (*_TRY, ("f", ""), ("ctrl+r", "Done in"))
_LOGS = ("4", "connection lost; next try")

SCREENS: tuple[Scene, ...] = (
    Scene("servers", "", (("", "DATABASE_URL has no value"),)),
    Scene("servers-connected", _GITHUB, (("", "own name"),)),
    Scene("servers-filter", "", (("/", "enter Keep"), ("f", "filesystem"))),
    Scene("servers-trouble", "", (("", "used by node"),), _troubled),
    Scene("welcome", "", (("", "Found: "),), _nothing),
    Scene("server-overview", _GITHUB, (("enter", "Last lines"),)),
    Scene("server-tools", _GITHUB, _tab(1, "Open a new issue")),
    Scene("server-prompts", _GITHUB, _tab(2, "Review a pull")),
    Scene("server-resources", _GITHUB, _tab(3, "Any file")),
    Scene("server-logs", _GITHUB, _tab(4, "rate limit")),
    Scene("server-config", _GITHUB, _tab(5, "X-Org")),
    Scene("tools", "", _SEARCH),
    Scene("logs", "", (_LOGS,)),
    Scene("logs-find", "", (_LOGS, ("/", "enter Keep"), *_typed("npx"), ("enter", "? Help"))),
    Scene("settings", "", (("6", "Secret Service"),)),
)
DIALOGS: tuple[Scene, ...] = (
    Scene("add", "", (("a", "Paste a command"), ("n", "Looks like"))),
    Scene("edit", "filesystem", (("e", "Looks like"),)),
    Scene("delete", _SENTRY, (("delete", "Delete sentry?"),)),
    Scene("delete-by-name", _GITHUB, (("delete", "Type its name"),)),
    Scene("sign-in", _LINEAR, (("c", "Waiting for your browser"),)),
    Scene("sign-in-long", _LINEAR, (("c", "Waiting for your browser"),), _long_address),
    Scene("sign-in-code", _LINEAR, (("c", "Waiting"), ("d", "ABCD-EFGH"))),
    Scene("sign-in-concerns", _LINEAR, (("c", "Before you sign in"),), _concerned),
    Scene("sign-in-qr", _LINEAR, (("c", "Waiting"), ("Q", "Scan it"))),
    Scene("sign-in-scopes", _LINEAR, (("c", "Waiting"), ("s", "Scopes"))),
    Scene("log-out", _GITHUB, (("o", "Log out of github?"),)),
    Scene("values", "", (("c", "Keep in"),)),
    Scene("secrets", "", (("S", "OLD_KEY"),)),
    Scene("secrets-remove", "", (("S", "OLD_KEY"), ("j", ""), ("delete", "Remove GITHUB"))),
    Scene("secure", _GITHUB, (("m", "enter Move"),), _plain_secret),
    Scene("answer-form", "", (("A", "Access token"),), _asks(_FORM)),
    Scene("answer-url", "", (("A", "pay.example"),), _asks(_OPEN)),
    Scene("doctor", _SENTRY, (("w", "Install Node"),)),
    Scene("try-form", "", _TRY),
    Scene("try-running", "", (*_TRY, ("f", ""), ("ctrl+r", "Running")), waits=True),
    Scene("try-result", "", _RAN),
    Scene("try-raw", "", (*_RAN, ("ctrl+t", '"content"'))),
    Scene("entry", "", (("y", "Zed"),)),
    Scene("entry-copied", "", (("y", "Zed"), ("2", "copied"))),
    Scene("imports", "", (("i", "[x] postgres"),)),
    Scene("imports-question", "", (("i", "[x] postgres"), ("enter", "Add 2"))),
    Scene("help", "", (("?", "Keys"),)),
    Scene("help-tools", "", (*_SEARCH, ("?", "Keys"))),
    Scene("help-logs", "", (_LOGS, ("?", "Keys"))),
    Scene("themes", "", (("ctrl+t", "blue and orange"),)),
    Scene("quit", "", (("q", "Quit now"),)),
    Scene("palette", "", ((":", "what the state"),)),
    Scene("palette-search", "", ((":", "what the state"), *_typed("gith"), ("", "Go to github"))),
)
