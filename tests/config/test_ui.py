"""`[ui]` and `[keys]`: read without refusing, and written without losing a comment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcpmux_tui.config import edit
from mcpmux_tui.config.file import load
from mcpmux_tui.model.errors import ConfigError, UsageError
from mcpmux_tui.model.settings import UiChange, UiSettings
from mcpmux_tui.model.spec import Config

TOML = """\
# mine
[ui]
theme = "nord"   # blue
glyphs = "ascii"
animations = false

[keys]
"server.restart" = "ctrl+r, f5"
app.help = ["?", "f1"]
"list.filter" = ","

[servers.a]
command = "x"
"""


def loaded(folder: Path, text: str, name: str = "config.toml") -> Config:
    path = folder / name
    path.write_text(text)
    return load(path, required=True)


def test_both_tables_are_read_with_ids_quoted_or_not(tmp_path: Path) -> None:
    config = loaded(tmp_path, TOML)
    assert config.ui == UiSettings(
        theme="nord",
        glyphs="ascii",
        animations=False,
        keys={
            "server.restart": ("ctrl+r", "f5"),
            "app.help": ("?", "f1"),
            "list.filter": (",",),
        },
    )
    assert config.warnings == ()


def test_json_has_the_same_tables(tmp_path: Path) -> None:
    text = json.dumps({"mcpServers": {}, "ui": {"theme": "nord"}, "keys": {"app.help": "f1"}})
    config = loaded(tmp_path, text, "mcp.json")
    assert config.ui == UiSettings(theme="nord", keys={"app.help": ("f1",)})
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ui = 5", "`[ui]` must be a table, not a number; it is not used."),
        ("keys = true", "`[keys]` must be a table, not true or false; it is not used."),
        (
            "[ui]\ntheme = 3",
            "In `[ui]`: `theme` must be the name of a theme, not a number. The default is used.",
        ),
        (
            '[ui]\nglyphs = "emoji"',
            'In `[ui]`: `glyphs` must be "auto", "unicode" or "ascii", not text.'
            " The default is used.",
        ),
        (
            '[ui]\nanimations = "no"',
            "In `[ui]`: `animations` must be true or false, not text. The default is used.",
        ),
        ('[ui]\ntheem = "nord"', "Unknown key `theem` in `[ui]`; did you mean `theme`?"),
        (
            '[keys]\n"app.help" = 5',
            'In `[keys]`: `app.help` must be a key or a list of keys, such as "ctrl+r", not a'
            " number. The default is used.",
        ),
        (
            '[keys]\n"app.help" = " "',
            "In `[keys]`: `app.help` names no key. The default is used.",
        ),
    ],
)
def test_what_is_wrong_is_said_and_refuses_nothing(tmp_path: Path, text: str, says: str) -> None:
    config = loaded(tmp_path, text + '\n[servers.a]\ncommand = "x"\n')
    assert config.warnings == (says,)
    assert config.ui == UiSettings()
    assert [spec.name for spec in config.servers] == ["a"]


def test_one_wrong_value_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    config = loaded(tmp_path, '[ui]\ntheme = "nord"\nglyphs = 1\n[keys]\na = "f2"\nb = 1\n')
    assert config.ui == UiSettings(theme="nord", keys={"a": ("f2",)})
    assert len(config.warnings) == 2


def test_a_choice_is_written_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(TOML)
    edit.set_ui(path, UiChange(theme="dracula"), create=False)
    assert path.read_text() == TOML.replace('"nord"', '"dracula"')
    edit.set_ui(path, UiChange(animations=True, glyphs="auto"), create=False)
    assert load(path, required=True).ui.animations
    assert "# blue" in path.read_text()


@pytest.mark.parametrize("text", ["", "# mine", "[servers.a]\ncommand = 'x' # why", "[proxy]\n\n"])
def test_a_file_without_the_table_gets_one_at_its_end(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    edit.set_ui(path, UiChange(theme="nord"), create=False)
    assert path.read_text().startswith(text)
    assert path.read_text().endswith('[ui]\ntheme = "nord"\n')


@pytest.mark.parametrize("ui", ["ui.glyphs = 'ascii'", "ui = { glyphs = 'ascii' } # so"])
def test_other_ways_to_write_the_table_are_edited_in_place(tmp_path: Path, ui: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"{ui}\n[proxy]\nport = 0\n")
    edit.set_ui(path, UiChange(theme="nord"), create=False)
    assert load(path, required=True).ui == UiSettings(theme="nord", glyphs="ascii")


def test_json_is_edited_too(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"a": {"command": "x"}}}')
    edit.set_ui(path, UiChange(theme="nord"), create=False)
    assert json.loads(path.read_text()) == {
        "mcpServers": {"a": {"command": "x"}},
        "ui": {"theme": "nord"},
    }


def test_a_missing_file_is_created_only_where_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "mcpmux" / "config.toml"
    with pytest.raises(ConfigError, match="does not exist"):
        edit.set_ui(path, UiChange(theme="nord"), create=False)
    assert not path.parent.exists()
    edit.set_ui(path, UiChange(theme="nord"), create=True)
    assert load(path, required=True).ui.theme == "nord"


def test_what_is_no_table_or_has_comments_that_would_be_lost_stays(tmp_path: Path) -> None:
    for name, text, error in (
        ("config.toml", "ui = 5\n", UsageError),
        ("a.json", '{"ui": []}', UsageError),
        ("b.json", '{} // mine', ConfigError),
        ("c.toml", "[ui\n", ConfigError),
    ):  # fmt: skip
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(error):
            edit.set_ui(path, UiChange(theme="nord"), create=True)
        assert path.read_text() == text
