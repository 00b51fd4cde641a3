from __future__ import annotations

import codecs
import errno
import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from mcpmux_tui.config import edit
from mcpmux_tui.config.file import entries, load, parse
from mcpmux_tui.model.errors import ConfigError, UsageError
from mcpmux_tui.model.spec import ServerSpec, StdioLaunch

TOML = """\
# my servers

[proxy]   # the port
port = 4200

# about a
[servers.a]
command = "x"  # why x
# inside a
args = [
  "one", # first
  # none
]

[servers.a.env]
A = '''
[servers.b]
'''

# about b
[servers."b.c"] # quoted
url   =   "https://b.example"   # odd spaces
# the end of b

[other]
z = 1 # kept
[servers."b.c".headers]
H = "1"
"""
ENTRY: dict[str, JsonValue] = {
    "command": "npx",
    "args": ["-y", 'q"uote'],
    "env": {"KEY": "${secret:KEY}"},
    "enabled": False,
}
SPEC = ServerSpec(
    "new", StdioLaunch("npx", ("-y", 'q"uote'), {"KEY": "${secret:KEY}"}), enabled=False
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A TOML config with comments everywhere."""
    path = tmp_path / "config.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


def comments(text: str) -> list[str]:
    return [line.partition("#")[2] for line in text.splitlines() if "#" in line]


def specs(path: Path) -> dict[str, ServerSpec]:
    return {spec.name: spec for spec in load(path, required=True).servers}


def read(path: Path) -> str:
    return path.read_bytes().decode()


@pytest.mark.parametrize("name", ["config.toml", "servers.json"])
def test_a_new_file_is_private_and_holds_the_server(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new" / "folder" / name
    edit.add_server(path, "new", ENTRY)
    assert specs(path) == {"new": SPEC}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [name]
    assert name.endswith("json") or read(path).startswith("# ")


@pytest.mark.behaviour("F6")
def test_adding_changes_no_byte_of_what_is_there(path: Path) -> None:
    edit.add_server(path, "new", ENTRY)
    assert read(path).startswith(TOML)
    assert specs(path)["new"] == SPEC
    assert set(specs(path)) == {"a", "b.c", "new"}


@pytest.mark.behaviour("F6")
@pytest.mark.parametrize("name", ["a", "b.c"])
def test_switching_changes_one_line(path: Path, name: str) -> None:
    edit.set_enabled(path, name, False)
    lines = read(path).splitlines()
    assert specs(path)[name].enabled is False
    assert [line for line in lines if line not in TOML.splitlines()] == ["enabled = false"]
    assert comments(read(path)) == comments(TOML)
    edit.set_enabled(path, name, True)
    assert specs(path)[name].enabled is True
    assert comments(read(path)) == comments(TOML)


@pytest.mark.behaviour("F6")
def test_removing_takes_a_server_and_the_comments_inside_it(path: Path) -> None:
    edit.remove_server(path, "a")
    own = TOML[TOML.index("[servers.a]") : TOML.index("# about b")]
    assert read(path) == TOML.replace(own, "")
    edit.remove_server(path, "b.c")
    assert load(path, required=True).servers == ()
    assert comments(read(path)) == [
        " my servers", " the port", " about a", " about b", " the end of b", " kept"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        'servers = { a = { command = "x" }, b = { url = "https://b.example" } } # c\n',
        '[servers]\na = { command = "x" } # c\nb.url = "https://b.example"\n',
        'servers.a.command = "x" # c\nservers.b.url = "https://b.example"\n[z]\n',
        '[servers]\n[servers.a]\ncommand = "x"\n[servers.b]\nurl = "https://b.example" # c',
        'servers."a".command = "x"\n# c\n[servers.b]\nurl = "https://b.example"\nenabled = true',
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_way_of_writing_servers_can_be_edited(
    tmp_path: Path, text: str, newline: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.replace("\n", newline).encode())
    edit.add_server(path, "new", ENTRY)
    edit.set_enabled(path, "b", False)
    edit.set_enabled(path, "a", False)
    assert [spec.enabled for spec in specs(path).values()] == [False, False, False]
    assert comments(read(path)) == comments(text)
    edit.remove_server(path, "a")
    assert set(specs(path)) == {"b", "new"}
    assert read(path).count("\n") == read(path).count(newline)


texts = st.text(st.sampled_from("a\"'\\#[]{}=.\n,\t ä$"), max_size=8)
tables = st.fixed_dictionaries(
    {"command": texts, "args": st.lists(texts, max_size=3), "env": st.dictionaries(texts, texts)}
)


@given(
    servers=st.dictionaries(st.sampled_from(["a", "b", "c.d", "e-f"]), tables, min_size=1),
    other=st.dictionaries(texts, tables, max_size=2),
    multiline=st.booleans(),
)
def test_whatever_stands_in_texts_the_right_lines_are_found_and_cut(
    servers: dict[str, object], other: dict[str, object], multiline: bool
) -> None:
    before = {"servers": servers, **{f"x{key}": value for key, value in other.items()}}
    name, *rest = servers
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        text = tomli_w.dumps(before, multiline_strings=multiline)
        path.write_text(text, encoding="utf-8")
        lines = text.splitlines()
        for entry in parse(path, text).servers:
            assert entry.line is not None
            assert lines[entry.line - 1] in {f"[servers.{entry.name}]", f'[servers."{entry.name}"]'}
        edit.remove_server(path, name)
        after = tomllib.loads(read(path))
    assert after.pop("servers", {}) == {each: servers[each] for each in rest}
    assert after == {key: value for key, value in before.items() if key != "servers"}


def test_what_is_so_already_writes_nothing(path: Path) -> None:
    edit.set_enabled(path, "a", True)
    inode = path.stat().st_ino
    edit.set_enabled(path, "a", True)
    assert path.stat().st_ino == inode


JSON = (
    '{\n\t"$schema": "x",\n\t"mcpServers": {\n\t\t"a": {"command": "ä", "disabled": true}\n\t}\n}\n'
)


def test_json_keeps_its_indentation_and_its_own_key(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(JSON, encoding="utf-8")
    edit.add_server(path, "new", ENTRY)
    edit.set_enabled(path, "a", True)
    assert specs(path)["new"] == SPEC
    assert json.loads(read(path))["mcpServers"]["a"] == {"command": "ä", "disabled": False}
    assert '\n\t"$schema": "x",\n\t"mcpServers": {\n\t\t"a": {\n' in read(path)
    assert "ä" in read(path)
    edit.remove_server(path, "a")
    edit.remove_server(path, "new")
    assert json.loads(read(path)) == {"$schema": "x", "mcpServers": {}}


def test_json_in_the_form_of_vs_code_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"servers": {}, "inputs": []}', encoding="utf-8")
    edit.add_server(path, "new", ENTRY)
    assert json.loads(read(path)) == {"servers": {"new": ENTRY}, "inputs": []}


Edit = Callable[[Path], None]
EDITS: list[Edit] = [
    lambda path: edit.add_server(path, "new", ENTRY),
    lambda path: edit.remove_server(path, "a"),
    lambda path: edit.set_enabled(path, "a", False),
]


@pytest.mark.behaviour("F4")
@pytest.mark.parametrize("change", EDITS)
@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("c.toml", "[servers.a]\ncommand =", "not valid TOML"),
        ("c.toml", "servers = 3", "must be a table"),
        ("c.json", '{"mcpServers": {"a": {}}, }, ', "not valid JSON"),
        ("c.json", '{"mcpServers": {"a": {}} /* c */}', "has comments"),
        ("c.json", '{"mcpServers": {"a": {}, "a": {}}}', "stands twice"),
        ("c.json", b'{"mcpServers": {"a": {}}, "b": "\xff"}', "not UTF-8"),
        ("c.json", '{"mcpServers": {"a": {}}, "b": 1e400}', "cannot be written back"),
        ("c.json", '{"mcpServers": {"a": {}}, "b": "\\ud800", "c": "\u00e4"}', "written back"),
    ],
)
def test_a_file_that_cannot_be_edited_stays_as_it_is(
    tmp_path: Path, change: Edit, name: str, text: str | bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=says) as caught:
        change(path)
    assert caught.value.hint
    assert "permissions" not in caught.value.hint
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: edit.add_server(path, "a", ENTRY), "server named a already"),
        (lambda path: edit.add_server(path, "no name", ENTRY), "1-40 letters"),
        (lambda path: edit.add_server(path, "p", ENTRY), "reserved"),
        (lambda path: edit.add_server(path, "n", {}), "no `command`"),
        (lambda path: edit.add_server(path, "n", {"url": "https://u@x.example"}), "user name"),
        (lambda path: edit.remove_server(path, "no"), "no server named no"),
        (lambda path: edit.set_enabled(path, "no", True), "no server named no"),
    ],
)
def test_what_cannot_be_asked_is_refused(path: Path, change: Edit, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        change(path)
    assert read(path) == TOML


def test_a_broken_entry_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[servers]\nx = 3 # c\n"b ad" = {}\n', encoding="utf-8")
    with pytest.raises(UsageError, match="not a table"):
        edit.set_enabled(path, "x", False)
    edit.remove_server(path, "b ad")
    edit.remove_server(path, "x")
    assert load(path, required=True).servers == ()


def test_a_byte_order_mark_stays(path: Path) -> None:
    path.write_bytes(codecs.BOM_UTF8 + TOML.encode())
    edit.add_server(path, "new", ENTRY)
    assert path.read_bytes().startswith(codecs.BOM_UTF8 + TOML.encode())


@pytest.mark.behaviour("F7")
@pytest.mark.parametrize("name", ["config.toml", "config.json"])
def test_a_file_of_a_newer_version_is_never_changed(tmp_path: Path, name: str) -> None:
    newer = {
        "config.toml": "version = 99\n[servers.a]\ncommand = 'x'\n",
        "config.json": '{"version": 99, "mcpServers": {"a": {"command": "x"}}}',
    }[name]
    path = tmp_path / name
    path.write_text(newer, encoding="utf-8")
    config = load(path, required=True)
    assert [spec.name for spec in config.servers] == ["a"]
    assert config.warnings[0].startswith("The config is of version 99, newer than this mcpmux")
    changes: tuple[Callable[[], None], ...] = (
        lambda: edit.add_server(path, "b", ENTRY),
        lambda: edit.remove_server(path, "a"),
        lambda: edit.set_enabled(path, "a", False),
    )
    for change in changes:
        with pytest.raises(ConfigError, match="version 99, which is newer than this mcpmux"):
            change()
    assert read(path) == newer


@pytest.mark.behaviour("F8")
@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES])
def test_a_file_that_may_only_be_read_is_used_and_not_changed(
    path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(ConfigError, match=f"could not be written: {os.strerror(reason)}"):
        edit.add_server(path, "new", ENTRY)
    assert load(path, required=True).servers


@pytest.mark.behaviour("F10")
def test_a_text_that_looks_like_toml_stays_a_text(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    evil = 'x"]\n[servers.evil]\ncommand = "sh"\n\'\'\'"""'
    edit.add_server(
        path, "a", {"command": "x", "args": [evil], "env": {evil.replace("=", ""): evil}}
    )
    servers = tomllib.loads(path.read_text(encoding="utf-8"))["servers"]
    assert list(servers) == ["a"]
    assert servers["a"]["args"] == [evil]


def test_a_tool_is_hidden_and_offered_again_with_comments_kept(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('# mine\n[servers.a]\ncommand = "x" # here\n', encoding="utf-8")
    edit.offer_tool(path, "a", "drop", False)
    edit.offer_tool(path, "a", "odd[1]*", False)
    (spec,) = load(path, required=True).servers
    assert spec.tools.deny == ("drop", "odd[[]1][*]")
    assert "# mine" in path.read_text(encoding="utf-8")
    assert "# here" in path.read_text(encoding="utf-8")
    edit.offer_tool(path, "a", "odd[1]*", True)
    edit.offer_tool(path, "a", "drop", True)
    (spec,) = load(path, required=True).servers
    assert spec.tools.deny == ()


def test_what_a_pattern_hides_is_not_offered_by_guesswork(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    entry = '[servers.a]\ncommand = "x"\ntools = { allow = ["get_*"], deny = ["drop_*"] }\n'
    path.write_text(entry, encoding="utf-8")
    with pytest.raises(UsageError, match=r"A pattern in `tools.deny` of a hides drop_all"):
        edit.offer_tool(path, "a", "drop_all", True)
    assert path.read_text(encoding="utf-8") == entry
    edit.offer_tool(path, "a", "set", True)
    (spec,) = load(path, required=True).servers
    assert spec.tools.allow == ("get_*", "set")


def changed(path: Path, name: str, changes: edit.Changes, new_name: str = "") -> None:
    before = entries(path)[name]
    edit.change_server(path, name, changes, before=before, new_name=new_name or name)


@pytest.mark.behaviour("F6")
def test_a_change_touches_its_lines_alone_and_a_new_key_stands_with_its_table(path: Path) -> None:
    changed(
        path, "a", {("command",): "y", ("env", "A"): "1", ("env", "B"): "2", ("cwd",): "/x"}, "n.e"
    )
    assert read(path) == TOML.replace("[servers.a]", '[servers."n.e"]').replace(
        "[servers.a.env]", '[servers."n.e".env]'
    ).replace('command = "x"', 'command = "y"').replace(
        "A = '''\n[servers.b]\n'''", 'A = "1"\nB = "2"'
    ).replace("  # none\n]\n", '  # none\n]\ncwd = "/x"\n')
    changed(path, "b.c", {("headers", "H"): None, ("headers", "X-Y"): "3"}, "b")
    assert read(path).endswith('[servers.b.headers]\nX-Y = "3"\n')
    assert comments(read(path)) == comments(TOML)


@pytest.mark.parametrize(
    "text",
    [
        'servers.a.command = "x" # c\nservers.b.url = "https://b.example"\n[z]\n',
        '[servers]\na = { command = "x" } # c\nb.url = "https://b.example"\n',
        '[servers]\n[servers . "a"] # c\ncommand = "x"\n[servers.b]\nurl = "https://b.example"',
        '{"servers": {"a": {"command": "x"}, "b": {"url": "https://b.example"}}}',
    ],
)
def test_every_way_of_writing_a_server_can_be_changed(tmp_path: Path, text: str) -> None:
    path = tmp_path / ("config.json" if text.startswith("{") else "config.toml")
    path.write_text(text, encoding="utf-8")
    changed(path, "a", {("args",): ["1", "2"], ("env", "K"): "v"}, "new")
    assert list(entries(path)) == ["new", "b"]
    assert entries(path)["new"] == {"command": "x", "args": ["1", "2"], "env": {"K": "v"}}
    assert comments(read(path)) == comments(text)


def test_a_change_that_cannot_be_leaves_the_file_as_it_is(path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is a server named b\.c already"):
        changed(path, "a", {}, "b.c")
    with pytest.raises(UsageError, match=r"a cannot be saved\. It has no `command`"):
        changed(path, "a", {("command",): None})
    with pytest.raises(UsageError, match=r"p cannot be saved\. The name `p` is reserved"):
        changed(path, "a", {}, "p")
    with pytest.raises(UsageError, match="was changed since it was shown"):
        edit.change_server(path, "a", {("cwd",): "/"}, before={}, new_name="a")
    with pytest.raises(UsageError, match="There is no server named z"):
        edit.change_server(path, "z", {}, before={}, new_name="z")
    inline = path.with_name("inline.toml")
    inline.write_text('servers = { a = { command = "x" } }', encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot edit safely"):
        changed(inline, "a", {}, "b")
    assert read(path) == TOML
    changed(path, "a", {})
    assert read(path) == TOML


@given(
    servers=st.dictionaries(st.sampled_from(["a", "b", "c.d", "e-f"]), tables, min_size=1),
    values=st.dictionaries(texts, texts | st.none(), max_size=3),
    args=st.lists(texts, max_size=2) | st.none(),
    multiline=st.booleans(),
)
def test_whatever_is_changed_the_file_says_exactly_that(
    servers: dict[str, dict[str, object]],
    values: dict[str, str | None],
    args: list[JsonValue] | None,
    multiline: bool,
) -> None:
    name = next(iter(servers))
    changes: dict[tuple[str, ...], JsonValue] = {("args",): args}
    changes |= {("env", key): value for key, value in values.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        text = tomli_w.dumps({"servers": servers, "z": 1}, multiline_strings=multiline)
        path.write_text(text, encoding="utf-8")
        try:
            changed(path, name, changes, "new")
        except UsageError as error:
            assert "cannot be saved" in error.message
            assert read(path) == text
            return
        wanted = dict(servers[name])
        edit.put(wanted, changes)
        after = tomllib.loads(read(path))
    others = {key: value for key, value in servers.items() if key != name}
    assert after == {"servers": {"new": wanted, **others}, "z": 1}
