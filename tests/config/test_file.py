from __future__ import annotations

import codecs
import time
from pathlib import Path

import pytest

from mcpmux_tui.config import file
from mcpmux_tui.config.file import load
from mcpmux_tui.model.errors import ConfigError
from mcpmux_tui.model.spec import (
    Config,
    Deadlines,
    HttpLaunch,
    OAuthSpec,
    ProxySpec,
    ServerSpec,
    StdioLaunch,
    ToolFilter,
)

DESIGN = """\
[proxy]
port = 4200
allowed_origins = ["https://inspector.example"]

[servers.github]
url = "https://api.example.com/mcp"

[servers.postgres]
command = "npx"
args = ["-y", "@acme/server-postgres"]
env = { DATABASE_URL = "${secret:DATABASE_URL}", REGION = "${REGION:-eu}" }
enabled = true
prefix = "pg"
tools = { allow = ["*"], deny = ["drop_*"] }
timeout = 30
deadlines = { connect = 2, start = 120, list = 5.5, call = 3600 }
"""


def loaded(folder: Path, text: str | bytes, name: str = "config.toml") -> Config:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, required=True)


def by_name(config: Config) -> dict[str, ServerSpec]:
    return {spec.name: spec for spec in config.servers}


def refusal(folder: Path, text: str | bytes, name: str = "config.toml") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, name)
    return caught.value


def only(folder: Path, body: str) -> ServerSpec:
    (spec,) = loaded(folder, f"[servers.x]\n{body}\n").servers
    return spec


def test_every_key_of_the_contract_is_read(tmp_path: Path) -> None:
    config = loaded(tmp_path, DESIGN)
    assert config == Config(
        servers=(
            ServerSpec("github", HttpLaunch("https://api.example.com/mcp")),
            ServerSpec(
                "postgres",
                StdioLaunch(
                    "npx",
                    ("-y", "@acme/server-postgres"),
                    {"DATABASE_URL": "${secret:DATABASE_URL}", "REGION": "${REGION:-eu}"},
                ),
                prefix="pg",
                tools=ToolFilter(("*",), ("drop_*",)),
                timeout=30,
                deadlines=Deadlines(connect=2, start=120, list=5.5, call=3600),
            ),
        ),
        proxy=ProxySpec(4200, ("https://inspector.example",)),
    )


@pytest.mark.parametrize("key", ["mcpServers", "servers"])
def test_both_json_forms_are_read_with_comments_and_trailing_commas(
    tmp_path: Path, key: str
) -> None:
    text = """{
      // the servers
      "inputs": [{"id": "token", "type": "promptString"}],
      "%s": {
        "a": {"type": "stdio", "command": "npx", "args": ["x // y"], /* why */ "disabled": true},
        "b": {"type": "http", "url": "https://b.example/mcp", "headers": {"X": "${input:token}"},},
      },
    }"""
    config = loaded(tmp_path, text % key, "mcp.json")
    assert config.warnings == ()
    assert config.servers == (
        ServerSpec("a", StdioLaunch("npx", ("x // y",)), enabled=False),
        ServerSpec("b", HttpLaunch("https://b.example/mcp", {"X": "${input:token}"}, "http")),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.toml", '[servers.a]\ncommand = "x"\n'),
        ("config.json", '{"mcpServers": {"a": {"command": "x"}}}'),
        ("config", '[servers.a]\ncommand = "x"\n'),
        ("config", '// c\n{"servers": {"a": {"command": "x"}}}'),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_name_content_line_ends_and_byte_order_mark_decide_nothing_wrongly(
    tmp_path: Path, name: str, text: str, newline: str, mark: bytes
) -> None:
    data = mark + text.replace("\n", newline).encode()
    assert loaded(tmp_path, data, name).servers == (ServerSpec("a", StdioLaunch("x")),)


@pytest.mark.behaviour("LUN-G01")
def test_a_missing_default_file_has_no_servers(tmp_path: Path) -> None:
    assert load(tmp_path / "config.toml", required=False) == Config()


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml does not exist") as caught:
        load(tmp_path / "config.toml", required=True)
    assert caught.value.hint


@pytest.mark.behaviour("LUN-G01")
@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n"])
def test_an_empty_file_has_no_servers(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text) == Config()


@pytest.mark.behaviour("F4")
@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("c.toml", '[servers.a]\ncommand = "x\n', 2, r"line 2, column 13"),
        ("c.toml", "[servers.a]\ncommand =\n", 2, r"line 2, column 10"),
        ("c.toml", "[a]\n[a]\n", 2, "line 2"),
        ("c.toml", "a = [", 1, "line 1"),
        ("c.toml", b'a = "\x00"', 1, "line 1"),
        ("c.toml", b"a = 1\nb = '\xff'", 2, r"not UTF-8 text \(line 2\)"),
        ("c.toml", "a = " + "[" * 50_000, None, "nested too deep"),
        ("c.toml", "servers = 3", None, "must be a table of servers, not a number"),
        ("c.toml", 'x = 1\n[proxy]\nport = "x"', 2, r"line 2: `port` must be a port"),
        ("c.toml", "proxy.port = 70000", 1, "`port` must be a port"),
        ("c.toml", "proxy = 3", None, "`proxy` must be a table, not a number"),
        ("c.json", '{\n "mcpServers": {\n  "a": {"command" "x"}}}', 3, r"line 3, column 19"),
        ("c.json", "[]", 1, "must be an object, not a list"),
        ("c.json", '{"a": 1,\n "a": 2}', 2, "`a` stands twice"),
        ("c.json", '{\n"servers": []}', 2, "`servers` must be an object of servers"),
        ("c.json", b'{"a": "\x00"}', 1, "line 1"),
        ("c.json", '{"a": NaN}', 1, "NaN is not JSON"),
        ("c.json", "[" * 100_000, 1, "nested too deep"),
        ("c.json", "", 1, "line 1"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_where_and_what_to_do(
    tmp_path: Path, name: str, text: str | bytes, line: int | None, says: str
) -> None:
    error = refusal(tmp_path, text, name)
    assert error.path == tmp_path / name
    assert error.line == line
    assert error.hint
    with pytest.raises(ConfigError, match=says):
        raise error


def test_a_file_of_more_than_ten_mebibytes_is_not_read(tmp_path: Path) -> None:
    assert "larger than 10 MiB" in refusal(tmp_path, b"#" * (file.SIZE_LIMIT + 1)).message


def test_a_large_file_is_read_in_time(tmp_path: Path) -> None:
    entry = '[servers.s%d]\ncommand = "x"\nargs = [\n  "#[",\n  """a\n"""]\n'
    started = time.process_time()
    config = loaded(tmp_path, "".join(entry % number for number in range(3_000)))
    assert config.servers[-1].name == "s2999"
    assert time.process_time() - started < 10


BROKEN = {
    "neither": ("enabled = true", "no `command`"),
    "both": ('command = "x"\nurl = "https://x.example/"', "both `command` and `url`"),
    "no-text": ("command = 3", "`command` must be text, not a number"),
    "no-list": ('command = "x"\nargs = "y"', "`args` must be a list of texts, not text"),
    "in-list": ('command = "x"\nargs = ["y", 3]', r"`args.1` is a number"),
    "in-env": ('command = "x"\nenv = { A = true }', r"`env.A` is true or false"),
    "in-tools": ('command = "x"\ntools.allow = "y"', r"`tools.allow` is text"),
    "no-bool": ('command = "x"\nenabled = "yes"', "`enabled` must be true or false"),
    "inherits": ('command = "x"\ninherit_env = [1]', "`inherit_env` must be true, false or a list"),
    "timeout": ('command = "x"\ntimeout = -1', "`timeout` must be a number of seconds, 0 for"),
    "not-a-time": ('command = "x"\ntimeout = nan', "`timeout` must be a number of seconds"),
    "deadline": ('command = "x"\ndeadlines.start = 0', "`deadlines` must be a table of seconds"),
    "deadlines": ('command = "x"\ndeadlines = 5', "`deadlines` must be a table of seconds"),
    "transport": ('url = "https://x.example/"\ntransport = "ftp"', "Unknown transport `ftp`"),
    "stdio-url": ('command = "x"\ntransport = "http"', "give `url`"),
    "instances": ('command = "x"\ninstances = "many"', "Unknown `instances` `many`"),
    "empty": ('command = " "', "`command` is empty"),
    "nul": ('command = "x"\nargs = ["a\\u0000"]', "`args` holds a NUL"),
    "env-name": ('command = "x"\nenv = { "A=B" = "c" }', "A name in `env`"),
    "scheme": ('url = "file:///etc/passwd"', "must begin with https://"),
    "host": ('url = "https:///mcp"', "names no host"),
    "port": ('url = "https://x.example:99999/"', "check its host and port"),
    "space": ('url = "https://x.example/a b"', "holds a space"),
    "back": ('url = "https://x.example\\\\@y.example/"', "a backslash"),
    "user": ('url = "https://github.com@evil.example/mcp"', "user name or password"),
    "password": ('url = "https://${USER}:${PASS}@x.example/mcp"', "user name or password"),
    "header": ('url = "https://x.example/"\nheaders = { "A b" = "c" }', "not a header's name"),
    "line": ('url = "https://x.example/"\nheaders = { A = "b\\r\\nC: d" }', "line break"),
}  # fmt: skip


@pytest.mark.behaviour("A7", "AMG-V02")
def test_a_broken_entry_is_a_failed_row_and_the_others_live(tmp_path: Path) -> None:
    good = '[servers.good]\ncommand = "x"\n\n'
    text = good + "".join(f"[servers.{name}]\n{body}\n" for name, (body, _) in BROKEN.items())
    specs = by_name(loaded(tmp_path, text))
    assert specs.pop("good") == ServerSpec("good", StdioLaunch("x"))
    lines = text.splitlines()
    for name, (_, says) in BROKEN.items():
        problem = specs[name].problem
        assert problem is not None, name
        assert specs[name].launch is None
        assert says in problem.reason
        assert problem.line is not None
        assert lines[problem.line - 1] == f"[servers.{name}]"


def test_entries_that_are_no_tables_are_failed_rows(tmp_path: Path) -> None:
    config = loaded(tmp_path, '{"servers": {"a": 3, "b": [], "c": null, "d": {}}}', "c.json")
    reasons = [spec.problem.reason if spec.problem else "" for spec in config.servers]
    assert ["not a number" in reasons[0], "not a list" in reasons[1], "not null" in reasons[2]] == [
        True
    ] * 3
    assert "no `command`" in reasons[3]


def test_a_problem_never_tells_a_value(tmp_path: Path) -> None:
    body = 'command = "x"\nargs = "hunter2"\n'
    assert "hunter2" not in str(only(tmp_path, body).problem)
    body = 'url = "https://user:hunter2@x.example/"\n'
    assert "hunter2" not in str(only(tmp_path, body).problem)
    body = 'command = "x"\nenv = { PIN = 4711 }\n'
    assert "4711" not in str(only(tmp_path, body).problem)


@pytest.mark.parametrize("name", ["a", "A.b-c_d", "1", "x" * 40, "pp"])
def test_good_names(tmp_path: Path, name: str) -> None:
    (spec,) = loaded(tmp_path, f'[servers."{name}"]\ncommand = "x"\n').servers
    assert (spec.name, spec.problem) == (name, None)


@pytest.mark.parametrize("name", ["p", "x" * 41, "a b", "größe", "a/b", "..", ".", "a:b", ""])
def test_bad_names_are_failed_rows(tmp_path: Path, name: str) -> None:
    (spec,) = loaded(tmp_path, f'[servers."{name}"]\ncommand = "x"\n').servers
    assert spec.problem is not None
    assert "name" in spec.problem.reason
    assert spec.problem.line == 1


@pytest.mark.behaviour("A1")
def test_a_hostile_name_becomes_harmless_and_stays_unique(tmp_path: Path) -> None:
    text = '{"servers": {"\\u001b[2Jx": {}, "\\tgood": {}, "good": {"command": "x"}, "": {}}}'
    names = [spec.name for spec in loaded(tmp_path, text, "c.json").servers]
    assert len(set(names)) == 4
    assert all(name.isprintable() and name for name in names)


def test_json_names_and_keys_that_stand_twice_are_failed_rows(tmp_path: Path) -> None:
    text = """{"servers": {
      "a": {"command": "x"},
      "b": {"command": "x", "command": "y"},
      "a": {"command": "z"}
    }}"""
    first, twice, second = loaded(tmp_path, text, "c.json").servers
    assert first == ServerSpec("a", StdioLaunch("x"))
    assert twice.problem is not None
    assert twice.problem.reason == "`command` stands twice in it; remove one."
    assert second.problem is not None
    assert (second.problem.line, "first on line 2" in second.problem.reason) == (4, True)
    assert second.name != "a"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# c\n\n[servers.x]\nbad = 1\n", 3),
        ('a = """\n[servers.x]\n"""\n[servers."x"]\n', 4),
        ("a = '''\n[servers.x]''' # ]\n[ servers . 'x' ] # c\n", 3),
        ("a = [\n '[', # [servers.x]\n]\n[servers]\n\nx = { bad = 1 }\n", 6),
        ("[servers]\nx.bad = 1\nx.worse = 2\n", 2),
        ('\nservers."x".bad = 1\n', 2),
        ("\n\nservers = { x = { bad = 1 } }\n", 3),
        ("[servers.x.env]\nA = 'b'\n[servers.x]\nbad = 1\n", 1),
        ("[servers.y]\r\n[servers.x]\r\n", 2),
        ('[[a]]\n[[a.b]]\n"q\\"=#" = 1\n[servers.x]', 4),
        ("[servers.x]", 1),
    ],
)
def test_toml_problems_know_their_line(tmp_path: Path, text: str, line: int) -> None:
    problem = by_name(loaded(tmp_path, text))["x"].problem
    assert problem is not None
    assert problem.line == line


def test_json_problems_know_their_line(tmp_path: Path) -> None:
    text = '{ // c\n\n "servers": /* \n */ {"x":{"command":"c"}, "y"\n: 3, \n\n"z": {}}}'
    specs = by_name(loaded(tmp_path, text, "c.json"))
    problems = [specs[name].problem for name in "yz"]
    assert [problem.line for problem in problems if problem] == [4, 7]


def test_unknown_keys_are_kept_and_warned_about(tmp_path: Path) -> None:
    text = """
    colour = "red"
    [proxy]
    prot = 1
    allowed_origins = ["https://x.example/", "null", "http://localhost:3000"]
    [servers.x]
    comand = "y"
    command = "x"
    tools = { alow = [] }
    """
    config = loaded(tmp_path, text)
    assert config.servers[0].warnings == (
        "Unknown key `comand`; did you mean `command`?",
        "Unknown key `alow` in `tools`; did you mean `allow`?",
    )
    assert [warning.partition(": an")[0] for warning in config.warnings] == [
        "Unknown key `colour`; it is kept and not used.",
        "Unknown key `prot` in `[proxy]`; did you mean `port`?",
        "`https://x.example/` in `allowed_origins` can never match",
        "`null` in `allowed_origins` can never match",
    ]


def test_a_file_of_another_program_brings_few_warnings(tmp_path: Path) -> None:
    keys = ", ".join(f'"setting{number}": {number}' for number in range(20_000))
    started = time.process_time()
    warnings = loaded(tmp_path, f'{{"mcpServers": {{}}, {keys}}}', "settings.json").warnings
    assert (len(warnings), warnings[-1]) == (9, "19992 more unknown keys.")
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('command = "x"\nenvFile = ".env"', "`envFile` is not read"),
        ('command = "x"\ndeadlines.strat = 1', "`strat` in `deadlines`; did you mean `start`?"),
        ('command = "x"\nheaders = {}', "`headers` goes with `url`"),
        ('url = "https://x.example"\nargs = []', "`args` goes with `command`"),
        (
            'url = "https://x.example"\nheaders = { authorization = "x" }\n'
            'oauth = { client_id = "a" }',
            "`oauth` is not used: the `Authorization` header",
        ),
        ('url = "https://x.example"\noauth = { tenant = "a" }', "`tenant` in `oauth`"),
        ('url = "http://x.example/mcp"', "The connection to x.example is not encrypted"),
        ('command = "x"\nargs = ["${other:y}"]', "`${other:y}` is no placeholder"),
    ],
)
def test_what_is_not_used_is_said(tmp_path: Path, body: str, says: str) -> None:
    spec = only(tmp_path, body)
    assert spec.problem is None
    assert [says in warning for warning in spec.warnings] == [True]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3000/mcp", "http://localhost/mcp", "http://[::1]:80/", "https://x.example",
        "http://a.localhost/", "http://${HOST}/mcp", "${URL}", "${BASE}/mcp", "https://h:${PORT}/",
    ],
)  # fmt: skip
def test_addresses_that_need_no_warning(tmp_path: Path, url: str) -> None:
    spec = only(tmp_path, f"url = '{url}'")
    assert (spec.launch, spec.warnings) == (HttpLaunch(url), ())


def test_the_later_of_two_clashing_prefixes_is_warned_about(tmp_path: Path) -> None:
    text = "".join(
        f'[servers."{name}"]\ncommand = "x"\n{more}\n'
        for name, more in [
            ("a.b", ""),
            ("a-b", ""),
            ("c", 'prefix = "a.b"'),
            ("off", 'prefix = "a-b"\nenabled = false'),
            ("d", 'prefix = ""'),
            ("e", 'prefix = ""'),
        ]
    )
    warned = {spec.name: spec.warnings for spec in loaded(tmp_path, text).servers if spec.warnings}
    assert set(warned) == {"a-b", "c"}
    assert "`a-b__` as those of `a.b` do" in warned["a-b"][0]
    assert "prefix" in warned["c"][0]


def test_a_relative_cwd_starts_at_the_config_file(tmp_path: Path) -> None:
    def cwd(value: str) -> str | None:
        launch = only(tmp_path, f'command = "x"\ncwd = "{value}"').launch
        assert isinstance(launch, StdioLaunch)
        return launch.cwd

    assert cwd("sub/dir") == str(tmp_path / "sub/dir")
    assert [cwd(same) for same in ("/abs", "~/x", "${HOME}/x")] == ["/abs", "~/x", "${HOME}/x"]
    assert cwd("") is None


def test_a_command_with_spaces_is_never_split(tmp_path: Path) -> None:
    assert only(tmp_path, 'command = "npx -y thing"').launch == StdioLaunch("npx -y thing")


def test_inherit_env_takes_names_or_a_word(tmp_path: Path) -> None:
    for text, value in (("true", True), ("false", False), ('["A_*"]', ("A_*",))):
        launch = only(tmp_path, f'command = "x"\ninherit_env = {text}').launch
        assert isinstance(launch, StdioLaunch)
        assert launch.inherit_env == value


def test_a_broken_entry_that_is_switched_off_stays_so(tmp_path: Path) -> None:
    spec = only(tmp_path, "enabled = false")
    assert spec.problem is not None
    assert not spec.enabled


def test_entries_are_the_tables_as_written(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert file.entries(path) == {}
    path.write_text('[servers.a]\ncommand = "x"\nmore = 1\n[servers]\nb = 3\n', encoding="utf-8")
    assert file.entries(path) == {"a": {"command": "x", "more": 1}, "b": {}}


def test_secrets_in_a_spec_are_not_in_its_repr(tmp_path: Path) -> None:
    body = 'url = "https://x.example"\nheaders = { Authorization = "Bearer hunter2" }'
    assert "hunter2" not in repr(only(tmp_path, body))


def test_the_oauth_and_the_vault_table_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[vault]\nbackend = "file"\n[servers.a]\nurl = "https://x.example"\n'
        'oauth = { client_id = "me", client_secret = "${secret:ME}", scopes = ["read"] }\n',
        encoding="utf-8",
    )
    config = file.load(path, required=True)
    assert config.vault == "file"
    launch = config.servers[0].launch
    assert isinstance(launch, HttpLaunch)
    assert launch.oauth == OAuthSpec("me", "${secret:ME}", scopes=("read",))
    assert "${secret" not in repr(launch)
    path.write_text('[vault]\nbackend = "cloud"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r'\[vault\] in .*"auto", "file" or "session"'):
        file.load(path, required=True)


@pytest.mark.parametrize("odd", ["\\u001b]0;x", "r\\u202e", '\\"', "\\n"])
def test_a_scope_that_is_none_is_a_fault_of_its_entry(odd: str, tmp_path: Path) -> None:
    body = 'url = "https://x.example"\noauth = { scopes = ["read write", "%s"] }'
    assert only(tmp_path, body % "${MORE}").problem is None
    problem = only(tmp_path, body % odd).problem
    assert problem is not None
    assert problem.reason.endswith("`oauth.scopes` holds a character that no scope has.")


@pytest.mark.behaviour("MUX-P10")
def test_two_names_that_clients_could_not_tell_apart_are_named(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[servers."a.b"]\ncommand = "x"\n[servers.a-b]\ncommand = "y"\n')
    first, second = load(path, required=True).servers
    assert first.warnings == ()
    (warning,) = second.warnings
    assert "`a-b__` as those of `a.b` do" in warning


@pytest.mark.behaviour("MUX-P09")
def test_inputs_are_a_table_or_the_list_of_vs_code(tmp_path: Path) -> None:
    toml, json_ = tmp_path / "c.toml", tmp_path / "c.json"
    toml.write_text(
        '[inputs.port]\ntype = "number"\ndefault = 443\n'
        '[inputs.key]\ntype = "password"\nobtain = "https://h/keys"\n'
        '[inputs.odd]\ntype = "colour"\n[inputs.bad]\nrequired = "yes"\n'
        '[inputs.on]\ntype = "boolean"\ndefault = true\nwhat = 1\n'
    )
    config = load(toml, required=True)
    assert config.inputs["port"].default == "443"
    assert config.inputs["key"].secret
    assert config.inputs["on"].default == "true"
    assert config.inputs["odd"].type == "text"
    assert "bad" not in config.inputs
    said = " ".join(config.warnings)
    for words in ("not `colour`", "`required` must be true or false", "Unknown key `what`"):
        assert words in said
    json_.write_text(
        '{"inputs": [{"id": "k", "type": "promptString", "password": true, "description": "d"},'
        ' {"id": "m", "type": "pickString", "options": ["a", {"label": "B", "value": "b"}]}, {}],'
        ' "servers": {}}'
    )
    config = load(json_, required=True)
    assert (config.inputs["k"].type, config.inputs["k"].description) == ("password", "d")
    assert config.inputs["m"].choices == ("a", "b")
    assert any("has no `id`" in warning for warning in config.warnings)
